"""The work queue: which keys may differ between the two sides. One row a key, durable, bounded by the number of rows.

Every mark takes a fresh `gen`. A worker claims (its own transaction), reads both sides, acts, and clears in the
transaction that stores the new base, only where `gen` and `fence` are still the ones it claimed: a newer mark
survives, and a worker that lost its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from state import fresh
from state.arrays import numbers, texts
from state.changes import Key, Priority, Reason
from state.database import Connection, Pool
from state.errors import SyncError

# A 32-bit xid from the log gets its epoch from this server's newest xid: the nearest one, since a decoded
# transaction is recent. It may lie above the snapshot's xmax while its commit waits for a synchronous standby.
XID8: Final[LiteralString] = """
    (n.xmax + ((m.xid32 - n.xmax %% 4294967296 + 6442450944) %% 4294967296 - 2147483648))::text::xid8
"""

# What becomes of a key that is marked again
AGAIN: Final[LiteralString] = """
on conflict (entity, system_id) do update set
    gen = excluded.gen,
    reasons = w.reasons | excluded.reasons,
    priority = least(w.priority, excluded.priority),
    xid = coalesce(excluded.xid, w.xid),
    -- a claimed key stays with its worker: due_at is then the end of the lease
    due_at = case when w.fence is null then greatest(least(w.due_at, excluded.due_at), w.not_before) else w.due_at end
"""

MARK: Final[LiteralString] = f"""
with now_xid as (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax),
marks as (
    select entity, system_id, xid32
    from unnest(%(entities)s::text[], %(ids)s::text[], %(xids)s::bigint[]) as m (entity, system_id, xid32)
)
insert into work as w (entity, system_id, reasons, priority, xid)
select m.entity, m.system_id, %(reasons)s, %(priority)s, {XID8}
from marks m cross join now_xid n
-- sorted: two writers that upsert the same keys must take their locks in the same order, whether they are sorted by
-- the server or by Python
order by m.entity collate "C", m.system_id collate "C"
{AGAIN}
"""  # noqa: S608 - made of two constants

CLAIM: Final[LiteralString] = """
with due as (
    select entity, system_id
    from work
    where due_at <= clock_timestamp()
      and priority <= %(lowest)s
      and entity <> all (%(paused)s::text[])
    order by priority, due_at
    limit %(limit)s
    for update skip locked
)
update work w set
    fence = nextval('work_fence'),
    due_at = clock_timestamp() + make_interval(secs => %(lease_s)s),
    attempts = w.attempts + 1
from due
where w.entity = due.entity and w.system_id = due.system_id
returning w.entity, w.system_id, w.gen, w.reasons, w.priority, w.fence, w.attempts, w.xid::text as xid, w.marked_at
"""

# A lease that is young is only looked at, under a lock: to move its end writes the row and both of its index entries
RENEW: Final[LiteralString] = """
with held as (
    select entity, system_id, gen, reasons, priority, fence, attempts, xid::text as xid, marked_at,
        due_at < clock_timestamp() + make_interval(secs => %(lease_s)s * 0.75) as ends_soon
    from work
    where entity = %(entity)s and system_id = %(system_id)s and fence = %(fence)s
    for update
),
extended as (
    update work w set due_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
    from held h
    where w.entity = h.entity and w.system_id = h.system_id and h.ends_soon
)
select entity, system_id, gen, reasons, priority, fence, attempts, xid, marked_at from held
"""

CLEAR: Final[LiteralString] = """
delete from work
where entity = %(entity)s and system_id = %(system_id)s and fence = %(fence)s and gen = %(gen)s
"""

# Locks in key order, as capture's upserts do: a bulk delete in any order could deadlock with them
HOLD_MANY: Final[LiteralString] = """
select w.entity, w.system_id from work w
join unnest(%(entities)s::text[], %(ids)s::text[], %(fences)s::bigint[]) as c (entity, system_id, fence)
    on w.entity = c.entity and w.system_id = c.system_id and w.fence = c.fence
order by w.entity collate "C", w.system_id collate "C"
for update of w
"""

CLEAR_MANY: Final[LiteralString] = """
delete from work w
using unnest(%(entities)s::text[], %(ids)s::text[], %(fences)s::bigint[], %(gens)s::bigint[])
    as c (entity, system_id, fence, gen)
where w.entity = c.entity and w.system_id = c.system_id and w.fence = c.fence and w.gen = c.gen
"""

# A newer mark came while we worked: the key goes back, and at once. What it was first marked for is done, so its age
# starts anew (by a little too late: when exactly the newer mark came was not kept)
GIVE_BACK_MANY: Final[LiteralString] = """
update work w set
    fence = null,
    attempts = 0,
    marked_at = clock_timestamp(),
    due_at = greatest(clock_timestamp(), w.not_before)
