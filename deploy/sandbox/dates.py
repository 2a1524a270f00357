"""Dates: date-only or with time and offset, as written and as read; instants for comparing."""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deploy.sandbox.checks import as_object, known_keys
from deploy.sandbox.errors import UNDEFINED, Invalid, Json, unfit

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|z|[+-]\d{2}:?\d{2})?")


def parse(value: Any, path: str, *, drop_millis: bool) -> Json | None:
    """Return a date value in its read form: date-only stays so, a time carries millis and offset, no zone."""
    if value is None:
        return None
    given = as_object(value, path)
    known_keys(given, path, ("start", "end", "time_zone"))
    if "start" not in given:
        raise unfit(f"{path}.start", "defined", UNDEFINED)
    zone = _zone(given.get("time_zone"), f"{path}.time_zone")
    start = _read_form(given["start"], f"{path}.start", zone, drop_millis)
    end = given.get("end")
    if end is not None:
        end = _read_form(end, f"{path}.end", zone, drop_millis)
        if len(end) != len(start) and 10 in (len(end), len(start)):
            raise unfit(f"{path}.end", "of the same kind as start (both with or both without a time)", given["end"])
    return {"start": start, "end": end, "time_zone": None}


def _zone(name: Any, path: str) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise unfit(path, "a valid IANA time zone", name) from None


def _read_form(value: Any, path: str, zone: ZoneInfo | None, drop_millis: bool) -> str:
    if not isinstance(value, str):
        raise unfit(path, "a string", value)
    if _DAY.fullmatch(value):
        if zone is not None:
            raise unfit(path, "a date with a time when time_zone is given", value)
        _checked_day(value, path)
        return value
    found = _MOMENT.fullmatch(value)
    if found is None:
        raise unfit(path, "a valid ISO 8601 date string", value)
    day, hour, minute, second, fraction, offset = found.groups()
    _checked_day(day, path)
    millis = "000" if drop_millis else f"{fraction or '':0<3}"[:3]
    try:
        local = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}.{millis}")
        if zone is not None:
            if offset is not None:
                raise unfit(path, "a date without an offset when time_zone is given", value)
            offset = local.replace(tzinfo=zone).isoformat()[-6:]
        offset = "+00:00" if offset in (None, "Z", "z") else offset
        if ":" not in offset:
            offset = f"{offset[:3]}:{offset[3:]}"
        datetime.fromisoformat(f"2000-01-01T00:00:00{offset}")
    except ValueError:
        raise unfit(path, "a valid ISO 8601 date string", value) from None
    return f"{local.isoformat(timespec='milliseconds')}{offset}"


def _checked_day(value: str, path: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise unfit(path, "a valid ISO 8601 date string", value) from None


def instant(value: str) -> datetime:
    """Return the moment of a read form; a day means midnight UTC."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_day(value: str) -> bool:
    """True for a date without a time."""
    return len(value) == 10


_RELATIVE_DAYS = {
    "today": 0, "tomorrow": 1, "yesterday": -1, "one_week_ago": -7, "one_week_from_now": 7,
    "one_month_ago": -30, "one_month_from_now": 30,
}  # fmt: skip


def parse_bound(value: Any, path: str, now: datetime) -> tuple[datetime, bool]:
    """Return (moment, whether it is a whole day) of a filter's bound; UTC where no offset is given."""
    if isinstance(value, str) and value in _RELATIVE_DAYS:
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day + timedelta(days=_RELATIVE_DAYS[value]), True
    read_form = _read_form(value, path, None, drop_millis=False)
    return instant(read_form), is_day(read_form)


def window_of(operator: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the half-open span of this_week, past_month and the like."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if operator == "this_week":
        monday = today - timedelta(days=today.weekday())
        return monday, monday + timedelta(days=7)
    span = timedelta(days={"week": 7, "month": 30, "year": 365}[operator.split("_")[1]])
    if operator.startswith("past_"):
        return today - span, today + timedelta(days=1)
    return today, today + span + timedelta(days=1)


def shown_minute(seconds: float) -> str:
    """Return created_time or last_edited_time as Notion shows it: rounded down to the minute."""
    return _shown(int(seconds // 60))


@functools.lru_cache(maxsize=4096)
def _shown(minute: int) -> str:
    try:
        floored = datetime.fromtimestamp(minute * 60, UTC)
    except (OverflowError, OSError):
        raise Invalid("the clock is out of range") from None
    return floored.strftime("%Y-%m-%dT%H:%M:00.000Z")
