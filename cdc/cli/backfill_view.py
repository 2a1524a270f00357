"""How a backfill looks on a terminal: the progress bar, and the tables at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cdc.operate.forecast import Forecast
from state.work import Parked


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} rows/s" if speed else "- rows/s", style="progress.data.speed")


class Bar:
    """A bar with rate and time left on a terminal; elsewhere only what is worth a line."""

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._console = console
        self._lines = shown
        self._bar = Progress(
            TextColumn("backfill"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(), console=console, disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("backfill", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def moved(self, done: int, total: int) -> None:
        """`done` of `total` keys are through."""
        self._bar.update(self._task, completed=done, total=total or None)

    def said(self, note: str) -> None:
        """Something that a person may want to know."""
        if self._lines:
            self._console.print(note, soft_wrap=True)


def forecast_tables(forecasts: Sequence[Forecast]) -> Iterator[Table | str]:
    """Return the counts, and below them what could not be shown and why."""
    table = Table("entity", "create", "update", "unchanged", "trash", "invalid")
    for item in forecasts:
        counts = (item.create, item.update, item.unchanged, item.trash, item.invalid)
        table.add_row(item.entity, *(str(count) for count in counts))
    yield table
    for item in forecasts:
        for (name, reason), rows in sorted(item.reasons.items()):
            yield f"{item.entity}.{name}: {rows} rows: {reason}"


def parked_table(parked: Sequence[Parked]) -> Table:
    """Return what was set aside and why."""
    table = Table("entity", "id", "reason", "attempts", "what happened", title="Parked: set aside for a person")
    for item in parked:
        table.add_row(item.entity, item.system_id, item.reason, str(item.attempts), item.message)
    return table
