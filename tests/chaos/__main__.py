"""`make chaos SEEDS=1-200`: runs from these seeds, one after another; a line each, and a summary."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from deploy.local.postgres import temporary
from deploy.local.server import PrivateServer
from tests.chaos.outcome import FULL, Profile, Report
from tests.chaos.report import line_of, summary_of
from tests.chaos.run import play, prepare


def seeds_of(text: str) -> list[int]:
    """Return the seeds of `7`, `1-200` or `3,9,20-25`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


async def _runs(server: PrivateServer, seeds: list[int], profile: Profile, logs: Path | None) -> list[Report]:
    reports = []
    for seed in seeds:
        report = await play(seed, server, profile)
        reports.append(report)
        _say(line_of(report))
        for finding in report.findings:
            _say(f"    {finding}")
        if report.findings and logs is not None:
            _keep(report, logs)
    return reports


def _keep(report: Report, logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    (logs / f"{report.seed}.log").write_text("\n".join(report.log), encoding="utf-8")
    (logs / f"{report.seed}.stories").write_text(report.stories, encoding="utf-8", errors="backslashreplace")


def _say(text: str) -> None:
    # a value may hold what no terminal takes
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run, print, and return 1 when a run failed."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("seeds", type=seeds_of, help="7, 1-200 or 3,9,20-25")
    parser.add_argument("--operations", type=int, default=FULL.operations)
    parser.add_argument("--kills", type=int, default=FULL.kills)
    parser.add_argument("--faults", type=int, default=FULL.faults)
    parser.add_argument("--logs", type=Path, help="where the service's log of a run that failed goes")
    given = parser.parse_args()
    for name in tuple(os.environ):
        if name.startswith("NOTION_") or name in ("DATABASE_URL", "ADMIN_TOKEN"):
            del os.environ[name]
    # a client that is killed half-way through a request is no news here
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    server = temporary()
    server.start()
    try:
        prepare(server)
        profile = Profile(given.operations, given.kills, given.faults)
        reports = asyncio.run(_runs(server, given.seeds, profile, given.logs))
    finally:
        server.destroy()
    _say(summary_of(reports))
    return 1 if any(report.findings for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