from unnest(%(entities)s::text[], %(ids)s::text[], %(fences)s::bigint[]) as c (entity, system_id, fence)
where w.entity = c.entity and w.system_id = c.system_id and w.fence = c.fence
"""

# In key order, as capture locks. Their attempts did not fail, they were cut short: a few restarts must not bring
# work closer to being parked
_FREE: Final[LiteralString] = """
update work w set
    fence = null,
    due_at = greatest(clock_timestamp(), w.not_before),
    attempts = greatest(w.attempts - 1, 0)
from freed
where w.entity = freed.entity and w.system_id = freed.system_id
"""

# Only by the process that just became the active one: whoever held these leases is gone, or fenced off by this
TAKE_OVER: Final[LiteralString] = f"""
with freed as (
    select entity, system_id from work where fence is not null
    order by entity collate "C", system_id collate "C"
    for update
)
{_FREE}
"""  # noqa: S608 - made of two constants

# A claimed key is due when its lease ends, so that the index finds them among all
FREE_LOST: Final[LiteralString] = f"""
with freed as (
    select entity, system_id from work
    where priority = any (%(priorities)s::smallint[]) and due_at > now()
      and fence is not null and fence <> all (%(held)s::bigint[])
    order by entity collate "C", system_id collate "C"
    for update skip locked
)
{_FREE}
"""  # noqa: S608 - made of two constants

HOLD: Final[LiteralString] = """
select 1 from work
where entity = %(entity)s and system_id = %(system_id)s and fence = %(fence)s
for update
"""

# A mark that came while we worked wakes the key at once, as it would have woken one that nobody held
RELEASE: Final[LiteralString] = """
update work set
    fence = null,
    due_at = case
        when gen = %(gen)s or %(hold)s then clock_timestamp() + make_interval(secs => %(wait_s)s)
        else greatest(clock_timestamp(), not_before)
    end,
    not_before = case when %(hold)s then clock_timestamp() + make_interval(secs => %(wait_s)s) else not_before end,
    attempts = case when %(counts)s then attempts else attempts - 1 end
where entity = %(entity)s and system_id = %(system_id)s and fence = %(fence)s
"""

PARK: Final[LiteralString] = """
insert into parked as p (entity, system_id, reason, message, attempts)
values (%(entity)s, %(system_id)s, %(reason)s, %(message)s, %(attempts)s)
on conflict (entity, system_id) do update set
    reason = excluded.reason, message = excluded.message, attempts = excluded.attempts, parked_at = excluded.parked_at
"""

UNPARK: Final[LiteralString] = """
delete from parked p
using unnest(%(entities)s::text[], %(ids)s::text[]) as c (entity, system_id)
where p.entity = c.entity and p.system_id = c.system_id
"""

# A priority at a time, so that the index finds the first of each: this is asked all the time, of a long queue too
NEXT_DUE: Final[LiteralString] = """
select extract(epoch from min(first.due_at) - clock_timestamp())::float8
from unnest(%(priorities)s::smallint[]) as p (priority)
cross join lateral (
    select w.due_at
    from work w
    where w.priority = p.priority and w.entity <> all (%(paused)s::text[])
    order by w.due_at
    limit 1
) as first
"""

DEPTH: Final[LiteralString] = """
select priority, count(*), extract(epoch from clock_timestamp() - min(marked_at))::float8 from work group by priority
"""


class LeaseLost(SyncError):
    """Another worker owns the key now; nothing of ours may be written."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One key a worker holds until its lease ends."""

    entity: str
    system_id: str
    gen: int
    reasons: int
    priority: int
    fence: int
    attempts: int
    xid: str | None
    marked_at: datetime

    @property
    def key(self) -> Key:
        return Key(self.entity, self.system_id)


