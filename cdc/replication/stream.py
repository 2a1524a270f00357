"""The stream of a logical slot: what the server sends, in order, and how far we are, sent back.

Feedback runs on a timer of its own. A reader that pauses (because the work queue is slow, say) leaves the data with
the server and the link stays up; nothing piles up here. What was not acknowledged comes again on the next stream.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import pq
from psycopg.errors import Diagnostic

from cdc.replication import faults, frames
from cdc.replication.frames import Frame, Keepalive
from cdc.replication.link import Connection, CopyBoth, connect
from cdc.replication.port import PluginOption
from cdc.replication.slot import check_name
from state.changes import Lsn
from state.errors import FatalError, SyncError, TransientError

_BATCH_BYTES: Final = 4 * 1024 * 1024
_KEYLESS: Final = re.compile(r'no tuple identifier for (UPDATE|DELETE) in table ".*"\."(.*)"', re.DOTALL)
# A slot can refuse for several reasons under one code; the words differ by language, the catalog does not.
_WHY_REFUSED: Final = "select wal_status = 'lost' from pg_replication_slots where slot_name = '{}'"


def _ignore(_table: str, _operation: str) -> None:
    """Forget a change that can't be named."""


class ReplicationStream:
    """One reading of a slot, from `async with` to its end. It does not reconnect: make another one.

    Entering raises SlotBusy or LinkLost (wait, try again), SlotMissing or SlotLost (make a new slot, compare
    everything), FatalError (a person must act). `on_keyless` is called with the table and UPDATE or DELETE for each
    change that the server could not send because the table has no usable replica identity: it is lost otherwise.
    """

    def __init__(
        self,
        dsn: str,
        slot: str,
        options: Sequence[PluginOption],
        start_lsn: Lsn = Lsn(0),  # noqa: B008 - a NewType call is the int itself
        *,
        feedback_interval_s: float = 5.0,
        stop_timeout_s: float = 2.0,
        on_keyless: Callable[[str, str], None] = _ignore,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._dsn = dsn
        self._slot = check_name(slot)
        self._options = tuple(options)
        self._received = start_lsn
        self._acknowledged = start_lsn
        self._start = start_lsn
        self._feedback_interval_s = feedback_interval_s
        self._stop_timeout_s = stop_timeout_s
        self._on_keyless = on_keyless
        self._settings = dict(settings or {})
        self._refused: tuple[str, ...] = ()
        self._due = asyncio.Event()
        self._connection: Connection | None = None
        self._link: CopyBoth | None = None
        self._feedback: asyncio.Task[None] | None = None

    @property
    def received_lsn(self) -> Lsn:
        """How far the server has sent."""
        return self._received

    @property
    def acknowledged_lsn(self) -> Lsn:
        """How far the server has been or will be told it may forget; never beyond what it has sent."""
        return min(self._acknowledged, self._received)

    @property
    def refused_options(self) -> tuple[str, ...]:
        """The optional plugin options that this server's plugin does not know."""
        return self._refused

    async def __aenter__(self) -> Self:
        connection = await connect(self._dsn, replication=True, settings=self._settings)
        try:
            encoding = connection.pgconn.parameter_status(b"server_encoding") or b""
            if encoding != b"UTF8":
                # The payload is in the server's encoding whatever the client asks for.
                raise FatalError(
                    f"the database is encoded in {encoding.decode('ascii', 'replace')}, not in UTF8",
                    "Recreate the database with encoding UTF8; other encodings can't be streamed without loss.",
                )
            connection.add_notice_handler(self._on_notice)
            await self._begin(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._link = CopyBoth(connection)
        self._feedback = asyncio.create_task(self._report_regularly(self._link), name="replication feedback")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is None or self._link is None or self._feedback is None:
            return
        try:
            # The task first: it must not meet a connection that has gone.
            self._feedback.cancel()
            await asyncio.wait([self._feedback])
            if not self._link.ended:
                with suppress(TimeoutError, TransientError):
                    async with asyncio.timeout(self._stop_timeout_s):
                        await self._report(self._link)
                        await self._link.finish()
        finally:
            self._link.detach()
            await self._connection.close()
            self._connection = self._link = self._feedback = None

    async def read(self, limit: int = 1000) -> Sequence[Frame]:
        """Return what has arrived, at least one message, once something has.

        Safe to cancel, by a timeout too: a message is either returned or still there for the next call. Raises
        LinkLost when the stream has ended; what had not been returned by then comes again on the next stream.
        """
        link = self._open()
        # Gives way before anything is taken. Later would lose what was taken if the caller is cancelled; never
        # would starve every other task while there is much to read.
        await asyncio.sleep(0)
        while not (batch := self._drain(link, limit)):
            await link.wait()
        return batch

    def acknowledge(self, lsn: Lsn) -> None:
        """Tell the server, soon, that everything before `lsn` is safe with us. Never moves backwards.

        Call with the end of a commit, or with a keepalive's position when nothing received is undurable. A position
        beyond what has been received counts only once the stream gets there.
        """
        if lsn > self._acknowledged:
            self._acknowledged = lsn
            self._due.set()

    async def _begin(self, connection: Connection) -> None:
        refusal = await self._start_replication(connection, self._options)
        if refusal is not None and refusal.sqlstate == "22023":
            known = tuple(option for option in self._options if not option.optional)
            self._refused = tuple(option.name for option in self._options if option.optional)
            refusal = await self._start_replication(connection, known)
        if refusal is not None:
            raise await self._explained(connection, refusal)

    async def _start_replication(
        self, connection: Connection, options: Sequence[PluginOption]
    ) -> psycopg.Error | None:
        rendered = ", ".join(f""""{option.name}" '{option.value.replace("'", "''")}'""" for option in options)
        command = f'START_REPLICATION SLOT "{self._slot}" LOGICAL {frames.format_lsn(self._start)} ({rendered})'
        try:
            cursor = await connection.execute(command.encode())
        except psycopg.Error as error:
            return error
        if cursor.pgresult is None or cursor.pgresult.status != pq.ExecStatus.COPY_BOTH:
            raise faults.lost("replication", None)
        return None

    async def _explained(self, connection: Connection, refusal: psycopg.Error) -> SyncError:
        what = f"reading slot {self._slot}"
        if refusal.sqlstate == "55000":
            with suppress(psycopg.Error):
                found = await connection.execute(_WHY_REFUSED.format(self._slot).encode())
                if await found.fetchone() == (True,):
                    return faults.SlotLost(f"{what}: the server has removed log that it still needed")
        return faults.from_server(refusal, what)

    def _drain(self, link: CopyBoth, limit: int) -> list[Frame]:
        batch: list[Frame] = []
        size = 0
        while len(batch) < limit and size < _BATCH_BYTES:
            try:
                message = link.take()
            except TransientError:
                if batch:
                    break  # the next call raises it again
                raise
            if message is None:
                break
            frame = frames.parse(message)
            size += len(message)
            batch.append(frame)
            if frame.wal_end > self._received:
                self._received = frame.wal_end
            if isinstance(frame, Keepalive) and frame.reply_requested:
                self._due.set()
        return batch

    async def _report_regularly(self, link: CopyBoth) -> None:
        with suppress(TransientError):  # the link remembers; the next read raises it
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._feedback_interval_s):
                        await self._due.wait()
                self._due.clear()
                await self._report(link)

    async def _report(self, link: CopyBoth) -> None:
        done = self.acknowledged_lsn
        await link.send(frames.status_update(self._received, done, done, frames.protocol_us(time.time_ns())))

    def _on_notice(self, notice: Diagnostic) -> None:
        match = _KEYLESS.fullmatch(notice.message_primary or "")
        if match is not None:
            self._on_keyless(match[2], match[1])

    def _open(self) -> CopyBoth:
        if self._link is None:
            raise RuntimeError("the stream is not open; use it in `async with`")
        return self._link
