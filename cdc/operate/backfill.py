"""The initial sync by command: mark everything, then see it through, alone or by watching the active process do it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString, Protocol

import psycopg

from cdc import cluster
from cdc.app import Parts, reconciler_of, schema_watch_of, sink_of
from cdc.leadership import Leadership, LockConnection
from cdc.reconcile.loop import Reconciler
from cdc.tasks import attempt, end
from sinks.base import SinkUnavailable
from sinks.mapping.model import Entity
from state.database import readable
from state.errors import FatalError, SyncError, TransientError
from state.work import Parked

POLL_S: Final = 0.25
WATCH_S: Final = 3.0
DRAIN_S: Final = 7.0
GIVE_UP_S: Final = 60.0
"""When all that is left belongs to databases that can't be used, this long is waited for them to heal."""
FAILURES: Final = 8

NOW: Final[LiteralString] = "select clock_timestamp()"

# What this backfill waits for: all bulk work, and what was marked before everything was, whatever came on top since
WAITING: Final[LiteralString] = """
select entity, count(*)
from work
where entity = any (%(entities)s) and (priority >= 2 or marked_at <= %(until)s)
group by entity
"""
MARKING: Final[LiteralString] = "select exists (select 1 from marking where entity = any (%(entities)s))"

PARKED: Final[LiteralString] = """
select entity, system_id, reason, message, attempts, parked_at
from parked
where entity = any (%(entities)s) and parked_at >= %(since)s
order by parked_at, entity, system_id
"""


class Progress(Protocol):
    """Whom the backfill tells how it goes."""

    def moved(self, done: int, total: int) -> None:
        """`done` of `total` keys are through."""
        ...

    def said(self, note: str) -> None:
        """Something that a person may want to know, once per change."""
        ...


@dataclass(frozen=True, slots=True)
class Left:
    """What is still to be done."""

    marking: bool
    keys: Mapping[str, int]

    @property
    def waiting(self) -> int:
        return sum(self.keys.values())


