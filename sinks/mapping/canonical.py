"""Canonical values as JSON, for the sidecar: equal values have one form, and different values have different ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Final

from sinks.mapping.model import Kind, Value
from sinks.mapping.money import cents

JsonScalar = str | bool | None | list[str]
"""A relation is the sorted list of its page ids; everything else is a scalar."""

Canonical = Value | tuple[str, ...]
"""What a property holds, once relations are resolved to Notion page ids."""

_TEXTS: Final = (Kind.TITLE, Kind.TEXT, Kind.EMAIL, Kind.SELECT)
_EXACTLY: Final = Context(prec=2_000)


def encode(kind: Kind, value: Canonical) -> JsonScalar:
    """Return the one JSON form of the value; TypeError if it is no value of that kind."""
    match kind, value:
        case Kind.RELATION, None:
            return []
        case Kind.RELATION, tuple():
            return sorted(set(value))
        case _, None:
            return None
        case Kind.CHECKBOX, bool():
            return value
        case Kind.MONEY, Decimal():
            return _plain(value)
        case Kind.MOMENT, datetime() if value.tzinfo is not None:
            moment = value.astimezone(UTC).replace(tzinfo=None)
            return moment.isoformat(timespec="microseconds" if moment.microsecond % 1000 else "milliseconds") + "Z"
        # A datetime is a date to Python; here it is not.
        case Kind.DAY, date() if not isinstance(value, datetime):
            return value.isoformat()
        case _, str() if kind in _TEXTS:
            return value or None
    raise TypeError(f"{type(value).__name__} is no value of a {kind.name} field")


def empty(kind: Kind) -> JsonScalar:
    """Return the JSON form of what a property shows that nobody has filled in."""
    return False if kind is Kind.CHECKBOX else encode(kind, None)


def decode(kind: Kind, encoded: JsonScalar) -> Canonical:
    """Return the value that `encode` was given; TypeError or ValueError for a form that it never makes."""
    match kind, encoded:
        case Kind.RELATION, list():
            return tuple(encoded)
        case Kind.RELATION, _:
            pass
        case _, None:
            return None
        case Kind.CHECKBOX, bool():
            return encoded
        case Kind.MONEY, str():
            amount = Decimal(encoded)
            exact = cents(amount)
            return amount if exact is None else exact
        case Kind.MOMENT, str():
            return datetime.fromisoformat(encoded).astimezone(UTC)
        case Kind.DAY, str():
            return date.fromisoformat(encoded)
        case _, str() if kind in _TEXTS:
            return encoded
    raise TypeError(f"{type(encoded).__name__} is no JSON form of a {kind.name} value")


def _plain(amount: Decimal) -> str:
    exact = cents(amount)
    if exact is not None:
        return str(exact)
    return str(_EXACTLY.normalize(amount))
