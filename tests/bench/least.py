"""The least that bringing a change over takes: read it from the slot, commit twice, send a request. Nothing else.

That is what this machine, as busy as it is now, does to anybody.
"""

from __future__ import annotations

import time
from typing import Final

import aiohttp

from cdc.gathering import tables
from cdc.replication import wal2json
from cdc.replication.frames import XLogData
from cdc.replication.port import Commit
from cdc.replication.stream import ReplicationStream
from sinks.mapping.entities import ENTITIES
from tests.bench.ground import Connection, Notion, connected

SLOT: Final = "bench_least"


async def least_ms(dsn: str, conn: Connection, stand_in: Notion, edits: int) -> list[float]:
    """Return how long each of some changes took, from its commit to the request."""
    await conn.execute("create table least (n int)")
    await conn.execute("select pg_create_logical_replication_slot(%s, 'wal2json')", (SLOT,))
    decoder = wal2json.Decoder(tables(ENTITIES), "public")
    headers = {"Authorization": f"Bearer {stand_in.token}", "Notion-Version": "2026-03-11"}
    took_ms = []
    async with (
        ReplicationStream(dsn, SLOT, wal2json.options("public", tables(ENTITIES))) as stream,
        connected(dsn) as other,
        aiohttp.ClientSession(headers=headers) as client,
    ):
        for number in range(1, edits + 1):
            await conn.execute("update \"Risk\" set title = title || '.' where id = %s", (f"r{number}",))
            committed_s = time.monotonic()
            await _read(stream, decoder)
            await other.execute("insert into least values (1)")
            await other.execute("insert into least values (2)")
            # both write to the log, too
            await _read(stream, decoder)
            await _read(stream, decoder)
            async with client.get(f"{stand_in.url}/v1/users/me") as answer:
                assert answer.ok
            (*_, request) = await stand_in.requests(path="/v1/users/me")
            took_ms.append(1e3 * (request["at_s"] - committed_s))
    await conn.execute("select pg_drop_replication_slot(%s)", (SLOT,))
    await conn.execute("drop table least")
    return took_ms


async def _read(stream: ReplicationStream, decoder: wal2json.Decoder) -> None:
    """Return when the next transaction was read to its end."""
    while True:
        for frame in await stream.read(limit=1):
            if isinstance(frame, XLogData) and isinstance(decoder.decode(frame.payload), Commit):
                return
