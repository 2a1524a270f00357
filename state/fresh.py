"""Marking many keys none of which is in the queue: they are copied in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, LiteralString

from state.arrays import texts
from state.changes import Key
from state.copying import NULL, WORTH_IT, copy, escaped, some
from state.database import Connection

XIDS: Final = 1 << 32

QUEUED: Final[LiteralString] = """
select exists (select from work where entity = %(entity)s and system_id = any (%(ids)s::text[]))
"""

NOW: Final[LiteralString] = """
select clock_timestamp()::text, pg_snapshot_xmax(pg_current_snapshot())::text::int8
"""

# The times are given: a default that is computed for each row would make the server log each row by itself
COPY: Final[LiteralString] = """
copy work (entity, system_id, reasons, priority, xid, marked_at, due_at) from stdin
"""


async def mark(conn: Connection, keys: Mapping[Key, int | None], *, reasons: int, priority: int) -> bool:
    """Mark `keys`, unless they are few or one of them is in the queue already; return whether they are marked."""
    if len(keys) < WORTH_IT or await _queued(conn, some(sorted(keys))):
        return False
    return await copied_in(conn, keys, reasons=reasons, priority=priority)


async def copied_in(conn: Connection, keys: Mapping[Key, int | None], *, reasons: int, priority: int) -> bool:
    """Mark all of `keys`, or none when one of them is in the queue already; return whether they are marked."""
    row = await (await conn.execute(NOW)).fetchone()
    assert row is not None
    now, xmax = row
    xids = {xid: NULL if xid is None else str(nearest(xid, xmax)) for xid in set(keys.values())}
    rest = {xid: f"\t{reasons}\t{priority}\t{xid8}\t{now}\t{now}\n" for xid, xid8 in xids.items()}
    # in the order of every other writer, see `work.MARK`
    lines = [f"{key.entity}\t{escaped(key.system_id)}{rest[keys[key]]}" for key in sorted(keys)]
    return await copy(conn, COPY, lines)


def nearest(xid: int, xmax: int) -> int:
    """Return the 64-bit number of a transaction that the log gives 32 bits of, see `work.XID8`."""
    return xmax + (xid - xmax % XIDS + XIDS + XIDS // 2) % XIDS - XIDS // 2


async def _queued(conn: Connection, keys: Iterable[Key]) -> bool:
    by_entity: dict[str, list[str]] = {}
    for entity, system_id in keys:
        by_entity.setdefault(entity, []).append(system_id)
    for entity, ids in by_entity.items():
        # planned each time: for as many keys as there are
        row = await (await conn.execute(QUEUED, {"entity": entity, "ids": texts(ids)}, prepare=False)).fetchone()
        assert row is not None
        if row[0]:
            return True
    return False
