"""The connections that replication needs, with the settings that shape what the server prints, and COPY_BOTH on one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cdc.replication import faults
from state.database import ALIVE
from state.errors import SyncError

SESSION: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The sender's session prints the values: ALTER DATABASE or ALTER ROLE must not change how, and
        # bytea_output = escape makes wal2json corrupt them.
        "timezone": "UTC",
        "datestyle": "ISO",
        "intervalstyle": "iso_8601",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "client_encoding": "UTF8",
    }
)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def connect(dsn: str, *, replication: bool, settings: Mapping[str, str] | None = None) -> Connection:
    """Return an autocommit connection with the pinned session settings and then `settings`.

    Raises LinkLost when the server does not take it, FatalError when the string or the role's rights are wrong.
    """
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
        pinned = " ".join(f"-c {name}={_escaped(value)}" for name, value in {**SESSION, **(settings or {})}.items())
        wanted = {"application_name": "mapable-cdc", **ALIVE, **given}
        wanted["options"] = f"{given.get('options', '')} {pinned}".strip()
        if replication:
            wanted["replication"] = "database"
        return await psycopg.AsyncConnection.connect(make_conninfo("", **wanted), autocommit=True)
    except psycopg.Error as error:
        refusal = faults.from_connect(error)
    raise refusal


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class CopyBoth:
    """A connection in COPY_BOTH mode, for one reader and one writer at a time.

    Nothing else can run on the connection until the copy ends. Every libpq failure becomes LinkLost, now and at
    every later call.
    """

    def __init__(self, connection: Connection) -> None:
        self._pgconn = connection.pgconn
        # A second number of the same socket: libpq closes its own at the first error, behind the loop's back. That
        # number is soon used by another socket, and epoll would mistake the one for the other.
        self._socket = os.dup(connection.pgconn.socket)
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._progress = asyncio.Event()
        self._ended = False
        self._sqlstate: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the link is known to be dead."""
        return self._ended

    def take(self) -> memoryview | None:
        """Return one whole message that has arrived, or None. It is only valid until the next call: copy it."""
        if not self._ended:
            try:
                size, message = self._pgconn.get_copy_data(1)
                if size == 0:
                    self._pgconn.consume_input()
                    size, message = self._pgconn.get_copy_data(1)
                if size >= 0:
                    return message if size else None
                self._sqlstate = _sqlstate(self._pgconn.get_result())
            except psycopg.Error as error:
                self._sqlstate = error.sqlstate
        raise self._lost()

    async def wait(self) -> None:
        """Return when something may have arrived, or when the link has ended."""
        self._readable.clear()
        if not self._ended:
            self._loop.add_reader(self._socket, self._on_readable)
            await self._readable.wait()

    async def send(self, message: bytes) -> None:
        """Send one message whole, however full the socket is."""
        if not self._ended:
            try:
                self._pgconn.put_copy_data(message)
                return await self._flush()
            except psycopg.Error as error:
                self._sqlstate = error.sqlstate
        raise self._lost()

    async def finish(self) -> None:
        """End the copy on both sides: returns when the server has read what was sent and has let go of the slot.

        Throws away what is still arriving, which within a large transaction takes a while.
        """
        try:
            self._pgconn.put_copy_end()
            await self._flush()
            while (size := self._pgconn.get_copy_data(1)[0]) != -1:
                if size == 0:
                    await self.wait()
                    self._pgconn.consume_input()
            while self._pgconn.is_busy():
                await self.wait()
                self._pgconn.consume_input()
            # Once only: after a copy libpq may make up further results for ever.
            self._pgconn.get_result()
        except psycopg.Error as error:
            self._sqlstate = error.sqlstate
        self._end()

    def detach(self) -> None:
        """Take the socket out of the event loop, for good. The connection itself is its owner's to close."""
        self._end()
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            os.close(self._socket)
            self._socket = -1

    async def _flush(self) -> None:
        while self._pgconn.flush() == 1:
            # Also take what arrives: a server that is blocked sending to us may not read what we send.
            self._progress.clear()
            self._loop.add_reader(self._socket, self._on_readable)
            self._loop.add_writer(self._socket, self._on_writable)
            await self._progress.wait()
            self._pgconn.consume_input()
            # What was taken in makes the socket readable no more: whoever waits for it must look.
            self._readable.set()

    def _on_readable(self) -> None:
        # Disarmed at once: the socket stays readable for as long as a paused reader leaves it so; the loop would spin.
        self._loop.remove_reader(self._socket)
        self._readable.set()
        self._progress.set()

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._socket)
        self._progress.set()

    def _lost(self) -> SyncError:
        self._end()
        return faults.lost("replication", self._sqlstate)

    def _end(self) -> None:
        self._ended = True
        self._readable.set()
        self._progress.set()


def _sqlstate(result: pq.abc.PGresult | None) -> str | None:
    code = result.error_field(pq.DiagnosticField.SQLSTATE) if result else None
    return code.decode("ascii") if code else None
