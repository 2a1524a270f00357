"""What is printed: a line a run, and at the end tables of what was covered and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tests.chaos import menu
from tests.chaos.outcome import Report

T = TypeVar("T")

def line_of(report: Report) -> str:
    """Return one run in one line."""
    if report.broken is not None:
        return f"seed {report.seed:>4}  NOT DONE: {report.broken}"
    back = "/".join(f"{took_s:.1f}" for took_s in report.recoveries_s)
    return (
        f"seed {report.seed:>4}  {'FAILED' if report.findings else 'ok    '}  {report.strategy:<16}"
        f"{report.operations:>4} operations  {report.kills} kills  {report.faults:>2} faults, {report.struck:>2} struck"
        f"  {report.took_s:5.1f} s  quiet {report.quiet_s:4.1f} s  back in {back or '-'} s"
        f"  log kept {max(report.log_kept.values(), default=0) / 1024:.0f} kB  crossed {report.crossed}"
        f"  needless {report.needless}  doubled {report.duplicates}"
    )


def summary_of(all_reports: Sequence[Report]) -> str:
    """Return the tables over all runs that were done."""
    reports = [report for report in all_reports if report.broken is None]
    broken = [str(report.seed) for report in all_reports if report.broken is not None]
    failed = [str(report.seed) for report in reports if report.findings]
    audited = _sum(report.audited for report in reports)
    kills, doubled = sum(report.kills for report in reports), sum(report.duplicates for report in reports)
    covered = _sum(report.covered for report in reports)
    lines = [
        *([*_matrix(covered), ""] if covered else []),
        "struck: " + _told(_sum(report.met for report in reports)),
        "killed: " + _told(_sum(report.killed_at for report in reports)),
        "written down: " + _told(audited),
        "",
        f"runs {len(reports)}, operations {sum(report.operations for report in reports)}"
        f" (and {sum(report.failed for report in reports)} of them met a fault, {sum(r.skipped for r in reports)}"
        f" had nothing to act on), kills {kills},"
        f" faults {sum(report.faults for report in reports)} ({sum(report.struck for report in reports)} struck)",
        f"reads the log again after kill -9: {_spread([s for r in reports for s in r.recoveries_s])}",
        f"reads the log again after a restart of Postgres: {_spread([s for r in reports for s in r.restarts_s])}",
        f"another one has taken over from a frozen process: {_spread([s for r in reports for s in r.takeovers_s])}",
        f"all at rest after the last operation: {_spread([report.quiet_s for report in reports])}",
        "log kept by the slot at most: " + ", ".join(
            f"{max(r.log_kept.get(cause, 0) for r in reports) / 1024:.0f} kB ({cause})"
            for cause in sorted({cause for report in reports for cause in report.log_kept})
        ),
        f"pages, rows or comments made once too often in {kills} kills: {doubled};"
        f" writes that changed nothing {sum(report.needless for report in reports)};"
        f" edits that crossed a write unseen {sum(report.crossed for report in reports)};"
        f" starts given up while the database was away {sum(report.revived for report in reports)}",
        *([f"not done, by the harness's own fault: {', '.join(broken)}"] if broken else []),
        f"failed: {', '.join(failed)}  (make chaos SEEDS={','.join(failed)})" if failed else "all as the model has it",
    ]
    return "\n".join(lines)


def _sum(counters: Iterable[Counter[T]]) -> Counter[T]:
    """Add counters up."""
    total: Counter[T] = Counter()
    for counter in counters:
        total += counter
    return total


def _matrix(covered: Counter[tuple[str, str]]) -> list[str]:
    """Return operations by rows and faults by columns; a column's name is a letter, told below."""
    faults = sorted({fault for _, fault in covered})
    letters = {fault: _letter(index) for index, fault in enumerate(faults)}
    lines = ["operations while something was wrong:", " " * 24 + "".join(f"{letters[fault]:>5}" for fault in faults)]
    for name in menu.NAMES:
        counts = "".join(f"{covered[name, fault] or '.':>5}" for fault in faults)
        lines.append(f"{name:<24}{counts}")
    told = [f"{letter} {fault}" for fault, letter in letters.items()]
    lines += ["  " + ", ".join(told[start : start + 8]) for start in range(0, len(told), 8)]
    return lines


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))


def _letter(index: int) -> str:
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")


def _spread(values_s: Sequence[float]) -> str:
    if not values_s:
        return "never had to"
    values_s = sorted(values_s)
    return f"{len(values_s)} times, median {values_s[len(values_s) // 2]:.1f} s, worst {values_s[-1]:.1f} s"
