"""Parked work: keys that were set aside with a reason, until a person has them tried again or drops them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from psycopg.rows import class_row

from state.changes import Key
from state.database import Connection
from state.work import Parked

NAMED: Final[LiteralString] = """
select entity, system_id, reason, message, attempts, parked_at
from parked
where (%(entity)s::text is null or entity = %(entity)s)
  and (%(ids)s::text[] is null or system_id = any (%(ids)s))
order by parked_at, entity, system_id
limit %(limit)s
"""

REMOVE: Final[LiteralString] = """
delete from parked p
using unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, system_id)
where p.entity = k.entity and p.system_id = k.system_id
returning p.entity, p.system_id
"""

# The row itself may be gone, and with it whom it was about; what was done with it before tells
PARTICIPANTS: Final[LiteralString] = """
select k.entity, k.system_id, coalesce(
    case when k.entity = 'participant' then k.system_id end,
    (select a.participant_id from audit_log a
     where a.entity = k.entity and a.system_id = k.system_id and a.participant_id is not null
     order by a.id desc limit 1))
from unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, system_id)
"""


async def named(
    conn: Connection, *, entity: str | None = None, ids: Sequence[str] | None = None, limit: int | None = None
) -> tuple[Parked, ...]:
    """Return what is parked, all or what is named, the oldest first."""
    async with conn.cursor(row_factory=class_row(Parked)) as cursor:
        await cursor.execute(NAMED, {"entity": entity, "ids": list(ids) if ids is not None else None, "limit": limit})
        return tuple(await cursor.fetchall())


async def remove(conn: Connection, items: Sequence[Parked]) -> tuple[Parked, ...]:
    """Forget that these are parked; return those that still were."""
    cursor = await conn.execute(REMOVE, _columns(items))
    removed = {Key(row[0], row[1]) for row in await cursor.fetchall()}
    return tuple(item for item in items if Key(item.entity, item.system_id) in removed)


async def participants(conn: Connection, items: Sequence[Parked]) -> dict[Key, str | None]:
    """Return the participant whom each piece of work concerns, as far as is known."""
    cursor = await conn.execute(PARTICIPANTS, _columns(items))
    return {Key(row[0], row[1]): row[2] for row in await cursor.fetchall()}


def _columns(items: Sequence[Parked]) -> dict[str, list[str]]:
    return {"entities": [item.entity for item in items], "ids": [item.system_id for item in items]}
