"""How much happens in a run, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.moments import KILLS


class HarnessError(Exception):
    """The harness could not do its part. That says nothing about the product: the run counts as not done."""


class NotNow(Exception):
    """A fault can't be had at this moment; a little later it may."""


@dataclass(slots=True)
class Report:
    """What became of a run. `broken`: why it counts as not done; then nothing else of it counts."""

    seed: int
    strategy: str = ""
    broken: str | None = None
    operations: int = 0
    skipped: int = 0
    failed: int = 0
    kills: int = 0
    faults: int = 0
    struck: int = 0
    took_s: float = 0.0
    quiet_s: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)    # from a start after kill -9 until it streams
    restarts_s: list[float] = field(default_factory=list)      # from Postgres being up again until it streams
    takeovers_s: list[float] = field(default_factory=list)     # from the lock's loss until the other one streams
    log_kept: dict[str, int] = field(default_factory=dict)     # bytes that the slot kept, at most, by what went wrong
    crossed: int = 0
    needless: int = 0
    revived: int = 0      # it gave up at its start, since the database was not there, and was started again
    duplicates: int = 0
    findings: list[str] = field(default_factory=list)
    covered: Counter[tuple[str, str]] = field(default_factory=Counter)    # (operation, what was wrong meanwhile)
    met: Counter[str] = field(default_factory=Counter)                    # how often each fault struck
    killed_at: Counter[str] = field(default_factory=Counter)              # how often it was killed at each point
    audited: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    stories: str = ""

    def kept(self, cause: str, log_bytes: int) -> None:
        """Note how much of the log the slot kept when something was wrong."""
        self.log_kept[cause] = max(self.log_kept.get(cause, 0), log_bytes)


@dataclass(frozen=True, slots=True)
class Profile:
    """How much happens in a run, and which of it: by default of everything some."""

    operations: int = 300
    kills: int = 3
    faults: int = 12
    moments: tuple[str, ...] = KILLS
    among: tuple[str, ...] = ()       # of the faults
    doing: tuple[str, ...] = ()       # of the operations
    always: tuple[str, ...] = ()      # what goes wrong all along
    patient: bool = False             # each operation is worked off before the next, if that does not take too long


FULL: Final = Profile()
