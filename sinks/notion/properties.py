"""Canonical values as Notion property payloads, and back.

What does not come back whole is told apart from what is empty: `ABSENT`, `UNREAD` and `Invalid` are never a change.
Whether a select option or an amount is one that MapAble accepts is decided by `sinks.mapping.parsing`, not here:
here it is only read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sinks.mapping import text
from sinks.mapping.canonical import Canonical
from sinks.mapping.instants import floor_ms, start_of_day
from sinks.mapping.model import Field, Kind
from sinks.mapping.money import cents
from state.changes import ABSENT, Absent

JsonObject = dict[str, object]
"""A JSON object on its way to Notion."""

_NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})
_MENTIONS_SHOWN: Final = 25
"""A page shows at most this many mentions of a text; the rest takes the property endpoint."""


class Unread(Enum):
    """The property was not read to its end."""

    UNREAD = "unread"


UNREAD: Final[Literal[Unread.UNREAD]] = Unread.UNREAD


@dataclass(frozen=True, slots=True)
class Invalid:
    """The property holds something that is no value of its kind. The reason never tells what."""

    reason: str


Observed = Canonical | Absent | Unread | Invalid


def notion_type(kind: Kind) -> str:
    """Return the property type that Notion knows the kind by."""
    return "date" if kind in (Kind.DAY, Kind.MOMENT) else kind.value


def write_value(field: Field, value: Canonical, option_ids: Mapping[str, str] = _NO_OPTIONS) -> JsonObject:
    """Return the payload that makes the property show the value; None and () clear it.

    `option_ids` by label: known options are written by id, so that one that a person renamed is not made anew.
    TypeError if the value is not of the field's kind.
    """
    return {notion_type(field.kind): _payload(field, value, option_ids)}


def _payload(field: Field, value: Canonical, option_ids: Mapping[str, str]) -> object:
    match field.kind, value:
        case (Kind.TITLE | Kind.TEXT | Kind.RELATION), None:
            return []
        case Kind.CHECKBOX, None:
            return False
        case _, None:
            return None
        case (Kind.TITLE | Kind.TEXT), str():
            return [{"text": {"content": item}} for item in text.items(value)]
        case Kind.EMAIL, str():
            return value or None
        case Kind.MONEY, Decimal():
            return float(value)
        case Kind.SELECT, str():
            return {"id": option_ids[value]} if value in option_ids else {"name": value}
        case Kind.CHECKBOX, bool():
            return value
        case Kind.MOMENT, datetime() if value.tzinfo is not None:
            return {"start": value.astimezone(UTC).isoformat(timespec="milliseconds")}
        case Kind.DAY, date() if not isinstance(value, datetime):
            return {"start": value.isoformat()}
        case Kind.RELATION, tuple():
            return [{"id": page_id} for page_id in value]
    raise TypeError(f"{type(value).__name__} is no value of a {field.kind.name} field")


def read_value(
    field: Field,
    prop: Mapping[str, object] | None,
    time_zone: ZoneInfo,
    *,
    labels: Mapping[str, str] = _NO_OPTIONS,
    complete: bool = False,
) -> Observed:
    """Return what the property holds.

    `labels` by option id: what a known option means, however people renamed it. `complete`: the property was put
    together by `from_items`, so nothing of it is missing.
    """
    kind = notion_type(field.kind)
    if prop is None or prop.get("type") != kind:
        return ABSENT
    if kind not in prop:
        return UNREAD
    if not complete and prop.get("has_more"):
        return UNREAD
    value = _value(field, prop[kind], time_zone, labels=labels, complete=complete)
    if isinstance(value, str) and not text.storable(value):
        # neither MapAble's columns nor the sidecar can hold it
        return Invalid("It contains a character that MapAble can't store.")
    return value


def _value(
    field: Field, raw: object, time_zone: ZoneInfo, *, labels: Mapping[str, str], complete: bool
) -> Observed:
    match field.kind:
        case Kind.SELECT:
            return _read_select(raw, labels)
        case Kind.MOMENT:
            return _read_moment(raw, time_zone)
        case Kind.TITLE | Kind.TEXT:
            return _read_text(raw, complete=complete)
        case _:
            return _READERS[field.kind](raw)


def from_items(field: Field, found: Sequence[Mapping[str, object]]) -> JsonObject:
    """Return the property as a page would show it, from all items that the property endpoint listed."""
    kind = notion_type(field.kind)
    return {"type": kind, kind: [item.get(kind) for item in found], "has_more": False}


def _read_text(raw: object, *, complete: bool) -> Observed:
    if not isinstance(raw, list):
        return Invalid("It is not a list of texts.")
    plain = [run.get("plain_text") if isinstance(run, Mapping) else None for run in raw]
    words = [piece for piece in plain if isinstance(piece, str)]
    if len(words) != len(plain):
        return Invalid("A part of the text can't be read.")
    mentions = sum(isinstance(run, Mapping) and run.get("type") == "mention" for run in raw)
    if mentions >= _MENTIONS_SHOWN and not complete:
        return UNREAD
    return "".join(words) or None


def _read_email(raw: object) -> Observed:
    if raw is None or isinstance(raw, str):
        return raw or None
    return Invalid("It is not a text.")


def _read_number(raw: object) -> Observed:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return Invalid("It is not a number.")
    if not math.isfinite(raw):
        return Invalid("The number is infinite or undefined.")
    # repr: the shortest digits that mean this double are the digits that the person typed.
    amount = Decimal(repr(raw))
    exact = cents(amount)
    return amount if exact is None else exact


def _read_select(raw: object, labels: Mapping[str, str]) -> Observed:
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        return Invalid("It is not an option.")
    known = labels.get(str(raw.get("id")))
    name = raw.get("name") if known is None else known
    return name if isinstance(name, str) and name else Invalid("The option has no name.")


def _read_day(raw: object) -> Observed:
    start = _start_of(raw)
    if not isinstance(start, str):
        return start
    try:
        datetime.fromisoformat(start)
        return date.fromisoformat(start[:10])
    except ValueError:
        return Invalid("The date can't be read.")


def _read_moment(raw: object, time_zone: ZoneInfo) -> Observed:
    start = _start_of(raw)
    if not isinstance(start, str):
        return start
    try:
        if len(start) == len("YYYY-MM-DD"):
            midnight = start_of_day(date.fromisoformat(start), time_zone)
            return Invalid("The date is outside the years 1 to 9999.") if midnight is None else midnight
        written = datetime.fromisoformat(start)
        return floor_ms(written.replace(tzinfo=UTC) if written.tzinfo is None else written.astimezone(UTC))
    except (ValueError, OverflowError):
        return Invalid("The date can't be read.")


def _start_of(raw: object) -> str | Invalid | None:
    if raw is None:
        return None
    start = raw.get("start") if isinstance(raw, Mapping) else None
    return start if isinstance(start, str) else Invalid("The date has no start.")


def _read_checkbox(raw: object) -> Observed:
    return raw if isinstance(raw, bool) else Invalid("It is neither checked nor unchecked.")


def _read_relation(raw: object) -> Observed:
    if not isinstance(raw, list) or not all(isinstance(page, Mapping) for page in raw):
        return Invalid("It is not a list of pages.")
    try:
        return tuple(sorted({str(UUID(str(page.get("id")))) for page in raw}))
    except ValueError:
        return Invalid("It names a page by something that is no id.")


_READERS: Final[Mapping[Kind, Callable[[object], Observed]]] = MappingProxyType({
    Kind.EMAIL: _read_email,
    Kind.MONEY: _read_number,
    Kind.DAY: _read_day,
    Kind.CHECKBOX: _read_checkbox,
    Kind.RELATION: _read_relation,
})
