"""Values that a person types for a field outside of Notion (a conflict's third way), as canonical JSON, or the reason.

What the row at hand says against a value is not asked here: that is `parsing.parse`, when it is written.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import InvalidOperation
from typing import Final

from sinks.mapping.canonical import JsonScalar, decode, encode
from sinks.mapping.model import Field, Kind
from sinks.mapping.parsing import Refused
from sinks.mapping.text import storable

_MONEY: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,2})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXPECTED: Final = {
    Kind.MONEY: "an amount such as \"1250.50\" is expected",
    Kind.DAY: "a day such as \"2026-03-31\" is expected",
    Kind.MOMENT: "a time with its zone such as \"2026-03-31T09:30:00+11:00\" is expected",
    Kind.CHECKBOX: "true or false is expected",
}


def typed(field: Field, given: object) -> JsonScalar | Refused:
    """Return the canonical form of a JSON value; reasons never tell the value."""
    if field.kind is Kind.RELATION:
        return Refused(f"{field.name} is made by MapAble and can't be typed.")
    if given is None or given == "":
        return None if field.nullable else Refused(f"{field.name} can't be empty in MapAble.")
    if field.kind is Kind.CHECKBOX and given in ("true", "false"):
        return given == "true"
    if not isinstance(given, bool if field.kind is Kind.CHECKBOX else str) or not _well_formed(field.kind, given):
        return Refused(f"{field.name}: {_EXPECTED.get(field.kind, 'a text is expected')}.")
    if field.kind is Kind.SELECT and not field.free_options and given not in field.options:
        return Refused(f"{field.name} can only be one of: {', '.join(field.options)}.")
    try:
        return encode(field.kind, decode(field.kind, given))
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        return Refused(f"{field.name}: {_EXPECTED.get(field.kind, 'a text is expected')}.")


def _well_formed(kind: Kind, given: str | bool) -> bool:
    match kind, given:
        case Kind.MONEY, str():
            return _MONEY.fullmatch(given) is not None
        case Kind.DAY, str():
            return _DAY.fullmatch(given) is not None
        case Kind.MOMENT, str():
            return _zoned(given)
        case _, str():
            return storable(given)
    return True


def _zoned(text: str) -> bool:
    """Without a zone it would be the server's, which is nobody's."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
