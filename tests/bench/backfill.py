"""Backfill: how many rows a second where Notion sets no limit, and whose CPU that is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import aiohttp

from tests.bench.ground import Ground, Notion, connected, notion, set_up, value
from tests.bench.machine import cpu_s, server_cpu_s
from tests.bench.report import Line, Run
from tests.bench.rows import families
from tests.system.service import Service

RUNS: Final = 1
AT_ONCE: Final = 10


async def once(ground: Ground) -> Run:
    """Bring every row to the stand-in; then do the same without a product in between."""
    people, plain = ground.sized(20_000, 400), ground.sized(2_000, 200)
    with ground.database() as dsn:
        async with notion() as stand_in, connected(dsn) as conn:
            rows = await families(conn, people)
            await conn.execute("vacuum analyze")
            env = stand_in.environment(dsn)
            await set_up(env)
            limit = await _plainly(conn, stand_in, plain)
            before = _used(ground, stand_in)
            began_s = time.perf_counter()
            async with Service(env, "backfill") as command:
                pid = command.process.pid
                ours_s = 0.0
                while command.process.returncode is None:
                    ours_s = max(ours_s, cpu_s(pid))
                    await asyncio.sleep(0.1)
                assert command.process.returncode == 0, command.lines[-5:]
            took_s = time.perf_counter() - began_s
            after = _used(ground, stand_in)
    return Run(
        {
            "rows": rows, "rate": rows / took_s, "limit": limit, "ours": ours_s / rows * 1e3,
            "server": (after["server"] - before["server"]) / rows * 1e3,
            "stand_in": (after["stand_in"] - before["stand_in"]) / rows * 1e3,
        }
    )


async def _plainly(conn: Any, stand_in: Notion, pages: int) -> float:
    """Make pages as fast as the stand-in lets a plain client; return how many a second."""
    source = await value(conn, "select data_source_id from notion_sync.data_source where entity = 'risk'")
    left = iter(range(pages))
    headers = {"Authorization": f"Bearer {stand_in.token}", "Notion-Version": "2026-03-11"}
    body = {"parent": {"type": "data_source_id", "data_source_id": source}, "properties": {}}

    async def make(client: aiohttp.ClientSession) -> None:
        for _ in left:
            async with client.post(f"{stand_in.url}/v1/pages", json=body) as answer:
                assert answer.status == 200, await answer.text()

    began_s = time.perf_counter()
    async with aiohttp.ClientSession(headers=headers) as client, asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(make(client))
    return pages / (time.perf_counter() - began_s)


def _used(ground: Ground, stand_in: Notion) -> dict[str, float]:
    """Return the CPU time that the database server and the stand-in have used."""
    return {"server": server_cpu_s(ground.server.data_dir), "stand_in": cpu_s(stand_in.pid)}


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    yield Line(
        f"backfill of {found['rows']:,.0f} rows, no rate limit", f"{found['rate']:.0f} rows/s",
        f"a plain client makes {found['limit']:.0f} empty pages/s there",
    )
    yield Line(
        "CPU for each row", f"service {found['ours']:.1f} ms, database {found['server']:.1f} ms",
        f"stand-in {found['stand_in']:.1f} ms",
    )
