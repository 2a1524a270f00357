"""Texts that are made from a row and never read back: incident titles, goals, a participant's status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.instants import day_of, instant
from sinks.mapping.model import Row

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def participant_status(row: Row, _: ZoneInfo) -> str:
    """Return Active while the user is a participant; a page outlives the role."""
    return "Active" if row["role"] == "PARTICIPANT" else "Inactive"


def incident_title(row: Row, time_zone: ZoneInfo) -> str:
    """Return `TYPE · YYYY-MM-DD`, the day in the time zone; the type alone where the day can't be told."""
    occurred = instant(row["occurredAt"])
    day = None if occurred is None else day_of(occurred, time_zone)
    parts = (_words(row["incidentType"]), "" if day is None else day.isoformat())
    return " · ".join(part for part in parts if part)


def goals_text(row: Row, time_zone: ZoneInfo) -> str:
    """Return one line a goal: `description (target YYYY-MM-DD, STATUS)`, missing parts left out.

    The column is free JSON: whatever does not look like a goal is shown as well as it can be, or left out.
    """
    goals = row["goals"]
    lines = (_goal(goal, time_zone) for goal in (goals if isinstance(goals, list) else [goals]))
    return "\n".join(line for line in lines if line)


def _goal(goal: object, time_zone: ZoneInfo) -> str:
    if not isinstance(goal, Mapping):
        return _words(goal)
    target = _target(goal.get("targetDate"), time_zone)
    details = ", ".join(part for part in (f"target {target}" if target else "", _words(goal.get("status"))) if part)
    return " ".join(part for part in (_words(goal.get("description")), f"({details})" if details else "") if part)


def _target(value: object, time_zone: ZoneInfo) -> str:
    """Return the day of a goal's date: as written, or in the time zone if it was written as an instant."""
    text = _words(value)
    if not _DAY.match(text):
        return text
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        return text
    day = written.date() if written.tzinfo is None else day_of(written, time_zone)
    return text if day is None else day.isoformat()


def _words(value: object) -> str:
    """Return a text or number on one line; anything else is nothing."""
    match value:
        case bool():
            return ""
        case str():
            return " ".join(value.split())
        case int() | float():
            return repr(value)
        case _:
            return ""
