"""From the log to the work queue: every committed change marks its keys dirty, durably, and only then is acknowledged.

Marks carry no values: a row is read again when it is sent. So a large transaction may be marked in chunks before its
commit is reached (it is committed, or it would not be in the stream), and marking twice is harmless. Nothing is ever
written because of a transaction that marks nothing: our own commits come back as such, and would feed themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from cdc.fanout import looked_up_by
from cdc.replication.frames import Frame, XLogData
from cdc.replication.port import Begin, Commit, Decoder, RowChange, Truncate
from cdc.replication.stream import ReplicationStream
from sinks.mapping.model import Entity, LookupVia
from state import marking, work
from state.changes import Key, Lsn, Priority, Reason
from state.database import Pool

CHUNK: Final = 5_000
BULK: Final = 500
"""A transaction's keys beyond this many go behind live changes: one import must not hold up everybody's edits."""
LOOKUP_TABLES: Final = {"User": LookupVia.USER.value, "Worker": LookupVia.WORKER.value}
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pending:
    """What was read and is not in the queue yet. `end_lsn`: what may be acknowledged once it is."""

    keys: dict[Key, int | None] = field(default_factory=dict)
    live: set[Key] = field(default_factory=set)
    swept: set[str] = field(default_factory=set)
    end_lsn: Lsn | None = None
    changes: int = 0


class Gathering:
    """Turns frames into what has to be marked. Pure but for its memory of the transaction it is in."""

    def __init__(self, decoder: Decoder, entities: Sequence[Entity]) -> None:
        self._decoder = decoder
        self._kinds: dict[str, tuple[str, ...]] = {table: (kind,) for table, kind in LOOKUP_TABLES.items()}
        self._swept_by: dict[str, frozenset[str]] = {
            table: frozenset(entity.name for entity, _ in looked_up_by(kind, entities))
            for table, kind in LOOKUP_TABLES.items()
        }
        for entity in entities:
            self._kinds[entity.table] = (entity.name, *self._kinds.get(entity.table, ()))
            self._swept_by[entity.table] = self._swept_by.get(entity.table, frozenset()) | {entity.name}
        self._xid: int | None = None
        self._in_transaction = 0
        self.pending = Pending()

    def take(self, frame: Frame) -> None:
        """Add one frame to what is pending."""
        if not isinstance(frame, XLogData):
            # between transactions everything before this position has been received, and is pending or durable
            if self._xid is None:
                self._ends_at(frame.wal_end)
            return
        match self._decoder.decode(frame.payload):
            case RowChange() as change:
                self._row(change)
            case Begin(xid=xid):
                self._xid, self._in_transaction = xid, 0
            case Commit(end_lsn=end_lsn):
                self._xid = None
                self._ends_at(end_lsn)
            case Truncate(table=table):
                self.sweep(table)
            case _:
                pass

    def sweep(self, table: str) -> None:
        """Every row and link that shows something of the table has to be compared: which rows changed was not said."""
        self.pending.swept |= self._swept_by.get(table, frozenset())

    def swap(self) -> Pending:
        """Return what is pending and start anew."""
        taken, self.pending = self.pending, Pending()
        return taken

    def _row(self, change: RowChange) -> None:
        self.pending.changes += 1
        if change.key is None:
            self.sweep(change.table)
            return
        self._in_transaction += 1
        for kind in self._kinds.get(change.table, ()):
            self._mark(Key(kind, change.key))
            if change.old_key is not None:
                self._mark(Key(kind, change.old_key))

    def _mark(self, key: Key) -> None:
        self.pending.keys[key] = self._xid
        if self._in_transaction <= BULK:
            self.pending.live.add(key)

    def _ends_at(self, lsn: Lsn) -> None:
        if self.pending.end_lsn is None or lsn > self.pending.end_lsn:
            self.pending.end_lsn = lsn


def _give_way() -> None:
    """End a task whose cancellation was lost: before Python 3.12 a wait that is over at that very moment loses it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def tables(entities: Sequence[Entity]) -> Mapping[str, frozenset[str]]:
    """Return the tables to be streamed and the columns kept of each: keys only, rows are read again when sent."""
    return {table: frozenset({"id"}) for table in {entity.table for entity in entities} | set(LOOKUP_TABLES)}


class Capture:
    """Reads one stream until it fails or is cancelled; marks in the background of reading."""

    def __init__(
        self,
        pool: Pool,
        slot: str,
        gathering: Gathering,
        *,
        on_marked: Callable[[], None],
        observer: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        self._pool = pool
        self._slot = slot
        self._gathering = gathering
        self._on_marked = on_marked
        self._observer = observer
        self._ready = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self, stream: ReplicationStream) -> None:
        """Keep the queue up to date; raises what the stream or the database raises."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(stream), name="capture read")
            tasks.create_task(self._write(stream), name="capture write")

    async def _read(self, stream: ReplicationStream) -> None:
        while True:
            for frame in await stream.read():
                self._gathering.take(frame)
            self._ready.set()
            while len(self._gathering.pending.keys) >= CHUNK:
                self._room.clear()
                await self._room.wait()

    async def _write(self, stream: ReplicationStream) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            pending = self._gathering.swap()
            self._room.set()
            await self._store(pending)
            if pending.end_lsn is not None:
                stream.acknowledge(pending.end_lsn)
            _give_way()

    async def _store(self, pending: Pending) -> None:
        if not pending.keys and not pending.swept:
            return
        live = {key: xid for key, xid in pending.keys.items() if key in pending.live}
        bulk = {key: xid for key, xid in pending.keys.items() if key not in pending.live}
        async with self._pool.connection() as conn:
            # before, and not in, the transaction below: within one the queue's rows are locked in key order
            await work.mark(conn, bulk, reason=Reason.OURS, priority=Priority.BACKFILL)
            async with conn.transaction():
                await work.mark(conn, live, reason=Reason.OURS, priority=Priority.LIVE)
                if pending.swept:
                    await marking.start(conn, sorted(pending.swept))
                if pending.end_lsn is not None:
                    await work.save_position(conn, self._slot, pending.end_lsn)
        self._observer(pending.changes, len(pending.keys))
        self._on_marked()
        log.debug("changes.marked", changes=pending.changes, keys=len(pending.keys), swept=len(pending.swept))
