"""What changed: the values that travel from the log to the work queue."""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag
from typing import Final, Literal, NamedTuple, NewType

Lsn = NewType("Lsn", int)
"""A position in the write-ahead log: bytes from its start."""

PageId = NewType("PageId", str)
"""A Notion page id in its dashed, lower-case form."""


class Absent(Enum):
    """The other side did not send this value. Not the same as NULL or empty."""

    ABSENT = "absent"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT


class Key(NamedTuple):
    """What the queue counts in: one record of one entity (or one looked-up row, see `cdc.lookups`).

    A tuple, since capture makes and hashes several for each message of the log: a dataclass costs four times as much.
    """

    entity: str
    system_id: str


class Reason(IntFlag):
    """Which side may differ from what both last agreed on."""

    OURS = 1
    THEIRS = 2
    RESTORE = 4    # an operator asked to bring back a page that a person took away


class Priority(IntEnum):
    """Who goes first when Notion's budget is short: the lower number."""

    LIVE = 0
    MANUAL = 1
    BACKFILL = 2
