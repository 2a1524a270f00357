"""What is printed: a line a run, and at the end a table of what was covered and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.chaos import menu
from tests.chaos.outcome import Report


def line_of(report: Report) -> str:
    """Return one run in one line."""
    back = "/".join(f"{took_s:.1f}" for took_s in report.recoveries_s)
    return (
        f"seed {report.seed:>4}  {'FAILED' if report.findings else 'ok    '}  {report.strategy:<16}"
        f"{report.operations:>4} operations  {report.kills} kills  {report.faults:>2} faults, {report.struck:>2} struck"
        f"  {report.took_s:5.1f} s  quiet {report.quiet_s:4.1f} s  back in {back} s"
        f"  log kept {report.wal_bytes / 1024:.0f} kB  crossed {report.crossed}  needless {report.needless}"
    )


def summary_of(reports: Sequence[Report]) -> str:
    """Return the tables over all runs."""
    covered: Counter[tuple[str, str]] = Counter()
    audited: Counter[str] = Counter()
    for report in reports:
        covered += report.covered
        audited += report.audited
    back = sorted(took_s for report in reports for took_s in report.recoveries_s)
    restarts = sorted(took_s for report in reports for took_s in report.restarts_s)
    failed = [str(report.seed) for report in reports if report.findings]
    lines = [
        *_matrix(covered),
        "",
        "written down: " + ", ".join(f"{action} {number}" for action, number in sorted(audited.items())),
        f"runs {len(reports)}, operations {sum(report.operations for report in reports)}"
        f" (and {sum(report.failed for report in reports)} of them met a fault, {sum(r.skipped for r in reports)}"
        f" had nothing to act on), kills {sum(report.kills for report in reports)},"
        f" faults {sum(report.faults for report in reports)} ({sum(report.struck for report in reports)} struck)",
        f"back after a kill: median {_at(back, 0.5):.1f} s, worst {_at(back, 1):.1f} s;"
        f" restarts of Postgres took up to {_at(restarts, 1):.1f} s",
        f"log kept at most {max(report.wal_bytes for report in reports) / 1024:.0f} kB;"
        f" quiet again within {max(report.quiet_s for report in reports):.1f} s",
        f"edits that crossed a write unseen {sum(report.crossed for report in reports)};"
        f" writes that changed nothing {sum(report.needless for report in reports)}",
        f"failed: {', '.join(failed)}  (make chaos SEEDS={','.join(failed)})" if failed else "all as the model has it",
    ]
    return "\n".join(lines)


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


def _letter(index: int) -> str:
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
