"""When MapAble last changed each row: kept by capture, read where both sides changed a field. The rule is `stamping`.

Whoever writes here and in the queue touches the queue first, so that no two wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from state.arrays import blobs, numbers, texts
from state.changes import Lsn
from state.database import Connection
from state.stamping import Change, Known, Layout, Wrote, after, times_of
from state.wholestamps import copied, move, text_of, whole

LOAD: Final[LiteralString] = """
select system_id, hashes, changed_at, column_times, deleted_at
from row_stamp
where entity = %(entity)s and system_id = any (%(ids)s)
"""

# One look into the index for each, however many rows there are, which a join would not promise
KNOWN: Final[LiteralString] = """
select k.system_id, s.hashes, s.changed_at, s.column_times, s.deleted_at, s.seeded_lsn
from unnest(%(ids)s::text[]) as k (system_id)
cross join lateral (
    select hashes, changed_at, column_times, deleted_at, (seeded_lsn - '0/0')::int8 as seeded_lsn
    from row_stamp
    where entity = %(entity)s and system_id = k.system_id
    limit 1
) as s
"""

# For the rest of the transaction: one look into the index for each row, however many there are, and never a join
# that reads the whole table
BY_KEY: Final[LiteralString] = """
select set_config('enable_' || way, 'off', true) from unnest('{hashjoin,mergejoin,seqscan}'::text[]) as way
"""
MANY: Final = 50

# Of rows that are known
CHANGE: Final[LiteralString] = """
update row_stamp s set
    hashes = n.hashes,
    changed_at = n.changed_at,
    column_times = n.column_times,
    deleted_at = n.deleted_at,
    seeded_lsn = '0/0'::pg_lsn + n.seeded_lsn
from unnest(
    %(ids)s::text[], %(hashes)s::bytea[], %(changed)s::timestamptz[], %(times)s::bytea[], %(deleted)s::timestamptz[],
    %(seeded)s::numeric[]
) as n (system_id, hashes, changed_at, column_times, deleted_at, seeded_lsn)
where s.entity = %(entity)s and s.system_id = n.system_id
"""

# sorted, see BEGIN
KEEP: Final[LiteralString] = """
insert into row_stamp as s (entity, system_id, hashes, changed_at, column_times, deleted_at, seeded_lsn)
select %(entity)s, system_id, hashes, changed_at, column_times, deleted_at, '0/0'::pg_lsn + seeded_lsn
from unnest(
    %(ids)s::text[], %(hashes)s::bytea[], %(changed)s::timestamptz[], %(times)s::bytea[], %(deleted)s::timestamptz[],
    %(seeded)s::numeric[]
) as n (system_id, hashes, changed_at, column_times, deleted_at, seeded_lsn)
order by system_id collate "C"
on conflict (entity, system_id) do update set
    hashes = excluded.hashes,
    changed_at = excluded.changed_at,
    column_times = excluded.column_times,
    deleted_at = excluded.deleted_at,
    seeded_lsn = excluded.seeded_lsn
"""

# Only where capture has written nothing that can be compared with. The place in the log is taken after the row was
# read: a commit before it may or may not be in what was read.
SEED: Final[LiteralString] = """
insert into row_stamp as s (entity, system_id, hashes, seeded_lsn)
select %(entity)s, n.system_id, n.hashes, pg_current_wal_insert_lsn()
from unnest(%(ids)s::text[], %(hashes)s::bytea[]) as n (system_id, hashes)
-- looked for first: an upsert would lock every row that needs nothing
where not exists (
    select from row_stamp k
    where k.entity = %(entity)s and k.system_id = n.system_id
        and (k.deleted_at is not null or substr(k.hashes, 1, 4) = substr(n.hashes, 1, 4))
)
order by n.system_id collate "C"
on conflict (entity, system_id) do update set
    hashes = excluded.hashes, column_times = null, seeded_lsn = excluded.seeded_lsn
