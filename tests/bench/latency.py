"""Latency: from a commit in MapAble to the request that it leads to, idle and while a backfill runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from tests.bench.ground import Connection, Ground, Notion, connected, notion, serving, value, worked_off
from tests.bench.least import least_ms
from tests.bench.machine import fsync_s
from tests.bench.report import Line, Run, percentile
from tests.bench.rows import people, risks
from tests.system.scene import NOTHING_LEFT

RUNS: Final = 3
EVERY_S: Final = 0.1
P99_MS: Final = 60.0
SLACK_MS: Final = 8.0
NOTION_S: Final = 0.2
"""How long the stand-in takes to answer while the backfill runs: as Notion does."""

OFF: Final = {"NOTION_SYNC_PARTICIPANTS": "false"}

PAGES: Final = """
select "systemId", "notionPageId" from notion_sync."NotionSyncMapping" where "entityType" = 'Risk'
"""


async def once(ground: Ground) -> Run:
    """Commit one change at a time and look up when its requests came."""
    edits = ground.sized(300, 30)
    figures = {"fsync": fsync_s(ground.server.data_dir) * 1e3}
    with ground.database() as dsn:
        async with notion() as stand_in, connected(dsn) as conn:
            await risks(conn, edits)
            await people(conn, ground.sized(4_000, 400))
            least = await least_ms(dsn, conn, stand_in, ground.sized(200, 20))
            figures |= {"least.p50": percentile(least, 0.5), "least.p99": percentile(least, 0.99)}
            env = stand_in.environment(dsn)
            async with serving({**env, **OFF}):
                await worked_off(conn)
                figures |= _named("idle", *await _measured(conn, stand_in, edits))
            await stand_in.ask("PATCH", "/switches", json={"latency_s": NOTION_S})
            # an entity that is switched on is brought over at backfill's priority
            async with serving(env) as service:
                await service.event("entity.marked", timeout_s=60.0)
                await _under_way(stand_in)
                figures |= _named("busy", *await _measured(conn, stand_in, ground.sized(60, 15)))
                assert not await value(conn, NOTHING_LEFT), "the backfill ended before it was measured"
                service.kill()
                await service.process.wait()
    return Run(figures)


async def _under_way(stand_in: Notion) -> None:
    """Return once the backfill makes pages: what the start takes is another figure."""
    async with asyncio.timeout(60.0):
        while True:
            await asyncio.sleep(EVERY_S)
            if await stand_in.requests(method="POST", path="/v1/pages"):
                return


async def _measured(conn: Connection, stand_in: Notion, edits: int) -> tuple[list[float], list[float]]:
    """Return how long the first request and the write of each edit took, in milliseconds."""
    pages = {row[0]: row[1] for row in await (await conn.execute(PAGES.encode())).fetchall()}
    await stand_in.ask("DELETE", "/requests")
    committed_s: dict[str, float] = {}
    for number in range(1, edits + 1):
        await conn.execute("update \"Risk\" set title = title || '!' where id = %s", (f"r{number}",))
        committed_s[page := pages[f"r{number}"]] = time.monotonic()
        async with asyncio.timeout(30.0):
            await _written(stand_in, page)
    first_s = await _first_s(stand_in, None)
    written_s = await _first_s(stand_in, "PATCH")
    sent = committed_s.keys() & written_s.keys()
    return (
        [1e3 * (first_s[page] - committed_s[page]) for page in sent],
        [1e3 * (written_s[page] - committed_s[page]) for page in sent],
    )


async def _written(stand_in: Notion, page: str) -> None:
    """Return when the page was written; asked seldom, so that asking costs nothing."""
    while True:
        await asyncio.sleep(EVERY_S)
        if await stand_in.requests(method="PATCH", path=f"/v1/pages/{page}"):
            return


async def _first_s(stand_in: Notion, method: str | None) -> dict[str, float]:
    """Return when the first request about each page came."""
    found: dict[str, float] = {}
    for request in await stand_in.requests(**({"method": method} if method else {})):
        found.setdefault(request["path"].rpartition("/")[2], request["at_s"])
    return found


def _named(name: str, first: list[float], written: list[float]) -> dict[str, float]:
    return {
        f"{name}.first.p50": percentile(first, 0.5), f"{name}.first.p99": percentile(first, 0.99),
        f"{name}.written.p50": percentile(written, 0.5), f"{name}.written.p99": percentile(written, 0.99),
    }


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    most_ms = 2 * found["fsync"] + SLACK_MS
    fsync = f"fsync {found['fsync']:.2f} ms; the least anybody takes {found['least.p50']:.1f} ms"
    p50, p99 = found["idle.first.p50"], found["idle.first.p99"]
    yield Line("commit to request, idle, p50", f"{p50:.1f} ms", fsync, f"<= {most_ms:.1f} ms", p50 <= most_ms)
    least = f"the least anybody takes {found['least.p99']:.1f} ms"
    yield Line("commit to request, idle, p99", f"{p99:.1f} ms", least, f"<= {P99_MS:.0f} ms", p99 <= P99_MS)
    yield Line(
        "commit to the write (after the look), idle",
        f"p50 {found['idle.written.p50']:.1f} ms, p99 {found['idle.written.p99']:.1f} ms",
    )
    busy_ms = P99_MS + NOTION_S * 1e3
    p99 = found["busy.first.p99"]
    yield Line(
        "commit to request, a backfill running",
        f"p50 {found['busy.first.p50']:.1f} ms, p99 {p99:.1f} ms", f"Notion answers in {NOTION_S * 1e3:.0f} ms",
        f"p99 <= {busy_ms:.0f} ms: idle and one answer", p99 <= busy_ms,
    )
