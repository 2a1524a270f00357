"""`make chaos SEEDS=1-200`: runs from these seeds, a line each, then a summary; `steps`: a kill at every named step."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from tests.chaos.batch import runs
from tests.chaos.outcome import FULL, Profile, Report
from tests.chaos.report import line_of, summary_of
from tests.chaos.stepping import PARTS

STEPS: Final = "steps"
SHOWN: Final = 12


def seeds_of(text: str) -> list[int]:
    """Return the seeds of `7`, `1-200` or `3,9,20-25`; those of `steps` are negative: its parts."""
    found: list[int] = []
    for part in text.split(","):
        if part == STEPS:
            found += [-1 - index for index in range(len(PARTS))]
        else:
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    return found


def _keep(report: Report, logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    (logs / f"{report.seed}.log").write_text("\n".join(report.log), encoding="utf-8", errors="backslashreplace")
    (logs / f"{report.seed}.stories").write_text(report.stories, encoding="utf-8", errors="backslashreplace")


def _say(text: str) -> None:
    # a value may hold what no terminal takes
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run, print, and return 1 when a run failed, 2 when one could not be done."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("seeds", type=seeds_of, help="7, 1-200 or 3,9,20-25; steps")
    parser.add_argument("--operations", type=int, default=FULL.operations)
    parser.add_argument("--kills", type=int, default=FULL.kills)
    parser.add_argument("--faults", type=int, default=FULL.faults)
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="so many runs, each with its own Postgres")
    parser.add_argument("--logs", type=Path, help="where the service's log of a run that failed goes")
    given = parser.parse_args()
    for name in tuple(os.environ):
        if name.startswith("NOTION_") or name in ("DATABASE_URL", "ADMIN_TOKEN"):
            del os.environ[name]
    reports = []
    for report in runs(given.seeds, Profile(given.operations, given.kills, given.faults), given.at_once):
        reports.append(report)
        _say(line_of(report))
        for finding in report.findings[:SHOWN]:
            _say(f"    {finding}")
        if more := len(report.findings[SHOWN:]):
            _say(f"    and {more} more")
        if (report.findings or report.broken is not None) and given.logs is not None:
            _keep(report, given.logs)
    reports.sort(key=lambda report: report.seed)
    _say(summary_of(reports))
    if any(report.broken is not None for report in reports):
        return 2
    return 1 if any(report.findings for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