where s.deleted_at is null and substr(s.hashes, 1, 4) <> substr(excluded.hashes, 1, 4)
"""

FORGET: Final[LiteralString] = "delete from row_stamp where entity = any (%(entities)s)"


@dataclass(frozen=True, slots=True)
class Stamp:
    """When MapAble last changed a row. None, and a column that is missing: unknown, but not after `changed_at`."""

    changed_at: datetime | None
    columns: Mapping[str, datetime]     # filled under timestamp-based only
    deleted_at: datetime | None


async def load(conn: Connection, entity: str, columns: Sequence[str], ids: Sequence[str]) -> Mapping[str, Stamp]:
    """Return the stamps of these rows by system id; rows without one are left out. `columns`: all that are mapped."""
    layout = Layout.of(columns)
    cursor = await conn.execute(LOAD, {"entity": entity, "ids": list(ids)})
    known = {row[0]: Known(*row[1:]) for row in await cursor.fetchall()}
    return {
        system_id: Stamp(row.changed_at, times_of(layout, row), row.deleted_at) for system_id, row in known.items()
    }


async def store(
    conn: Connection, entity: str, changes: Sequence[Change], *, done: Lsn, per_column: bool
) -> None:
    """Bring the stamps of an entity's rows up to date with changes in the order of the log.

    A change before `done` was stored before, and would seem new where another one came after it.
    """
    fresh = [change for change in changes if change.lsn >= done]
    if not fresh:
        return
    if len(fresh) >= MANY:
        await conn.execute(BY_KEY)
    often = {row for row, times in Counter(change.system_id for change in fresh).items() if times > 1}
    plain = [change for change in fresh if whole(change) and change.system_id not in often]
    updates = [] if per_column else [change for change in plain if not change.new]
    inserts = [change for change in plain if change.new]
    if updates:
        await move(conn, entity, updates)
    if inserts and not await copied(conn, entity, inserts, per_column=per_column):
        inserts = []
    done_with = {change.system_id for change in (*updates, *inserts)}
    if len(done_with) < len(fresh):
        rest = [change for change in fresh if change.system_id not in done_with]
        await _fold(conn, entity, rest, per_column=per_column)


async def _fold(conn: Connection, entity: str, changes: Sequence[Change], *, per_column: bool) -> None:
    """Store changes, any number of a row, by bringing what is known of the rows here."""
    first: dict[str, Change] = {}
    for change in changes:
        first.setdefault(change.system_id, change)
    before = await _known(conn, entity, [system_id for system_id, change in first.items() if _compares(change)])
    now = dict(before)
    for change in changes:
        now[change.system_id] = after(now.get(change.system_id), change, per_column=per_column)
    stamps = {system_id: known for system_id, known in now.items() if known is not before.get(system_id)}
    changed = {system_id: known for system_id, known in stamps.items() if system_id in before}
    if changed:
        await conn.execute(CHANGE, {"entity": entity, **_columns(changed)})
    if len(changed) < len(stamps):
        new = {system_id: known for system_id, known in stamps.items() if system_id not in before}
        await conn.execute(KEEP, {"entity": entity, **_columns(new)})


async def seed(conn: Connection, entity: str, hashes: Mapping[str, bytes]) -> None:
    """Keep what was read of rows that capture has not seen change, so that the next change can be told from none."""
    if hashes:
        await conn.execute(SEED, {"entity": entity, "ids": list(hashes), "hashes": list(hashes.values())})


async def forget(conn: Connection, entities: Sequence[str]) -> None:
    """Forget all about these entities: changes of theirs were not seen."""
    if entities:
        await conn.execute(FORGET, {"entities": list(entities)})


def _compares(change: Change) -> bool:
    return isinstance(change, Wrote) and not change.new


async def _known(conn: Connection, entity: str, ids: Sequence[str]) -> Mapping[str, Known]:
    if not ids:
        return {}
    # planned each time: a plan from when there were few rows would look through all that there are later
    cursor = await conn.execute(KNOWN, {"entity": entity, "ids": texts(ids)}, prepare=False)
    return {row[0]: Known(*row[1:]) for row in await cursor.fetchall()}


def _columns(stamps: Mapping[str, Known]) -> dict[str, str]:
    known = stamps.values()
    return {
        "ids": texts(stamps),
        "hashes": blobs(stamp.hashes for stamp in known),
        "changed": texts(text_of(stamp.changed_at) for stamp in known),
        "times": blobs(stamp.column_times for stamp in known),
        "deleted": texts(text_of(stamp.deleted_at) for stamp in known),
        "seeded": numbers(stamp.seeded_lsn for stamp in known),
    }
