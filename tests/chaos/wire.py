"""The wire between the service and Postgres: its connections can be cut, and what is made durable over it is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.chaos.talk import ACKNOWLEDGED, Frames, Talk

BEFORE: Final = "before"
AFTER: Final = "after"
Watcher = Callable[[tuple[str, ...], str], bool]
"""Called with the statements of what becomes durable, before the server hears of it and after it has done it (but
before the service hears of that); returns whether the line is dead from here on."""


@dataclass(eq=False, slots=True)
class _Line:
    """One connection: both ends, and whether it is the replication stream's."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    streams: bool
    talk: Talk = field(default_factory=Talk)
    under_way: tuple[str, ...] = ()


class Wire:
    """Relays to the server of `dsn`; the service connects through `self.dsn`, also after the server came back."""

    def __init__(self, dsn: str) -> None:
        self._to = dsn
        self._lines: set[_Line] = set()
        self.dsn = ""
        self.watcher: Watcher | None = None

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
                _break(line)

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
                    tasks.create_task(self._outwards(line, reader))
                    tasks.create_task(self._homewards(line, far_reader))
        finally:
            self._lines.discard(line)

    async def _outwards(self, line: _Line, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        with suppress(OSError):
            while chunk := await reader.read(65536):
                for message in frames.split(chunk):
                    if durable := line.talk.out(message):
                        if self._dead(line, durable, BEFORE):
                            return
                        line.under_way = durable
                    if line.far.is_closing():
                        return
                    line.far.write(message)
                    if durable == (ACKNOWLEDGED,):
                        # nothing is answered to this
                        line.under_way = ()
                        if self._dead(line, durable, AFTER):
                            return
                await line.far.drain()
        # one end hung up: so does the other
        line.far.close()

    async def _homewards(self, line: _Line, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        with suppress(OSError):
            while chunk := await reader.read(65536):
                for message in frames.split(chunk):
                    if line.talk.back(message):
                        done, line.under_way = line.under_way, ()
                        if done and self._dead(line, done, AFTER):
                            return
                if line.near.is_closing():
                    break
                line.near.write(chunk)
                await line.near.drain()
        line.near.close()

    def _dead(self, line: _Line, durable: tuple[str, ...], when: str) -> bool:
        dead = self.watcher is not None and self.watcher(durable, when)
        if dead:
            _break(line)
        return dead


def _break(line: _Line) -> None:
    line.near.transport.abort()
    line.far.transport.abort()
