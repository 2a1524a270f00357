"""Memory: the most that the service ever had resident, with a huge transaction and with a million rows waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tests.bench.ground import Ground, connected, notion, serving, until_true, worked_off
from tests.bench.machine import peak_bytes
from tests.bench.report import Line, Run
from tests.bench.rows import risks

RUNS: Final = 1
MOST_MB: Final = 120
WAITING: Final = "select count(*) > {rows} from notion_sync.work"


async def once(ground: Ground) -> Run:
    """Insert, and let Notion be slow."""
    step, steps = ground.sized(200_000, 20_000), 5
    with ground.database() as dsn:
        async with notion("--rate-limit", "180") as stand_in, connected(dsn) as conn:
            env = stand_in.environment(dsn, NOTION_REQUESTS_PER_MINUTE="180")
            async with serving(env) as service:
                await worked_off(conn)
                figures = {"rows": step, "all": step * steps, "idle": peak_bytes(service.process.pid) / 1e6}
                for number in range(steps):
                    await risks(conn, step * (number + 1), first=step * number + 1)
                    # all but what Notion took meanwhile
                    waiting = WAITING.format(rows=step * (number + 1) - 2_000)
                    await until_true(conn, waiting, timeout_s=600.0, every_s=1.0)
                    if number == 0:
                        figures["one"] = peak_bytes(service.process.pid) / 1e6
                figures["million"] = peak_bytes(service.process.pid) / 1e6
                service.kill()
                await service.process.wait()
    return Run(figures)


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    beside = f"{found['idle']:.0f} MB idle"
    for name, told in (
        ("one", f"peak during a transaction of {found['rows']:,.0f} rows"),
        ("million", f"peak with {found['all']:,.0f} rows waiting"),
    ):
        yield Line(told, f"{found[name]:.0f} MB", beside, f"<= {MOST_MB} MB", found[name] <= MOST_MB)
