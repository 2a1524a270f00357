"""What people are told about their edits, where they made them: plain sentences, values as people write them.

The texts quote values, so they go to the page they speak of and nowhere else, least of all into a log.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.canonical import Canonical, decode
from sinks.mapping.model import Field, Kind
from sinks.mapping.text import units
from state.changes import Absent
from state.merge import Json
from state.threeway import Theirs, Unknown

QUOTE_UNITS: Final = 600
"""What is quoted of a longer value: two quotes and what is said around them fit into one comment."""


def shown(field: Field, value: Theirs, time_zone: ZoneInfo) -> str:
    """Return a field's value as a person would write it."""
    match value:
        case Absent():
            return "nothing"
        case Unknown():
            return "something that MapAble can't read"
        case _ if field.kind is Kind.RELATION:
            return "another record" if value else "no record"
        case _:
            return _written(field.kind, decode(field.kind, value), time_zone)


def put_back(field: Field, reason: str, typed: Theirs, kept: Json, time_zone: ZoneInfo) -> str:
    """Return what to say of an edit that MapAble can't take. `reason` is a whole sentence (`parsing.Refused`)."""
    return (
        f"{reason} What was typed here, {shown(field, typed, time_zone)}, was not saved; "
        f"{field.name} shows {shown(field, kept, time_zone)} again."
    )


def app_owned(field: Field, typed: Theirs, kept: Json, time_zone: ZoneInfo) -> str:
    """Return what to say of an edit in a field that only MapAble changes."""
    return (
        f"{field.name} comes from MapAble and can only be changed there. What was typed here, "
        f"{shown(field, typed, time_zone)}, was not saved; {field.name} shows {shown(field, kept, time_zone)} again."
    )


def notion_lost(field: Field, lost: Json, kept: Json, time_zone: ZoneInfo) -> str:
    """Return what to say when a field was changed on both sides and MapAble's value was kept."""
    return (
        f"{field.name} was changed here and in MapAble at about the same time, and MapAble's value was kept: "
        f"{shown(field, kept, time_zone)}. The value typed here was {shown(field, lost, time_zone)}. "
        "If that one is right, please type it again."
    )


def frozen(field: Field, notion: Json, mapable: Json, time_zone: ZoneInfo, *, ping_pong: bool = False) -> str:
    """Return what to say of a field that waits for a person. `ping_pong`: both sides kept changing it."""
    happened = (
        "keeps being changed back and forth between here and MapAble"
        if ping_pong
        else "was changed here and in MapAble, to different values"
    )
    return (
        f"{field.name} {happened}, so a person has to decide. Here it is {shown(field, notion, time_zone)}; in MapAble "
        f"it is {shown(field, mapable, time_zone)}. Neither is changed until then. To keep MapAble's value, type it "
        "here; to keep this one, enter it in MapAble. As soon as both are the same, this is settled."
    )


def crossed(field: Field, ours: Json, seen: Theirs, time_zone: ZoneInfo) -> str:
    """Return what to say of an edit that our write may have overwritten. `seen`: the last value we know of."""
    return (
        f"Somebody edited {field.name} here at the moment when MapAble's change arrived, so that edit may be lost. "
        f"{field.name} now shows {shown(field, ours, time_zone)}; the last value seen here before was "
        f"{shown(field, seen, time_zone)}. If your edit is missing, please type it again."
    )


def _written(kind: Kind, value: Canonical, time_zone: ZoneInfo) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "ticked" if value else "not ticked"
        case Decimal():
            return money(value)
        case datetime():
            return moment(value, time_zone)
        case date():
            return day(value)
        case tuple():
            raise TypeError(f"{kind.name} is no list")
        case str():
            return f"“{_shortened(value)}”"


def money(amount: Decimal) -> str:
    """Return dollars: $1,234.50; more than two decimals stay."""
    decimals = max(2, -int(amount.normalize().as_tuple().exponent)) if amount.is_finite() else 2
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{decimals}f}"


def day(value: date) -> str:
    """Return a day: 3 March 2026."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime, time_zone: ZoneInfo) -> str:
    """Return an instant as the clock shows it in the zone: 3 March 2026, 2:05 pm."""
    try:
        local = value.astimezone(time_zone)
    except OverflowError:
        local = value
    seconds = f":{local.second:02}" if local.second else ""
    half = "am" if local.hour < 12 else "pm"
    return f"{day(local)}, {local.hour % 12 or 12}:{local.minute:02}{seconds} {half}"


_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)


def _shortened(text: str) -> str:
    if units(text) <= QUOTE_UNITS:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * QUOTE_UNITS].decode("utf-16-le", "ignore")
    return f"{kept}… [{len(text) - len(kept)} more characters]"


def fitted(text: str, room_units: int) -> str:
    """Return the text, cut to so many UTF-16 units."""
    if units(text) <= room_units:
        return text
    return text.encode("utf-16-le", "surrogatepass")[: 2 * (room_units - 1)].decode("utf-16-le", "ignore") + "…"
