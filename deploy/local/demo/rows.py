"""What every demo row is made with: steady ids, steady dice, steady instants. No clock and no global randomness."""

from __future__ import annotations

import hashlib
import random
import string
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

Row = dict[str, object]
"""One row by column name. Every row of a table has the same columns."""

FIXED_DAY: Final = date(2026, 6, 15)
"""The demo's today: everything is dated relative to it."""

_BASE36: Final = string.digits + string.ascii_lowercase


def cuid(table: str, number: int) -> str:
    """Return the id of the row: it depends on nothing else, so that adding rows renames none."""
    rest = int.from_bytes(hashlib.sha256(f"{table}:{number}".encode()).digest())
    letters = []
    for _ in range(24):
        rest, digit = divmod(rest, 36)
        letters.append(_BASE36[digit])
    return "c" + "".join(letters)


def dice(table: str, number: int) -> random.Random:
    """Return the row's own source of choices, for the same reason."""
    return random.Random(f"mapable demo {table} {number}")


def secret(column: str, number: int) -> str:
    """Return a value that anyone who meets it outside MapAble recognises as a leak."""
    return f"SECRET-{column}-{number:04d}"


def utc(text: str) -> datetime:
    """Return the instant that `text` (ISO 8601 without offset) names in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment(days_ago: int, rng: random.Random) -> datetime:
    """Return an instant, to the millisecond, in the day that lies `days_ago` before the demo's today."""
    start = datetime.combine(FIXED_DAY - timedelta(days=days_ago), time(), UTC)
    return start + timedelta(milliseconds=rng.randrange(24 * 3600 * 1000))


def sydney_midnight(day: date) -> datetime:
    """Return when `day` starts in Sydney. Spelled out, so that the data does not depend on a time zone database."""
    summer = not _first_sunday(day.year, 4) < day <= _first_sunday(day.year, 10)
    return datetime.combine(day, time(), UTC) - timedelta(hours=11 if summer else 10)


def _first_sunday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=6 - first.weekday())
