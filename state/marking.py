"""Marking everything: each row, then each link, of an entity, in pages by key; survives a restart in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from state.changes import Priority, Reason
from state.database import Connection
from state.work import AGAIN

# sorted, for two that begin the same ones at once; a fresh number, so that whoever is in the middle of a page of the
# marking before this one can't carry on from there
START: Final[LiteralString] = """
insert into marking as m (entity, reasons, priority)
select entity, %(reasons)s, %(priority)s from unnest(%(entities)s::text[]) as entity order by entity
on conflict (entity) do update set
    phase = 'rows', after_id = '', marked = 0, run = excluded.run,
    -- what the one before was for is still to be done
    reasons = m.reasons | excluded.reasons, priority = least(m.priority, excluded.priority)
"""

UNDER_WAY: Final[LiteralString] = "select entity, phase, after_id, marked, run, reasons, priority from marking"

ADVANCE: Final[LiteralString] = """
update marking set phase = %(phase)s, after_id = %(after_id)s, marked = marked + %(added)s
where entity = %(entity)s and run = %(run)s
"""

FINISH: Final[LiteralString] = "delete from marking where entity = %(entity)s and run = %(run)s"

LINKS: Final[LiteralString] = f"""
with page as (
    select "systemId" as system_id
    from "NotionSyncMapping"
    where "entityType" = %(entity_type)s and "systemId" > %(after)s
    order by "systemId"
    limit %(limit)s
),
marked as (
    insert into work as w (entity, system_id, reasons, priority)
    select %(entity)s, system_id, %(reasons)s, %(priority)s
    from page
    order by system_id collate "C"
    {AGAIN}
)
-- in the database's own order, which is not Python's: the caller goes on after the last one
select system_id from page order by system_id
"""  # noqa: S608 - made of two constants


@dataclass(frozen=True, slots=True)
class Marking:
    """How far the marking of one entity is: `rows` come first, then `links`."""

    entity: str
    phase: str
    after_id: str
    marked: int
    run: int    # begun again, it gets another one
    reasons: int
    priority: int


async def start(
    conn: Connection, entities: Sequence[str], *, reason: Reason = Reason.OURS, priority: Priority = Priority.BACKFILL
) -> None:
    """Begin (or begin again) the marking of these entities."""
    await conn.execute(START, {"entities": list(entities), "reasons": int(reason), "priority": int(priority)})


async def under_way(conn: Connection) -> tuple[Marking, ...]:
    """Return the markings that are not finished."""
    async with conn.cursor(row_factory=class_row(Marking)) as cursor:
        await cursor.execute(UNDER_WAY)
        return tuple(await cursor.fetchall())


async def advance(conn: Connection, item: Marking, *, phase: str, after_id: str, added: int) -> None:
    """Store how far it is, in the transaction of the marks themselves; nothing when it was begun again meanwhile."""
    await conn.execute(
        ADVANCE,
        {"entity": item.entity, "run": item.run, "phase": phase, "after_id": after_id, "added": added},
    )


async def finish(conn: Connection, item: Marking) -> bool:
    """Everything of this entity is marked; False when it was begun again meanwhile."""
    return (await conn.execute(FINISH, {"entity": item.entity, "run": item.run})).rowcount == 1


async def mark_links(
    conn: Connection, *, entity: str, entity_type: str, after: str, limit: int, reason: Reason, priority: Priority
) -> tuple[str, ...]:
    """Mark the next `limit` links of an entity after the id `after` in key order; return the ids marked."""
    cursor = await conn.execute(
        LINKS,
        {
            "entity": entity, "entity_type": entity_type, "after": after, "limit": limit,
            "reasons": int(reason), "priority": int(priority),
        },
    )
    return tuple(row[0] for row in await cursor.fetchall())
