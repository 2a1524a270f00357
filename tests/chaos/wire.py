"""The wire between the service and Postgres: a relay whose connections can be cut, all of them or those that stream."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


@dataclass(eq=False, slots=True)
class _Line:
    """One connection: both ends, and whether it is the replication stream's."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    streams: bool


class Wire:
    """Relays to the server of `dsn`; the service connects through `self.dsn`, also after the server came back."""

    def __init__(self, dsn: str) -> None:
        self._to = dsn
        self._lines: set[_Line] = set()
        self.dsn = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        found = conninfo_to_dict(make_conninfo(self._to, host="127.0.0.1", port=port, sslmode="disable"))
        self.dsn = (
            f"postgresql://{found['user']}:{found['password']}@127.0.0.1:{port}/{found['dbname']}?sslmode=disable"
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()

    def cut(self, *, streams: bool | None = None) -> None:
        """Break connections without a word to either end: all, those that stream, or the others."""
        for line in tuple(self._lines):
            if streams in (None, line.streams):
                line.near.transport.abort()
                line.far.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = conninfo_to_dict(self._to)
        try:
            far_reader, far_writer = await asyncio.open_connection(str(to["host"]), int(to["port"] or 0))
        except OSError:
            writer.transport.abort()
            return
        first = await reader.read(65536)
        line = _Line(writer, far_writer, b"replication\0" in first)
        self._lines.add(line)
        try:
            with suppress(OSError):
                far_writer.write(first)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_relay(reader, far_writer))
                    tasks.create_task(_relay(far_reader, writer))
        finally:
            self._lines.discard(line)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    # one end hung up: so does the other
    writer.close()
