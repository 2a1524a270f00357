"""Numbers as people read them: sizes, spans and how long ago. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.wording import day

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def size(count: float) -> str:
    """Return a number of bytes: 1.5 MiB."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def span(seconds: float) -> str:
    """Return a length of time by its largest unit: 3 minutes."""
    for length, name in _SPANS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a second"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return 1 record, 2 records."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clock(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return the time of day, to the second, and the day where it is not today's."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    time = f"{local:%H:%M:%S}"
    return time if local.date() == today else f"{day(local)}, {time}"
