"""A wire to the server that can be cut, and that can spoil what the server says: a TCP relay of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Cable:
    """Relays to the server of `dsn`; connect through `self.dsn`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._writers: list[asyncio.StreamWriter] = []
        self._relays: list[asyncio.Task[None]] = []
        self.dsn = ""
        self.spoil: Callable[[bytes], bytes] = bytes
        """What becomes of each piece that the server says."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._plug, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.dsn = make_conninfo(self._dsn, host="127.0.0.1", port=port, sslmode="disable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()
        self._server.close()
        await self._server.wait_closed()

    async def cut(self) -> None:
        """Break every connection that stands, without a word to either end."""
        for relay in self._relays:
            relay.cancel()
        if self._relays:
            await asyncio.wait(self._relays)
        for writer in self._writers:
            writer.transport.abort()
        self._relays.clear()
        self._writers.clear()

    async def _plug(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = conninfo_to_dict(self._dsn)
        far_reader, far_writer = await asyncio.open_connection(str(given["host"]), int(given["port"] or 0))
        self._writers += [writer, far_writer]
        self._relays += [
            asyncio.create_task(_relay(reader, far_writer, bytes), name="relay up"),
            asyncio.create_task(_relay(far_reader, writer, lambda chunk: self.spoil(chunk)), name="relay down"),
        ]


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoil: Callable[[bytes], bytes]
) -> None:
    while chunk := await reader.read(65536):
        writer.write(spoil(chunk))
        await writer.drain()
