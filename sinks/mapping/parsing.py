"""From what a person typed in Notion to the column's value, or the reason why MapAble can't take it.

Reasons are shown to the person, so they are whole sentences; they never tell the value, because they are logged too.
Who may edit the field is not decided here (see `rendering.owner_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.canonical import Canonical
from sinks.mapping.instants import instant, move_to_day, naive
from sinks.mapping.model import Column, Entity, Field, Kind, LeftOut, NotBefore, PartOf, Row
from sinks.mapping.money import cents
from sinks.mapping.rendering import render_field
from sinks.mapping.text import has_cut_mark, storable

ColumnValue = str | Decimal | datetime | bool | None
"""What is written to a column: timestamps are naive UTC with milliseconds, money has two places, empty is NULL."""

_MONEY_BELOW: Final = Decimal(10) ** 10  # numeric(12,2)


@dataclass(frozen=True, slots=True)
class Refused:
    """MapAble can't take what was typed. The reason never tells the value."""

    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule across fields that the row would break; `fields` are the keys it speaks of."""

    fields: tuple[str, str]
    reason: str


def parse(
    entity: Entity, field: Field, value: Canonical, row: Row, time_zone: ZoneInfo
) -> ColumnValue | Refused:
    """Return what to write to the field's column so that it shows `value`; `row` is the row as it is now.

    A value that the row shows already leaves the column exactly as it is. One that the page could not show again is
    refused.
    """
    source = field.source
    if not isinstance(source, Column) or field.kind is Kind.RELATION or source.name == "id":
        return Refused(f"{field.name} is made by MapAble and can't be edited here.")
    if render_field(field, row, time_zone) == value:
        return _as_stored(row[source.name])
    if value is None or value == "":
        return None if field.nullable else Refused(f"{field.name} can't be empty in MapAble.")
    taken = _PARSERS[field.kind](field, value, row[source.name], time_zone)
    if isinstance(taken, Refused):
        return taken
    shown = render_field(field, {**row, source.name: taken}, time_zone)
    return Refused(shown.reason) if isinstance(shown, LeftOut) else taken


def check_row(entity: Entity, row_after: Row) -> tuple[Violation, ...]:
    """Return the rules across fields that the row would break.

    MapAble's own rows may break some already: a caller judges an edit by the violations that speak of edited fields.
    Days are compared as the instants that are stored, which is how MapAble compares them.
    """
    found = (_violation(rule, entity, row_after) for rule in entity.rules)
    return tuple(violation for violation in found if violation is not None)


def _violation(rule: NotBefore | PartOf, entity: Entity, row: Row) -> Violation | None:
    match rule:
        case NotBefore(earlier, later):
            start, end = instant(row[earlier]), instant(row[later])
            if start is None or end is None or end >= start:
                return None
            reason = f"{_name(entity, later)} can't be before {_name(entity, earlier)}."
            return Violation((earlier, later), reason)
        case PartOf(part, whole):
            some, total = _amount(row[part]), _amount(row[whole])
            if some is not None and some < 0:
                return Violation((part, whole), f"{_name(entity, part)} can't be less than zero.")
            if some is not None and total is not None and some > total:
                return Violation((part, whole), f"{_name(entity, part)} can't be more than {_name(entity, whole)}.")
            return None


def _name(entity: Entity, key: str) -> str:
    return next(field.name for field in entity.fields if field.key == key)


def _amount(stored: object) -> Decimal | None:
    return stored if isinstance(stored, Decimal) and stored.is_finite() else None


def _as_stored(stored: object) -> ColumnValue:
    if stored is None or isinstance(stored, (str, Decimal, datetime, bool)):
        return stored
    raise TypeError(f"a column can't hold {type(stored).__name__}")


def _text(field: Field, value: Canonical, stored: object, _: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, str):
        return _unfit(field)
    if not storable(value):
        return Refused(f"{field.name} contains a character that MapAble can't store.")
    # A text that was cut when the person began to type: saving the mark would destroy what it stands for.
    if has_cut_mark(value) and not (isinstance(stored, str) and has_cut_mark(stored)):
        return Refused(f"{field.name} carries the mark of a shortened text: saving it would lose the rest.")
    return value


def _select(field: Field, value: Canonical, _: object, __: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, str):
        return _unfit(field)
    if value in field.options:
        return value
    if not field.free_options:
        return Refused(f"{field.name} can only be one of: {', '.join(field.options)}.")
    if not storable(value):
        return Refused(f"{field.name} contains a character that MapAble can't store.")
    return value


def _money(field: Field, value: Canonical, _: object, __: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, Decimal):
        return _unfit(field)
    if not value.is_finite():
        return Refused(f"{field.name} must be a number.")
    if abs(value) >= _MONEY_BELOW:
        return Refused(f"{field.name} is out of range: MapAble holds amounts below 10,000,000,000.00.")
    exact = cents(value)
    return Refused(f"{field.name} can't have more than two decimals.") if exact is None else exact


def _day(field: Field, value: Canonical, stored: object, time_zone: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, date) or isinstance(value, datetime):
        return _unfit(field)
    moved = move_to_day(instant(stored), value, time_zone)
    return Refused(f"{field.name} is not a day that the calendar has.") if moved is None else naive(moved)


def _moment(field: Field, value: Canonical, _: object, __: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return _unfit(field)
    return naive(value)


def _checkbox(field: Field, value: Canonical, stored: object, _: ZoneInfo) -> ColumnValue | Refused:
    if not isinstance(value, bool):
        return _unfit(field)
    if field.one_way and stored is True and not value:
        return Refused(f"{field.name} can be set here, but not unset.")
    return value


def _unfit(field: Field) -> Refused:
    return Refused(f"{field.name} holds something of another type.")


_PARSERS: Final[Mapping[Kind, Callable[[Field, Canonical, object, ZoneInfo], ColumnValue | Refused]]] = (
    MappingProxyType({
        Kind.TITLE: _text,
        Kind.TEXT: _text,
        Kind.EMAIL: _text,
        Kind.SELECT: _select,
        Kind.MONEY: _money,
        Kind.DAY: _day,
        Kind.MOMENT: _moment,
        Kind.CHECKBOX: _checkbox,
    })
)
