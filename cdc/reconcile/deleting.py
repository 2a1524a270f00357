"""How many pages may follow their rows into the trash before a person is asked: the pure rule.

A wrong statement in MapAble, or a restored backup, must not empty Notion. Deletes are counted by when they were
committed, so that those of a day of downtime are not taken for one blow; and what one parent took along counts as one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

LEAST: Final = 5
PERCENT: Final = 5
WINDOW: Final = timedelta(seconds=60)


def limit(linked: int) -> int:
    """Return how many of an entity's `linked` pages may go within the window."""
    return max(LEAST, -(-linked * PERCENT // 100))


def may_go(linked: int, groups_gone_in_window: int) -> bool:
    """Whether one more may go."""
    return groups_gone_in_window < limit(linked)


def gone_with(at: datetime, others: Collection[datetime]) -> int:
    """Return the most of `others` that fall into one window together with `at`.

    Workers meet deletes in any order, so a window may begin before `at` or with it.
    """
    begins = [each for each in (*others, at) if each <= at <= each + WINDOW]
    return max(sum(begin <= each <= begin + WINDOW for each in others) for begin in begins)
