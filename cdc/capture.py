"""From the log to the work queue: every committed change marks its keys dirty, durably, and only then is acknowledged.

Marks carry no values: a row is read again when it is sent. So a large transaction may be marked in chunks before its
commit is reached (it is committed, or it would not be in the stream), and marking twice is harmless. Nothing is ever
written to the log because of a transaction that marks nothing: our own commits come back as such, and would feed
themselves. How far the slot is told to forget is known beforehand all the same (`state.streamed`).

With the marks goes when each row was changed, for the conflicts that are decided by time (`state.stamping`). It never
decides whether to mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from typing import Final

import structlog

from cdc.gathering import Gathering, Pending
from cdc.replication.stream import ReplicationStream
from state import marking, stamps, streamed, work
from state.changes import Key, Lsn, Priority, Reason
from state.copying import WORTH_IT
from state.database import Connection, Pool

CHUNK: Final = 10_000
SLICE: Final = 200
"""Frames taken at a time: the writer, in the same loop, waits no longer than these for what the database answered."""
NOTE_EVERY_S: Final = 0.1
"""Of what holds nothing to mark: for each row that is sent our own commits come back, several of them."""
Observer = Callable[[int, int, Mapping[Key, datetime]], None]
"""Called with (changes, keys, when keys were first committed) once they are in the queue."""

log = structlog.get_logger(__name__)


def _give_way() -> None:
    """End a task whose cancellation was lost: before Python 3.12 a wait that is over at that very moment loses it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _without_waiting(conn: Connection, pending: Pending) -> AbstractAsyncContextManager[object]:
    """Send statements without waiting for the answer to the one before; not those of many rows, which are copied."""
    return conn.pipeline() if pending.size < WORTH_IT else nullcontext()


class Capture:
    """Reads one stream until it fails or is cancelled; marks in the background of reading."""

    def __init__(
        self,
        pool: Pool,
        slot: str,
        gathering: Gathering,
        *,
        on_marked: Callable[[], None],
        per_column: bool = False,
        observer: Observer = lambda *_: None,
    ) -> None:
        self._pool = pool
        self._slot = slot
        self._gathering = gathering
        self._on_marked = on_marked
        self._per_column = per_column     # when each column changed, too: costs half of the throughput
        self._observer = observer
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._passed = asyncio.Event()
        self._passed_lsn = Lsn(0)       # read so far, and nothing before it is left to be stored

    async def run(self, stream: ReplicationStream) -> None:
        """Keep the queue up to date; raises what the stream or the database raises."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(stream), name="capture read")
            tasks.create_task(self._write(stream), name="capture write")
            tasks.create_task(self._note(stream), name="capture note")

    async def _read(self, stream: ReplicationStream) -> None:
        while True:
            for frame in await stream.read(limit=SLICE):
                self._gathering.take(frame)
            self._ready.set()
            while self._gathering.pending.size >= CHUNK:
                self._room.clear()
                await self._room.wait()

    async def _write(self, stream: ReplicationStream) -> None:
        owed = False        # marks were stored without a place in the log, which comes with their commit
        while True:
            await self._ready.wait()
            self._ready.clear()
            pending = self._gathering.swap()
            self._room.set()
            if pending.keys or pending.swept or (owed and pending.end_lsn is not None):
                await self._store(pending)
                owed = pending.end_lsn is None
                if pending.end_lsn is not None:
                    stream.acknowledge(pending.end_lsn)
            elif pending.end_lsn is not None:
                self._passed_lsn = pending.end_lsn
                self._passed.set()
            _give_way()

    async def _note(self, stream: ReplicationStream) -> None:
        while True:
            await self._passed.wait()
            await asyncio.sleep(NOTE_EVERY_S)
            self._passed.clear()
            lsn = self._passed_lsn
            async with self._pool.connection() as conn:
                await streamed.note(conn, lsn)
            stream.acknowledge(lsn)
            _give_way()

    async def _store(self, pending: Pending) -> None:
        async with self._pool.connection() as conn, _without_waiting(conn, pending):
            if pending.bulk:
                # before, and not in, the transaction below: within one the queue's rows are locked in key order
                async with conn.transaction():
                    await work.mark(conn, pending.bulk, reason=Reason.OURS, priority=Priority.BACKFILL)
                    await self._stamp(conn, pending)
            async with conn.transaction():
                await work.mark(conn, pending.live, reason=Reason.OURS, priority=Priority.LIVE)
                if not pending.bulk:
                    await self._stamp(conn, pending)
                if pending.swept:
                    await marking.start(conn, sorted(pending.swept))
                if pending.end_lsn is not None:
                    await streamed.save(conn, self._slot, pending.end_lsn)
        self._observer(pending.changes, pending.keys, pending.committed)
        self._on_marked()
        log.debug("changes.marked", changes=pending.changes, keys=pending.keys, swept=len(pending.swept))

    async def _stamp(self, conn: Connection, pending: Pending) -> None:
        """Store when rows were changed, with the first of their marks: who sees a mark sees this, too."""
        if not pending.rows:
            return
        done = await streamed.position(conn, self._slot)
        for entity, rows in sorted(pending.rows.items()):
            await stamps.store(conn, entity, rows, done=done, per_column=self._per_column)
