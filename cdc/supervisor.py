"""Running: become the active process or stand by, keep capture and reconcile going, stop cleanly.

Whatever ends the active part is judged here (a person must act, or wait and try again), and nothing that was durable is
lost by starting over. What fails soon each time is tried ever more seldom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg_pool import PoolTimeout

from cdc import cluster
from cdc.app import (
    Parts,
    adoption_of,
    explaining_of,
    looks_of,
    polling_of,
    reconciler_of,
    schema_watch_of,
    sink_of,
    sweeping_of,
)
from cdc.capture import Capture
from cdc.gathering import Gathering, tables
from cdc.leadership import Leadership, LeadershipLost, LockConnection
from cdc.operate import marker
from cdc.operate.retention import Retention
from cdc.operate.retrying import Retrying
from cdc.reconcile.delivery import catch_up
from cdc.reconcile.loop import Reconciler
from cdc.replication import slot as slots
from cdc.replication.faults import SlotBlocked, SlotGone
from cdc.replication.plugins import reading
from cdc.replication.stream import ReplicationStream
from cdc.slotguard import SlotGuard
from cdc.tasks import attempt, end, first
from cdc.watch.schema import SchemaWatch
from state import stamps
from state.database import readable
from state.errors import FatalError, SyncError, TransientError

STANDBY_S: Final = 1.0
HELD_S: Final = 3.0
DATABASES_S: Final = 2.0
DRAIN_S: Final = 7.0
MARKER_S: Final = 1.0
LONGEST_WAIT_S: Final = 15.0
BLOCKED_HINT: Final = "End those transactions (commit, or pg_terminate_backend); it goes on by itself."

log = structlog.get_logger(__name__)


class Supervisor:
    """One `run`: its role, its tasks, and what `/readyz` tells."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = asyncio.Event()
        self._reconciler: Reconciler | None = None
        self._schema: SchemaWatch | None = None
        self._guard = SlotGuard(parts)
        self.role = "starting"
        self.streaming = False
        self._streamed = False    # since it last became active
        self.problem: str | None = None
        self.hint: str | None = None
        parts.metrics.streaming.set_function(lambda: self.streaming)
        self._held_because: str | None = None

    def stop(self) -> None:
        """Ask for a clean end: no new work, what is in flight ends."""
        self._stopping.set()

    def wake(self) -> None:
        """Say that something was marked; on a standby the active process finds it by itself, within a second."""
        if self._reconciler is not None:
            self._reconciler.wake()

    async def run(self) -> None:
        """Run until stopped; raises FatalError when a person must act."""
        failures = 0
        leadership = self._parts.leadership()
        while not self._stopping.is_set():
            wait_s = STANDBY_S
            self._streamed = False
            try:
                async with leadership.attempt() as lock:
                    if lock is None:
                        # what went wrong was the active one's, which is another now
                        self.problem = self.hint = None
                        failures = 0
                        self._set_role("standby")
                    else:
                        await self._check_cluster()
                        await leadership.assume(lock)
                        self._set_role("active")
                        self._held_because = None
                        await attempt(self._active(leadership, lock), "active")
            except* cluster.Held as group:
                self._hold(group)
                wait_s = HELD_S
            except* FatalError as group:
                raise first(group) from None
            except* (SyncError, psycopg.Error, PoolTimeout, OSError) as group:
                failures = 1 if self._streamed else failures + 1
                wait_s = _wait_s(failures)
                self.problem, self.hint = _described(first(group)), None
                self._set_role("starting")
                log.warning("active.interrupted", why=self.problem, again_in_s=round(wait_s, 1))
            await self._wait(wait_s)

    @property
    def paused(self) -> Mapping[str, str]:
        """The entities that this process can't work on now, and why."""
        return dict(self._reconciler.paused.reasons) if self._reconciler is not None else {}

    async def readiness(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether the process does its part, and what to tell."""
        told: dict[str, Any] = {"role": self.role}
        if self.role == "active":
            told["streaming"] = self.streaming
            if self.paused:
                told["paused"] = self.paused
            if self._schema is not None and (fields := self._schema.paused_fields):
                told["pausedFields"] = dict(fields)
            breaker = self._parts.pacer.breaker
            if breaker.open:
                told |= {"degraded": True, "notion": breaker.reason}
        if self.problem is not None and not self.streaming:
            told["problem"] = self.problem
            if self.hint is not None:
                told["hint"] = self.hint
        ready = self.role == "standby" or (self.role == "active" and self.streaming)
        return ready, told

    async def _check_cluster(self) -> None:
        identity = await slots.identify(self._parts.settings.direct.dsn)
        async with self._parts.pool.connection() as conn:
            await cluster.check(conn, identity)

    def _hold(self, group: BaseExceptionGroup[BaseException]) -> None:
        """Tell that a person has to say whose data this is, and go on telling until one did."""
        held = first(group)
        assert isinstance(held, cluster.Held)
        self.problem, self.hint = str(held), held.hint
        if self._held_because != self.problem:
            log.error("cluster.held", why=self.problem, hint=self.hint)
        self._held_because = self.problem
        self._set_role("held")

    async def _active(self, leadership: Leadership, lock: LockConnection) -> None:
        """Do everything, as the only one, until stopped or something fails."""
        parts = self._parts
        sink = await sink_of(parts)
        freed = await parts.queue.take_over()
        if freed:
            log.info("leases.taken_over", leases=freed)
        async with parts.pool.connection() as conn:
            await catch_up(conn, parts.settings.entities)
        await self._mark_changed()
        adoption = adoption_of(parts, sink)
        looks = looks_of(parts, sink)
        schema = schema_watch_of(parts, sink)
        reconciler = reconciler_of(parts, sink, schema, adoption, looks)
        polling = polling_of(parts, sink, adoption, looks)
        sweeping = sweeping_of(parts, sink, adoption)
        self._reconciler, self._schema = reconciler, schema
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(leadership.watch(lock), name="watch lock"),
                    tasks.create_task(self._guard.watch(), name="watch slot"),
                    tasks.create_task(_watch_databases(schema), name="watch databases"),
                    tasks.create_task(schema.run(), name="watch schemas"),
                    tasks.create_task(self._capture_forever(reconciler.wake), name="capture"),
                    tasks.create_task(self._mark_forever(reconciler.wake, schema), name="marker"),
                    tasks.create_task(explaining_of(parts).run(), name="explaining"),
                    tasks.create_task(Retrying(parts.pool).run(reconciler.wake), name="retry parked"),
                    tasks.create_task(polling.run(reconciler.wake), name="poll"),
                    tasks.create_task(sweeping.run(reconciler.wake), name="sweep"),
                    tasks.create_task(
                        Retention(parts.pool, audit_days=parts.settings.audit_retention_days).run(), name="retention"
                    ),
                ]
                working = tasks.create_task(reconciler.run(), name="reconcile")
                try:
                    await self._stopping.wait()
                    reconciler.stop()
                    parts.pacer.send_away()
                    await asyncio.wait([working], timeout=DRAIN_S)
                finally:
                    await end((*running, working))
        finally:
            self.streaming = False
            self._reconciler = self._schema = None

    async def _capture_forever(self, on_marked: Callable[[], None]) -> None:
        """Stream, and stream again after every interruption; makes the slot when there is none to read."""
        failures = 0
        while True:
            wait_s = 0.0
            try:
                await attempt(self._stream(on_marked), "stream")
            except* FatalError as group:
                raise first(group) from None
            except* (TransientError, SlotGone, psycopg.Error, PoolTimeout, OSError) as group:
                failures = 1 if self.streaming else failures + 1
                self.streaming = False
                self.problem, self.hint = _described(first(group)), None
                # it was waited for already: whoever is in the way may be gone by now
                wait_s = _wait_s(0 if isinstance(first(group), SlotBlocked) else failures)
                log.warning("stream.interrupted", why=self.problem, again_in_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    async def _stream(self, on_marked: Callable[[], None]) -> None:
        """Keep the queue up to date until the stream fails."""
        settings = self._parts.settings
        plugin = await self._guard.ensure(self._tell_blocked)
        decoder, options = reading(
            plugin, tables(settings.entities), settings.database.schema, publication=settings.replication_slot
        )
        gathering = Gathering(decoder, settings.entities)
        stream = ReplicationStream(
            make_conninfo(settings.direct.dsn, application_name=self._parts.office.session("stream")),
            settings.replication_slot, options, on_keyless=_sweeper(gathering),
        )
        try:
            async with stream:
                # nobody else can move the slot now
                await self._guard.close_gap()
                self.streaming, self.problem, self.hint = True, None, None
                self._streamed = True
                log.info("stream.started", slot=settings.replication_slot, plugin=plugin)
                capture = Capture(
                    self._parts.pool, settings.replication_slot, gathering,
                    on_marked=on_marked, observer=self._parts.metrics.captured,
                    per_column=settings.notion_conflict_strategy == "timestamp-based",
                )
                await capture.run(stream)
        finally:
            self._guard.acknowledged = max(self._guard.acknowledged, stream.acknowledged_lsn)

    def _tell_blocked(self, blocked: SlotBlocked) -> None:
        """Tell, once for each set of them, whose transactions keep the slot from being made."""
        if self.problem != str(blocked):
            log.warning("slot.blocked", why=str(blocked), pids=list(blocked.pids), hint=BLOCKED_HINT)
        self.problem, self.hint = str(blocked), BLOCKED_HINT

    async def _mark_changed(self) -> None:
        """Mark the entities whose pages would show something else than at the last start."""
        settings = self._parts.settings
        directions = {entity.name: settings.direction_of(entity) for entity in settings.entities}
        now = marker.fingerprints(settings.entities, directions, settings.time_zone, settings.opened)
        async with self._parts.pool.connection() as conn:
            await marker.turn(conn, settings.entities, directions)
            changed = await marker.changed_entities(conn, now)
            await stamps.forget(conn, await marker.unseen_entities(conn, now))
        await self._parts.marker.start([entity for entity in settings.entities if entity.name in changed])
        async with self._parts.pool.connection() as conn:
            await marker.remember(conn, now)

    async def _mark_forever(self, on_marked: Callable[[], None], schema: SchemaWatch) -> None:
        """Take markings further, ours and those that a command began."""
        while True:
            try:
                marked = await self._parts.marker.step(schema.refresh)
            except TransientError as error:
                log.warning("marking.interrupted", why=str(error))
                marked = None
            if marked is None:
                await asyncio.sleep(MARKER_S)
            else:
                on_marked()

    async def _wait(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _set_role(self, role: str) -> None:
        if role != self.role:
            log.info("role.changed", role=role)
        self.role = role
        self._parts.metrics.active.set(role == "active")
        self._parts.metrics.held.set(role == "held")


async def _watch_databases(schema: SchemaWatch) -> None:
    """Return never; raises TransientError once setup stored other databases, so that all starts over with those.

    Other properties, or options, of the same ones are taken up on the way.
    """
    before = None
    while True:
        now = {name: source.data_source_id for name, source in (await schema.refresh()).items()}
        if before is not None and now != before:
            raise TransientError("setup changed the databases")
        before = now
        await asyncio.sleep(DATABASES_S)


def _sweeper(gathering: Gathering) -> Callable[[str, str], None]:
    """Return what to do about a change that the server could not name: compare the whole table."""
    return lambda table, _: gathering.sweep(table)


def _described(error: BaseException) -> str:
    if isinstance(error, psycopg.Error):
        return f"the database failed: {readable(error)}"
    if isinstance(error, LeadershipLost | SyncError):
        return str(error)
    return type(error).__name__


def _wait_s(failures: int) -> float:
    """Return how long to wait after the nth failure in a row, in seconds."""
    return min(LONGEST_WAIT_S, 0.2 * 2.0 ** min(failures, 10))
