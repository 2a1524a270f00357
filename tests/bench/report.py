"""What a benchmark says: lines of one table, each figure beside what it is measured against, and longer notes below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from rich.table import Table

HEADINGS: Final = ("row", "case", "figure", "beside", "target", "met")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `beside` was measured in the same run; `met` is None where no target is set."""

    case: str
    figure: str
    beside: str = ""
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What one run measured, and texts that belong to it."""

    figures: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row of the benchmark once it was run: lines, how to get them again, notes of its last run."""

    row: str
    command: str
    runs: int
    lines: Sequence[Line]
    notes: Mapping[str, str]


def medians(runs: Sequence[Run]) -> dict[str, float]:
    """Return the median of each figure over those runs that have it."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    return {name: median(run.figures[name] for run in runs if name in run.figures) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return the table for a terminal."""
    shown = Table(*HEADINGS, title="make bench")
    for outcome in outcomes:
        for number, line in enumerate(outcome.lines):
            shown.add_row(
                outcome.row if number == 0 else "", line.case, line.figure, line.beside, line.target,
                {True: "[green]yes", False: "[red]no", None: ""}[line.met],
                end_section=number == len(outcome.lines) - 1,
            )
    return shown


def markdown(outcomes: Sequence[Outcome], machine: str) -> str:
    """Return everything as Markdown."""
    rule = "|---" * len(HEADINGS) + "|"
    written = ["# make bench", "", machine, "", _cells(HEADINGS), rule]
    for outcome in outcomes:
        for line in outcome.lines:
            met = {True: "yes", False: "**no**", None: ""}[line.met]
            written.append(_cells((outcome.row, line.case, line.figure, line.beside, line.target, met)))
    written += ["", "## Again", "", "| row | runs | command |", "|---|---|---|"]
    written += [_cells((outcome.row, str(outcome.runs), f"`{outcome.command}`")) for outcome in outcomes]
    for outcome in outcomes:
        for title, text in outcome.notes.items():
            written += ["", f"## {outcome.row}: {title}", "", "```", text, "```"]
    return "\n".join(written) + "\n"


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
