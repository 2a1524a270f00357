"""The audit log: append-only; every effect, refusal and resolution, in the transaction of the effect itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.changes import Key
from state.database import Connection

OPERATOR: Final = "operator"
"""Who did it: a person, by a command, an endpoint or the dashboard."""

APPEND: Final[LiteralString] = """
insert into audit_log (action, entity, system_id, participant_id, page_id, properties, actor, request_id, detail)
values (%(action)s, %(entity)s, %(system_id)s, %(participant_id)s, %(page_id)s, %(properties)s, %(actor)s,
    %(request_id)s, %(detail)s)
"""

# What is asked for decides which index serves it; the newest lines first
LISTED: Final[LiteralString] = """
select id, at, action, entity, system_id, participant_id, page_id, properties, actor, request_id, detail
from audit_log
where (%(person)s::text is null or participant_id = %(person)s)
  and (%(entity)s::text is null or entity = %(entity)s)
  and (%(system_id)s::text is null or system_id = %(system_id)s)
  and (%(before)s::bigint is null or id < %(before)s)
order by id desc
limit %(limit)s
"""


# One that was made and never answered has none of these lines
WAS_ITS_PAGE: Final[LiteralString] = """
select exists (
    select from audit_log
    where entity = %(entity)s and system_id = %(system_id)s and page_id = %(page_id)s
      and action in ('page.created', 'page.updated', 'page.adopted', 'page.restored')
)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `properties` are field keys; `participant_id` is the participant concerned, whatever the entity."""

    action: str
    key: Key
    participant_id: str | None = None
    page_id: str | None = None
    properties: Sequence[str] = ()
    actor: str = "sync"
    request_id: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


async def append(conn: Connection, entry: Entry) -> None:
    """Write one line."""
    await conn.execute(
        APPEND,
        {
            "action": entry.action, "entity": entry.key.entity, "system_id": entry.key.system_id,
            "participant_id": entry.participant_id, "page_id": entry.page_id,
            "properties": sorted(entry.properties), "actor": entry.actor, "request_id": entry.request_id,
            "detail": Jsonb(dict(entry.detail)) if entry.detail else None,
        },
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was written."""

    id: int
    at: datetime
    action: str
    entity: str
    system_id: str
    participant_id: str | None
    page_id: str | None
    properties: Sequence[str]
    actor: str
    request_id: str | None
    detail: Mapping[str, Any] | None


async def listed(
    conn: Connection,
    *,
    person: str | None = None,
    entity: str | None = None,
    system_id: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> tuple[Line, ...]:
    """Return the lines about a participant, an entity or one record, the newest first, below the id `before`."""
    async with conn.cursor(row_factory=class_row(Line)) as cursor:
        await cursor.execute(
            LISTED,
            {"person": person, "entity": entity, "system_id": system_id, "before": before, "limit": limit},
        )
        return tuple(await cursor.fetchall())


async def was_its_page(conn: Connection, key: Key, page_id: str) -> bool:
    """Whether the page ever counted as the row's own, so that people may have worked on it."""
    arguments = {"entity": key.entity, "system_id": key.system_id, "page_id": page_id}
    row = await (await conn.execute(WAS_ITS_PAGE, arguments)).fetchone()
    return row is not None and bool(row[0])
