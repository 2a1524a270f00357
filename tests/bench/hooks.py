"""Webhooks: from Notion's request to the committed row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from tests.bench.ground import Ground, connected
from tests.bench.machine import fsync_s
from tests.bench.report import Line, Run, percentile
from tests.bench.rows import risks
from tests.system.desk import SECRET, deliver, event
from tests.system.scene import staged

RUNS: Final = 3
EVERY_S: Final = 0.1
# A trigger of the benchmark's tells of the commit the moment it happens
TELL: Final = """
create function tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('written', new.id);
    return null;
end $$;
create trigger tell after update on "Risk" for each row execute function tell();
listen written
"""


async def once(ground: Ground) -> Run:
    """Edit one page at a time, tell the service of it, and listen for the row."""
    edits = ground.sized(200, 20)
    took_ms: list[float] = []
    with ground.database() as dsn:
        async with connected(dsn) as conn:
            await risks(conn, edits)
            async with staged(dsn, LOG_LEVEL="info", NOTION_WEBHOOK_SECRET=SECRET) as scene:
                await conn.execute(TELL.encode())
                pages = {row["properties"]["System ID"]: row["id"] for row in scene.sandbox.people.rows("Risks")}
                for number in range(1, edits + 1):
                    page = pages[f"r{number}"]
                    scene.sandbox.people.edit(page, {"Title": f"edited {number}"})
                    began_s = time.perf_counter()
                    telling = asyncio.create_task(deliver(scene, event(page)), name="webhook")
                    told_s = [time.perf_counter() async for _ in conn.notifies(timeout=20.0, stop_after=1)]
                    took_ms.append(1e3 * (told_s[0] - began_s))
                    await telling
                    await asyncio.sleep(EVERY_S)
    fsync_ms = fsync_s(ground.server.data_dir) * 1e3
    return Run({"p50": percentile(took_ms, 0.5), "p99": percentile(took_ms, 0.99), "fsync": fsync_ms})


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    yield Line(
        "webhook to committed row", f"p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms",
        f"fsync {found['fsync']:.2f} ms; without Notion's own delay",
    )
