"""Our own readers of a slot, as a process: what is decoded and thrown away, or goes all the way into the queue.

    BENCH_DSN=… python -m tests.bench.reading decode|durable|timestamps PLUGIN SLOT END SCHEMA
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from cdc.capture import Capture
from cdc.gathering import Gathering, tables
from cdc.replication.frames import XLogData
from cdc.replication.plugins import reading
from cdc.replication.port import Commit, Decoder
from cdc.replication.stream import ReplicationStream
from sinks.mapping.entities import ENTITIES
from state.changes import Lsn
from state.database import conninfo, open_pool
from tests.bench.machine import peak_bytes

LOOK_S = 0.005
PUBLICATION = "bench"


async def decode(stream: ReplicationStream, decoder: Decoder, end: Lsn) -> None:
    """Decode every change, and keep nothing."""
    async with stream:
        while True:
            for frame in await stream.read():
                if isinstance(frame, XLogData):
                    event = decoder.decode(frame.payload)
                    if isinstance(event, Commit) and event.end_lsn >= end:
                        return


async def durable(
    stream: ReplicationStream, decoder: Decoder, end: Lsn, schema: str, slot: str, *, per_column: bool
) -> None:
    """Capture as `mapable-cdc run` does, until all is in the queue and acknowledged."""
    info = conninfo(os.environ["BENCH_DSN"], schema=schema, application_name="bench", statement_timeout_s=60)
    gathering = Gathering(decoder, ENTITIES)
    async with open_pool(info, name="state", max_size=12) as pool, stream:
        capture = Capture(pool, slot, gathering, on_marked=lambda: None, per_column=per_column)
        running = asyncio.create_task(capture.run(stream), name="capture")
        while stream.acknowledged_lsn < end:
            if running.done():
                running.result()
            await asyncio.sleep(LOOK_S)
        running.cancel()
        await asyncio.wait([running])


async def main(way: str, plugin: str, slot: str, end: Lsn, schema: str) -> None:
    """Read, and print what it took as JSON."""
    decoder, options = reading(plugin, tables(ENTITIES), "public", publication=PUBLICATION)
    stream = ReplicationStream(os.environ["BENCH_DSN"], slot, options)
    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "decode": lambda: decode(stream, decoder, end),
        "durable": lambda: durable(stream, decoder, end, schema, slot, per_column=False),
        "timestamps": lambda: durable(stream, decoder, end, schema, slot, per_column=True),
    }
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    await ways[way]()
    took = {
        "took_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_began_s,
        "peak_bytes": peak_bytes(),
    }
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Lsn(int(sys.argv[4])), sys.argv[5]))
