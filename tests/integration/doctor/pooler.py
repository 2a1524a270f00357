"""A stand-in for a connection pooler: passes everything on, but gives out process numbers of its own, as they do."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

KEY_DATA = b"K"
"""BackendKeyData: the process's number and a secret, both to be used for cancelling."""


@asynccontextmanager
async def pooled(dsn: str) -> AsyncIterator[str]:
    """Give the URL of the same database through it."""
    behind = urlsplit(dsn)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(behind.hostname, behind.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, to_server))
                group.create_task(_answer(from_server, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            to_server.close()
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        user = behind.netloc.rpartition("@")[0]
        yield urlunsplit(behind._replace(netloc=f"{user}@127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable"))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        kind, size = struct.unpack("!cI", await reader.readexactly(5))
        body = await reader.readexactly(size - 4)
        if kind == KEY_DATA:
            body = struct.pack("!I", 4711) + body[4:]
        writer.write(struct.pack("!cI", kind, size) + body)
