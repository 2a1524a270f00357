"""From a source row to canonical values: what each property should show.

Values that Notion can't hold become `LeftOut` with a reason that never tells the value. A timestamp may come as text
(infinity, years that Python has no date for), so that the reader needs no exception to this module's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping import text as texts
from sinks.mapping.instants import day_of, instant
from sinks.mapping.model import (
    Column,
    Derived,
    Entity,
    Field,
    Kind,
    LeftOut,
    Lookup,
    Mirror,
    Owner,
    Reference,
    Rendered,
    Row,
)
from sinks.mapping.money import cents

EMAIL_UNITS: Final = 200
LABEL_UNITS: Final = 100

_NO_DATE: Final = LeftOut("The date is infinite or outside the years 1 to 9999.")
_NO_NUMBER: Final = LeftOut("The amount is not a number.")
_UNFIT: Final = LeftOut("The column's type is not the one that the mapping expects.")


def render(entity: Entity, row: Row, time_zone: ZoneInfo) -> dict[str, Rendered]:
    """Return the row as canonical values by field key; the far sides of dual relations are not among them."""
    return {
        field.key: render_field(field, row, time_zone)
        for field in entity.fields
        if not isinstance(field.source, Mirror)
    }


def render_field(field: Field, row: Row, time_zone: ZoneInfo) -> Rendered:
    """Return one field of the row; KeyError when a column it is made of is missing."""
    stored = _stored(field, row, time_zone)
    if stored is None or stored == "":
        return None
    return _RENDERERS[field.kind](field, stored, time_zone)


def owner_of(field: Field, row: Row, time_zone: ZoneInfo, *, opened: bool = False) -> Owner:
    """Return who may change the field of this row; `opened`: the operator made it two-way.

    A cut text and a value that Notion can't hold belong to MapAble: what comes back is not what the column holds.
    """
    if field.owner is Owner.APP and not (field.openable and opened):
        return Owner.APP
    if isinstance(render_field(field, row, time_zone), LeftOut):
        return Owner.APP
    return Owner.APP if is_cut(field, row, time_zone) else Owner.SHARED


def is_cut(field: Field, row: Row, time_zone: ZoneInfo) -> bool:
    """Whether the property shows less text than MapAble has."""
    if field.kind not in (Kind.TITLE, Kind.TEXT) or isinstance(field.source, Mirror):
        return False
    stored = _stored(field, row, time_zone)
    return isinstance(stored, str) and texts.cut(stored, field.room_bytes)[1]


def _stored(field: Field, row: Row, time_zone: ZoneInfo) -> object:
    match field.source:
        case Column(name, fallback, unless):
            if unless is not None and row[unless[0]] == unless[1]:
                return None
            return row[name] or row[fallback] if fallback is not None else row[name]
        case Derived(make=make):
            return make(row, time_zone)
        case Lookup():
            # Not .get(): a reader that forgets the lookup must fail, not empty the property.
            found = row[f"lookup:{field.key}"]
            return (found[0] or found[1]) if isinstance(found, tuple) else None
        case Mirror():
            return None


def _text(field: Field, stored: object, _: ZoneInfo) -> Rendered:
    return texts.cut(stored, field.room_bytes)[0] if isinstance(stored, str) else _UNFIT


def _email(_: Field, stored: object, __: ZoneInfo) -> Rendered:
    if not isinstance(stored, str):
        return _UNFIT
    if texts.units(stored) > EMAIL_UNITS:
        return LeftOut(f"The e-mail address is longer than the {EMAIL_UNITS} characters that Notion holds.")
    return stored


def _select(_: Field, stored: object, __: ZoneInfo) -> Rendered:
    if not isinstance(stored, str):
        return _UNFIT
    if "," in stored:
        return LeftOut("A Notion option can't have a comma.")
    if texts.units(stored) > LABEL_UNITS:
        return LeftOut(f"The text is longer than the {LABEL_UNITS} characters of a Notion option.")
    if not stored.strip():
        return LeftOut("A Notion option can't be blank.")
    return stored


def _money(_: Field, stored: object, __: ZoneInfo) -> Rendered:
    if isinstance(stored, bool) or not isinstance(stored, (Decimal, int, str)):
        return _UNFIT
    try:
        amount = Decimal(stored)
    except InvalidOperation:
        return _NO_NUMBER
    if not amount.is_finite():
        return _NO_NUMBER
    exact = cents(amount)
    if exact is None:
        return LeftOut("The amount has more than two decimals or more digits than Notion's numbers hold.")
    return exact


def _moment(_: Field, stored: object, __: ZoneInfo) -> datetime | LeftOut:
    if not isinstance(stored, (datetime, str)):
        return _UNFIT
    return instant(stored) or _NO_DATE


def _day(field: Field, stored: object, time_zone: ZoneInfo) -> date | LeftOut:
    moment = _moment(field, stored, time_zone)
    if isinstance(moment, LeftOut):
        return moment
    return day_of(moment, time_zone) or _NO_DATE


def _checkbox(_: Field, stored: object, __: ZoneInfo) -> Rendered:
    return stored if isinstance(stored, bool) else _UNFIT


def _relation(field: Field, stored: object, _: ZoneInfo) -> Rendered:
    if not isinstance(stored, str) or field.target is None:
        return _UNFIT
    return Reference(field.target, stored)


_RENDERERS: Final[Mapping[Kind, Callable[[Field, object, ZoneInfo], Rendered]]] = MappingProxyType({
    Kind.TITLE: _text,
    Kind.TEXT: _text,
    Kind.EMAIL: _email,
    Kind.MONEY: _money,
    Kind.DAY: _day,
    Kind.MOMENT: _moment,
    Kind.SELECT: _select,
    Kind.CHECKBOX: _checkbox,
    Kind.RELATION: _relation,
})
