"""Budget use: the share of Notion's window that is used while there is work, and how often Notion had to refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from tests.bench.ground import Ground, Notion, connected, notion, serving
from tests.bench.report import Line, Run
from tests.bench.rows import risks

RUNS: Final = 1
LIMIT: Final = 180
WINDOW_S: Final = 60.0
LEAST: Final = 0.98
STILL_S: Final = 5.0


async def once(ground: Ground) -> Run:
    """Keep the service busy for some windows and count what was let in."""
    windows = ground.sized(4, 1)
    with ground.database() as dsn:
        async with (
            notion("--rate-limit", str(LIMIT), "--rate-window-s", str(WINDOW_S)) as stand_in,
            connected(dsn) as conn,
        ):
            await risks(conn, LIMIT * (windows + 3))
            env = stand_in.environment(dsn, NOTION_REQUESTS_PER_MINUTE=str(LIMIT))
            async with serving(env):
                # the first window is shared with the setup; from the second on there is nothing but work
                await asyncio.sleep(WINDOW_S)
                # cut where nothing comes: a burst's end and the next one's beginning are a window and a little apart
                await _used_up(stand_in)
                await stand_in.ask("DELETE", "/requests")
                await asyncio.sleep(WINDOW_S * windows)
                requests = await stand_in.requests()
    answered = Counter(request["status"] for request in requests)
    taken = sum(number for status, number in answered.items() if status is not None and status != 429)
    return Run({"share": taken / (LIMIT * windows), "refused": answered[429], "windows": windows})


async def _used_up(stand_in: Notion) -> None:
    """Return when the service waits for the next window."""
    seen, now = -1, 0
    while seen != now:
        await asyncio.sleep(STILL_S)
        seen, now = now, len(await stand_in.requests())


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    yield Line(
        f"backfill, over {found['windows']:.0f} minutes", f"{found['share']:.1%} of what Notion allows",
        f"{LIMIT} requests a minute", f">= {LEAST:.0%}", found["share"] >= LEAST,
    )
    yield Line("refused with 429", f"{found['refused']:.0f}", "", "<= 1", found["refused"] <= 1)
