"""Instants as the source stores them (UTC without a zone) and the calendar days that people see."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_MIDNIGHT: Final = time()


def instant(stored: object) -> datetime | None:
    """Return what a timestamp column holds as an aware UTC instant with milliseconds.

    None where no such instant exists in Python: infinity, years before 1 or after 9999, which arrive as text.
    """
    if isinstance(stored, str):
        try:
            stored = datetime.fromisoformat(stored)
        except ValueError:
            return None
    if not isinstance(stored, datetime):
        return None
    try:
        aware = stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)
    except OverflowError:
        return None
    return floor_ms(aware)


def floor_ms(moment: datetime) -> datetime:
    """Return the instant without what both sides can't hold: anything finer than a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def naive(moment: datetime) -> datetime:
    """Return an aware instant as a timestamp column stores it."""
    return floor_ms(moment.astimezone(UTC)).replace(tzinfo=None)


def day_of(moment: datetime, time_zone: tzinfo) -> date | None:
    """Return the calendar day of an aware instant in the zone, None beyond the years 1 to 9999."""
    try:
        return moment.astimezone(time_zone).date()
    except OverflowError:
        return None


def start_of_day(day: date, time_zone: tzinfo) -> datetime | None:
    """Return 00:00 of the day in the zone as a UTC instant, None beyond the years 1 to 9999."""
    return _local(day, _MIDNIGHT, time_zone)


def move_to_day(stored: datetime | None, day: date, time_zone: tzinfo) -> datetime | None:
    """Return the instant to store for a typed day: always one whose calendar day in the zone is that day.

    Tried in this order: the stored instant moved by whole days in UTC; the same local time of day, when daylight
    saving would make the first land on a neighbouring day; for a new value 00:00 UTC, and 00:00 local time in zones
    west of Greenwich. None when no instant has that day: the zone skipped it, or it is beyond the calendar.
    """
    candidates: list[datetime | None] = []
    if stored is None:
        candidates.append(datetime.combine(day, _MIDNIGHT, UTC))
    else:
        local_day = day_of(stored, time_zone)
        if local_day is not None:
            candidates.append(_shifted(stored, day - local_day))
            candidates.append(_local(day, stored.astimezone(time_zone).time(), time_zone))
    candidates.append(start_of_day(day, time_zone))
    for candidate in candidates:
        if candidate is not None and day_of(candidate, time_zone) == day:
            return candidate
    return None


def _shifted(moment: datetime, by: timedelta) -> datetime | None:
    try:
        return moment + by
    except OverflowError:
        return None


def _local(day: date, at: time, time_zone: tzinfo) -> datetime | None:
    try:
        return datetime.combine(day, at, time_zone).astimezone(UTC)
    except OverflowError:
        return None
