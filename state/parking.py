"""Parked work: keys that were set aside with a reason, until they are tried again or a person drops them.

Any mark has a key tried again. So does a cause that healed, and a day: whatever nobody told us of may have passed. The
entry stays until the key is through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from psycopg.rows import class_row

from state import work
from state.changes import Key, Priority, Reason
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

COUNT: Final[LiteralString] = "select count(*) from parked"

REMOVE: Final[LiteralString] = """
delete from parked p
using unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, system_id)
where p.entity = k.entity and p.system_id = k.system_id
returning p.entity, p.system_id
"""

# What is in the queue is about to be tried anyway
DUE: Final[LiteralString] = """
select entity, system_id
from parked p
where (%(entity)s::text is null or entity = %(entity)s)
  and parked_at <= clock_timestamp() - make_interval(secs => %(after_s)s)
  and not exists (select from work w where w.entity = p.entity and w.system_id = p.system_id)
order by parked_at, entity, system_id
limit %(limit)s
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


async def count(conn: Connection) -> int:
    """Return how much is parked."""
    row = await (await conn.execute(COUNT)).fetchone()
    return int(row[0]) if row is not None else 0


async def remove(conn: Connection, items: Sequence[Parked]) -> tuple[Parked, ...]:
    """Forget that these are parked; return those that still were."""
    cursor = await conn.execute(REMOVE, _columns(items))
    removed = {Key(row[0], row[1]) for row in await cursor.fetchall()}
    return tuple(item for item in items if Key(item.entity, item.system_id) in removed)


async def try_again(
    conn: Connection, *, entity: str | None = None, after_s: float = 0.0, limit: int | None = None
) -> int:
    """Mark, behind everything else, what was parked at least so long ago; return how much that is."""
    cursor = await conn.execute(DUE, {"entity": entity, "after_s": after_s, "limit": limit})
    keys: dict[Key, int | None] = {Key(row[0], row[1]): None for row in await cursor.fetchall()}
    await work.mark(conn, keys, reason=Reason.OURS | Reason.THEIRS, priority=Priority.BACKFILL)
    return len(keys)


async def participants(conn: Connection, items: Sequence[Parked]) -> dict[Key, str | None]:
    """Return the participant whom each piece of work concerns, as far as is known."""
    cursor = await conn.execute(PARTICIPANTS, _columns(items))
    return {Key(row[0], row[1]): row[2] for row in await cursor.fetchall()}


def _columns(items: Sequence[Parked]) -> dict[str, list[str]]:
    return {"entities": [item.entity for item in items], "ids": [item.system_id for item in items]}
