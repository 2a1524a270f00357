"""Copying rows into a table: half of the log and of the time that it takes to insert them.

An insert, and an upsert even twice, logs each row by itself; a copy logs a page at a time. It can't pass over rows that
are there: who copies has looked for some of them first, and inserts after all when one is there. The server's log tells
of that as an ERROR (duplicate key), with the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, LiteralString, TypeVar

from psycopg.errors import UniqueViolation

from state.database import Connection

WORTH_IT: Final = 100
"""Fewer rows are inserted: a copy takes more round trips."""
NULL: Final = "\\N"
SOME: Final = 100
"""So many are looked for first: to look for all takes as long as to copy them."""
T = TypeVar("T")


async def copy(conn: Connection, statement: LiteralString, lines: Iterable[str]) -> bool:
    """Copy all of the lines in, or none; return whether they are in. False: one of the rows is there."""
    try:
        async with conn.transaction(), conn.cursor() as cursor, cursor.copy(statement) as copying:
            await copying.write("".join(lines))
    except UniqueViolation:
        return False
    return True


def some(items: Sequence[T]) -> Sequence[T]:
    """Return a hundred of them, or up to twice as many, evenly from the first on."""
    return items[:: max(1, len(items) // SOME)]


def escaped(text: str) -> str:
    """Return a text as the server reads it in a line."""
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