@dataclass(frozen=True, slots=True)
class Parked:
    """Work that can't succeed as it is, and why."""

    entity: str
    system_id: str
    reason: str
    message: str
    attempts: int
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How much work of one priority waits, and since when."""

    keys: int
    oldest_age_s: float


async def mark(
    conn: Connection, keys: Mapping[Key, int | None], *, reason: Reason, priority: Priority
) -> None:
    """Mark `keys` dirty. The value is the 32-bit xid of the source transaction; None: there is none to wait for."""
    if not keys or await fresh.mark(conn, keys, reasons=int(reason), priority=int(priority)):
        return
    await conn.execute(
        MARK,
        {
            "entities": texts(key.entity for key in keys),
            "ids": texts(key.system_id for key in keys),
            "xids": numbers(keys.values()),
            "reasons": int(reason),
            "priority": int(priority),
        },
    )


async def hold(conn: Connection, claim: Claim) -> None:
    """Lock the claimed key for the rest of the transaction; raises LeaseLost when it is no longer ours."""
    cursor = await conn.execute(HOLD, _own(claim))
    if await cursor.fetchone() is None:
        raise LeaseLost(f"the lease of {claim.entity} was taken over")


async def finish(conn: Connection, claims: Sequence[Claim]) -> None:
    """Clear what nobody marked meanwhile and give the rest back, due at once. Clears their parked entries.

    A claim whose lease was lost is passed over: `hold` it first where something else is written with it.
    """
    if not claims:
        return
    # a savepoint of its own would have the server note that two of its transactions lock each key
    within = conn.info.transaction_status is TransactionStatus.INTRANS
    async with nullcontext() if within else conn.transaction():
        cursor = await conn.execute(HOLD_MANY, _columns(claims))
        held = {Key(row[0], row[1]) for row in await cursor.fetchall()}
        columns = _columns([claim for claim in claims if claim.key in held])
        await conn.execute(CLEAR_MANY, columns)
        await conn.execute(GIVE_BACK_MANY, columns)
        await conn.execute(UNPARK, columns)


async def release(conn: Connection, claim: Claim, *, wait_s: float, counts: bool, hold_marks: bool = False) -> None:
    """Give the key back, due in `wait_s`, or at once when it was marked meanwhile. `counts`: it failed.

    `hold_marks`: no mark, not one that came meanwhile either, makes it due any earlier.
    """
    await conn.execute(
        RELEASE, {**_own(claim), "gen": claim.gen, "wait_s": wait_s, "counts": counts, "hold": hold_marks}
    )


async def park(conn: Connection, claim: Claim, *, reason: str, message: str) -> None:
    """Set the key aside with its reason; a mark that came meanwhile stays in the queue."""
    async with conn.transaction():
        await hold(conn, claim)
        await conn.execute(PARK, {**_own(claim), "reason": reason, "message": message, "attempts": claim.attempts})
        cursor = await conn.execute(CLEAR, {**_own(claim), "gen": claim.gen})
        if cursor.rowcount == 0:
            await release(conn, claim, wait_s=0, counts=False)


def _own(claim: Claim) -> dict[str, object]:
    return {"entity": claim.entity, "system_id": claim.system_id, "fence": claim.fence}


def _columns(claims: Sequence[Claim]) -> dict[str, list[str] | list[int]]:
    return {
        "entities": [claim.entity for claim in claims],
        "ids": [claim.system_id for claim in claims],
        "fences": [claim.fence for claim in claims],
        "gens": [claim.gen for claim in claims],
    }


class WorkQueue:
    """Claiming and counting, on connections of its own."""

    def __init__(self, pool: Pool, *, lease_s: float) -> None:
        self._pool = pool
        self.lease_s = lease_s

    async def claim(self, *, limit: int, lowest: Priority, paused: Iterable[str] = ()) -> tuple[Claim, ...]:
        """Claim up to `limit` due keys whose priority is `lowest` or better, best first."""
        async with self._pool.connection() as conn, conn.cursor(row_factory=class_row(Claim)) as cursor:
            await cursor.execute(
                CLAIM, {"limit": limit, "lowest": int(lowest), "paused": list(paused), "lease_s": self.lease_s}
            )
            claims = await cursor.fetchall()
        return tuple(sorted(claims, key=lambda claim: (claim.priority, claim.marked_at)))

    async def renew(self, claim: Claim, conn: Connection | None = None) -> Claim:
        """Make the lease last and return the key as it stands now; raises LeaseLost when it is no longer ours.

        Three quarters of a lease are left afterwards, or more.
        """
        async with (
            nullcontext(conn) if conn is not None else self._pool.connection() as used,
            used.cursor(row_factory=class_row(Claim)) as cursor,
        ):
            await cursor.execute(RENEW, {**_own(claim), "lease_s": self.lease_s})
            renewed = await cursor.fetchone()
        if renewed is None:
            raise LeaseLost(f"the lease of {claim.entity} was taken over")
        return renewed

    async def take_over(self) -> int:
        """Free every lease of an earlier process, which can't write any more then; return how many there were."""
        async with self._pool.connection() as conn:
            return (await conn.execute(TAKE_OVER)).rowcount

    async def free_lost(self, held: Sequence[int]) -> int:
        """Free what is claimed and not among the fences that are held; return how many there were.

        Only for the one who makes all claims, between two of them.
        """
        async with self._pool.connection() as conn:
            arguments = {"held": list(held), "priorities": [int(each) for each in Priority]}
            return (await conn.execute(FREE_LOST, arguments)).rowcount

    async def next_due_s(self, paused: Iterable[str] = ()) -> float | None:
        """Return the seconds until the next key is due (may be negative), or None when the queue is empty."""
        async with self._pool.connection() as conn:
            row = await (
                await conn.execute(NEXT_DUE, {"paused": list(paused), "priorities": [int(each) for each in Priority]})
            ).fetchone()
        return row[0] if row is not None else None

    async def depth(self) -> Mapping[Priority, Depth]:
        """Return how much waits, by priority."""
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(DEPTH)).fetchall()
        return {Priority(priority): Depth(keys, age_s) for priority, keys, age_s in rows}
