"""`make bench`: what the product costs and how fast it is, each figure beside a peer or a limit of the same run."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.local.postgres import temporary
from tests.bench import backfill, budget, calls, capture, guest, hooks, latency, machine, memory, report
from tests.bench.ground import ROOT, SETTINGS, Ground
from tests.bench.report import Line, Outcome, Run
from tests.conftest import SCRUBBED_NAMES, SCRUBBED_PREFIXES

OUT: Final = ROOT / ".local" / "bench" / "bench.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: how to measure it once, how often, and what to say of the medians."""

    once: Callable[[Ground], Awaitable[Run]]
    lines: Callable[[Mapping[str, float]], Iterable[Line]]
    runs: int


ROWS: Final[Mapping[str, Row]] = {
    "capture": Row(capture.once, capture.lines, capture.RUNS),
    "calls": Row(calls.once, calls.lines, calls.RUNS),
    "budget": Row(budget.once, budget.lines, budget.RUNS),
    "latency": Row(latency.once, latency.lines, latency.RUNS),
    "webhook": Row(hooks.once, hooks.lines, hooks.RUNS),
    "memory": Row(memory.once, memory.lines, memory.RUNS),
    "mapable": Row(guest.once, guest.lines, guest.RUNS),
    "backfill": Row(backfill.once, backfill.lines, backfill.RUNS),
}


async def _measured(name: str, row: Row, ground: Ground, runs: int, console: Console) -> Outcome:
    found = []
    for number in range(runs):
        with console.status(f"{name}: run {number + 1} of {runs}"):
            found.append(await row.once(ground))
    command = f"make bench ROWS={name} RUNS={runs}" + (" QUICK=1" if ground.quick else "")
    return Outcome(name, command, runs, tuple(row.lines(report.medians(found))), found[-1].notes)


async def _all(names: Iterable[str], ground: Ground, runs: int | None, console: Console) -> list[Outcome]:
    outcomes = []
    for name in names:
        row = ROWS[name]
        outcome = await _measured(name, row, ground, runs or (1 if ground.quick else row.runs), console)
        for line in outcome.lines:
            console.print(f"{name}: {line.case}: {line.figure} ({line.target or 'no target'})", highlight=False)
        outcomes.append(outcome)
    return outcomes


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help=f"which rows (all): {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once: does it run?")
    parser.add_argument("--runs", type=int, help="how often each row is measured; the table shows medians")
    parser.add_argument("--out", type=Path, default=OUT, help="where the table goes as Markdown")
    given = parser.parse_args()
    for name in tuple(os.environ):
        if name in SCRUBBED_NAMES or (name.startswith(SCRUBBED_PREFIXES) and name != "PG_BIN_DIR"):
            del os.environ[name]
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # a table in a file, or in CI, must not be folded to eighty columns
    console = Console() if sys.stdout.isatty() else Console(width=180)
    server = temporary(settings=SETTINGS, durable=True)
    server.start()
    try:
        about = machine.described(server.describe().partition(" on port")[0])
        outcomes = asyncio.run(_all(given.rows or ROWS, Ground(server, given.quick), given.runs, console))
    finally:
        server.destroy()
    console.print(report.table(outcomes))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(report.markdown(outcomes, about), encoding="utf-8")
    console.print(f"{about}\nwritten to {given.out}")


if __name__ == "__main__":
    main()
