"""The audit log: append-only; every effect, refusal and resolution, in the transaction of the effect itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, LiteralString

from psycopg.types.json import Jsonb

from state.changes import Key
from state.database import Connection

APPEND: Final[LiteralString] = """
insert into audit_log (action, entity, system_id, participant_id, page_id, properties, actor, request_id, detail)
values (%(action)s, %(entity)s, %(system_id)s, %(participant_id)s, %(page_id)s, %(properties)s, %(actor)s,
    %(request_id)s, %(detail)s)
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
