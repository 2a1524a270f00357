"""What nearly all changes are, told and stored in SQL: one update, or the insert, of a row, with all of its columns.

It says what `stamping.after` says of those, without bringing what is known of the rows here and back; a test holds the
two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, LiteralString, TypeGuard

from state.arrays import blobs, numbers, texts
from state.copying import NULL, WORTH_IT, copy, escaped, some
from state.database import Connection
from state.stamping import UNKNOWN, Change, Wrote, after

# Only rows that can be compared are touched, which no seed does
MOVE: Final[LiteralString] = """
update row_stamp s set
    hashes = n.hashes,
    changed_at = n.changed_at,
    column_times = null,
    seeded_lsn = case when (s.seeded_lsn - '0/0')::int8 >= n.lsn then s.seeded_lsn end
from unnest(%(ids)s::text[], %(hashes)s::bytea[], %(changed)s::timestamptz[], %(lsns)s::int8[])
    as n (system_id, hashes, changed_at, lsn)
where s.entity = %(entity)s and s.system_id = n.system_id
    and substr(s.hashes, 1, 4) = substr(n.hashes, 1, 4)
    and (s.hashes <> n.hashes or (s.seeded_lsn - '0/0')::int8 >= n.lsn)
"""

# Those of which nothing is known that can be compared
BEGIN: Final[LiteralString] = """
insert into row_stamp as s (entity, system_id, hashes, changed_at)
select %(entity)s, n.system_id, n.hashes, n.changed_at
from unnest(%(ids)s::text[], %(hashes)s::bytea[], %(changed)s::timestamptz[]) as n (system_id, hashes, changed_at)
where not exists (
    select from row_stamp k
    where k.entity = %(entity)s and k.system_id = n.system_id and substr(k.hashes, 1, 4) = substr(n.hashes, 1, 4)
)
-- sorted, as a seed's are: two that insert the same rows must come upon each other in the same order
order by n.system_id collate "C"
on conflict (entity, system_id) do update set
    hashes = excluded.hashes,
    changed_at = excluded.changed_at,
    column_times = null,
    deleted_at = null,
    seeded_lsn = null
"""

KNOWN_AT_ALL: Final[LiteralString] = """
select exists (select from row_stamp where entity = %(entity)s and system_id = any (%(ids)s::text[]))
"""

COPY: Final[LiteralString] = "copy row_stamp (entity, system_id, hashes, changed_at, column_times) from stdin"


def whole(change: Change) -> TypeGuard[Wrote]:
    """Whether it is by the application and says something of each column."""
    return isinstance(change, Wrote) and not change.ours and UNKNOWN not in change.hashes


async def move(conn: Connection, entity: str, updates: Sequence[Wrote]) -> None:
    """Store updates of as many rows, in SQL."""
    arguments = {
        "entity": entity,
        "ids": texts(change.system_id for change in updates),
        "hashes": blobs(change.hashes for change in updates),
        "changed": texts(text_of(change.at) for change in updates),
        "lsns": numbers(change.lsn for change in updates),
    }
    moved = await conn.execute(MOVE, arguments)
    # in a pipeline the count is not known yet (-1), and it is asked always
    if moved.rowcount < len(updates):
        await conn.execute(BEGIN, arguments)


async def copied(conn: Connection, entity: str, inserts: Sequence[Wrote], *, per_column: bool) -> bool:
    """Store as many new rows, unless they are few or something is known of one of them; return whether it is done."""
    if len(inserts) < WORTH_IT:
        return False
    # in the order of every other writer, see BEGIN
    in_order = sorted(inserts)
    arguments = {"entity": entity, "ids": texts(change.system_id for change in some(in_order))}
    row = await (await conn.execute(KNOWN_AT_ALL, arguments, prepare=False)).fetchone()
    assert row is not None
    if row[0]:
        return False
    return await copy(conn, COPY, [_line(entity, change, per_column=per_column) for change in in_order])


def _line(entity: str, change: Wrote, *, per_column: bool) -> str:
    times = after(None, change, per_column=per_column).column_times if per_column else None
    return "\t".join(
        (
            entity, escaped(change.system_id), f"\\\\x{change.hashes.hex()}", str(text_of(change.at)),
            f"\\\\x{times.hex()}\n" if times is not None else f"{NULL}\n",
        )
    )


@lru_cache(maxsize=256)
def text_of(moment: datetime | None) -> str | None:
    """Return an instant as the server reads it; those of a batch are few."""
    return moment.isoformat() if moment is not None else None
