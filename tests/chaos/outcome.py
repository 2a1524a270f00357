"""How much happens in a run, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.faults import KILLS


@dataclass(slots=True)
class Report:
    """What became of a run."""

    seed: int
    strategy: str
    operations: int = 0
    skipped: int = 0
    failed: int = 0
    kills: int = 0
    faults: int = 0
    struck: int = 0
    took_s: float = 0.0
    quiet_s: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)
    restarts_s: list[float] = field(default_factory=list)
    wal_bytes: int = 0
    crossed: int = 0
    needless: int = 0
    duplicates: int = 0
    findings: list[str] = field(default_factory=list)
    covered: Counter[tuple[str, str]] = field(default_factory=Counter)    # (operation, what was wrong meanwhile)
    audited: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    stories: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much happens in a run, and which of it: by default of everything some."""

    operations: int = 300
    kills: int = 3
    faults: int = 12
    moments: tuple[str, ...] = KILLS
    among: tuple[str, ...] = ()


FULL: Final = Profile()
