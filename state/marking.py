"""Marking everything: each row, then each link, of an entity, in pages by key; survives a restart in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from state.database import Connection

START: Final[LiteralString] = """
insert into marking (entity)
select unnest(%(entities)s::text[])
on conflict (entity) do update set phase = 'rows', after_id = '', marked = 0
"""

UNDER_WAY: Final[LiteralString] = "select entity, phase, after_id, marked from marking"

ADVANCE: Final[LiteralString] = """
update marking set phase = %(phase)s, after_id = %(after_id)s, marked = marked + %(added)s where entity = %(entity)s
"""

FINISH: Final[LiteralString] = "delete from marking where entity = %(entity)s"


@dataclass(frozen=True, slots=True)
class Marking:
    """How far the marking of one entity is: `rows` come first, then `links`."""

    entity: str
    phase: str
    after_id: str
    marked: int


async def start(conn: Connection, entities: Sequence[str]) -> None:
    """Begin (or begin again) the marking of these entities."""
    await conn.execute(START, {"entities": list(entities)})


async def under_way(conn: Connection) -> tuple[Marking, ...]:
    """Return the markings that are not finished."""
    async with conn.cursor(row_factory=class_row(Marking)) as cursor:
        await cursor.execute(UNDER_WAY)
        return tuple(await cursor.fetchall())


async def advance(conn: Connection, entity: str, *, phase: str, after_id: str, added: int) -> None:
    """Store how far it is, in the transaction of the marks themselves."""
    await conn.execute(ADVANCE, {"entity": entity, "phase": phase, "after_id": after_id, "added": added})


async def finish(conn: Connection, entity: str) -> None:
    """Everything of this entity is marked."""
    await conn.execute(FINISH, {"entity": entity})