class Backfill:
    """One backfill of some entities."""

    def __init__(
        self, parts: Parts, entities: Sequence[Entity], progress: Progress, *, also: Sequence[str] = ()
    ) -> None:
        self._parts = parts
        self._entities = entities
        self._progress = progress
        self._names = [*(entity.name for entity in entities), *also]
        self._total = 0
        self._marked_at: datetime | None = None
        self._note: str | None = None
        self._asked = False

    async def run(self) -> tuple[Parked, ...]:
        """Mark every row and see all of it through; return what ended parked.

        Works the queue off itself when no `run` is active, else watches the active one do it. Raises FatalError when
        a person must act first.
        """
        await sink_of(self._parts)
        await cluster.ours(self._parts.pool, self._parts.settings.direct.dsn)
        started_at = await self._now()
        await self._parts.marker.start(self._entities)
        return await self.see_through(started_at)

    async def see_through(self, since: datetime) -> tuple[Parked, ...]:
        """See what is marked through; return what was parked `since` then."""
        await self._to_the_end()
        return await self._parked(since)

    async def _to_the_end(self) -> None:
        """Go on until nothing is left, through a restart of the database and the end of the active process."""
        failures, done = 0, False
        while not done:
            waiting, wait_s = self._total, 0.0
            try:
                # asked again while watching: should the active process end, the rest is ours to do
                leadership = self._parts.leadership()
                async with leadership.attempt() as lock:
                    if lock is None:
                        self._say("`mapable-cdc run` is active and does the work")
                        done = await self._watch(WATCH_S)
                    else:
                        done = await attempt(self._work(leadership, lock), "work")
                failures = 0
            except* (TransientError, psycopg.Error, OSError) as group:
                failures = failures + 1 if self._total == waiting else 0
                if failures >= FAILURES:
                    raise
                self._say(f"interrupted, trying again: {_told(group)}")
                wait_s = min(5.0, 0.2 * 2.0**failures)
            await asyncio.sleep(wait_s)

    async def _work(self, leadership: Leadership, lock: LockConnection) -> bool:
        await cluster.ours(self._parts.pool, self._parts.settings.direct.dsn)
        await leadership.assume(lock)
        sink = await sink_of(self._parts)
        await self._parts.queue.take_over()
        schema = schema_watch_of(self._parts, sink)
        reconciler = reconciler_of(self._parts, sink, schema)
        self._say(None)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(leadership.watch(lock), name="watch lock")
            schemas = tasks.create_task(schema.run(everything=False), name="watch schemas")
            working = tasks.create_task(reconciler.run(), name="reconcile")
            try:
                await self._parts.marker.finish()
                reconciler.wake()
                return await self._watch(math.inf, reconciler)
            finally:
                reconciler.stop()
                self._parts.pacer.send_away()
                await asyncio.wait([working], timeout=DRAIN_S)
                await end((watching, schemas, working))

    async def _watch(self, for_s: float, reconciler: Reconciler | None = None) -> bool:
        """Watch until nothing of these entities is left; False when `for_s` ended first."""
        until_s = time.monotonic() + for_s
        moved_s, last = time.monotonic(), -1
        while time.monotonic() < until_s:
            left = await self._left()
            self._total = max(self._total, left.waiting)
            self._progress.moved(self._total - left.waiting, self._total)
            if not left.marking and not left.waiting:
                return True
            if left.waiting != last:
                moved_s, last = time.monotonic(), left.waiting
            if reconciler is not None:
                await self._look_at(reconciler, left, time.monotonic() - moved_s)
            await asyncio.sleep(POLL_S)
        return False

    async def _look_at(self, reconciler: Reconciler, left: Left, still_s: float) -> None:
        """Say what holds the work up; raises FatalError when nothing but a person can move it."""
        breaker = self._parts.pacer.breaker
        if breaker.open and not self._asked:
            self._asked = True
            await self._ask_why()
        paused = {name: why for name, why in reconciler.paused.reasons.items() if left.keys.get(name)}
        if breaker.open:
            self._say(f"waiting for Notion: {breaker.reason}")
        elif paused:
            self._say("; ".join(f"{name} is paused: {why}" for name, why in sorted(paused.items())))
            if still_s > GIVE_UP_S and not left.marking and set(left.keys) <= set(paused):
                name, why = min(paused.items())
                raise FatalError(
                    f"{left.waiting} rows are left, which can't be worked on: {name}: {why}",
                    "Mend that (look at the database in Notion, and at the columns of the table), then run backfill "
                    "again; the rows stay marked.",
                )
        else:
            self._say(None)

    async def _ask_why(self) -> None:
        """Tell a Notion that is down, which is waited for, from one that refuses us, which only a person can mend."""
        try:
            await self._parts.client.request("GET", "users/me")
        except SinkUnavailable as error:
            raise FatalError(
                str(error),
                "Check NOTION_API_KEY, and the connection's capabilities in Notion: read, update and insert content.",
            ) from None
        except TransientError:
            return

    async def _left(self) -> Left:
        now = await self._now()
        async with self._parts.pool.connection() as conn:
            # marking first: what it marked before it was seen to have ended is counted below
            row = await (await conn.execute(MARKING, {"entities": self._names})).fetchone()
            assert row is not None
            if not row[0] and self._marked_at is None:
                self._marked_at = now
            until = self._marked_at or now
            cursor = await conn.execute(WAITING, {"entities": self._names, "until": until})
            return Left(bool(row[0]), {name: int(count) for name, count in await cursor.fetchall()})

    async def _now(self) -> datetime:
        """Return the database's time: this machine's may differ."""
        async with self._parts.pool.connection() as conn:
            row = await (await conn.execute(NOW)).fetchone()
        assert row is not None
        now: datetime = row[0]
        return now

    async def _parked(self, since: datetime) -> tuple[Parked, ...]:
        async with self._parts.pool.connection() as conn:
            cursor = await conn.execute(PARKED, {"entities": self._names, "since": since})
            return tuple(Parked(*row) for row in await cursor.fetchall())

    def _say(self, note: str | None) -> None:
        if note is not None and note != self._note:
            self._progress.said(note)
        self._note = note


def _told(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, psycopg.Error):
        return f"the database failed: {readable(error)}"
    return str(error) if isinstance(error, SyncError) else type(error).__name__
