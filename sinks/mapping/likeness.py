"""Whether two values are one but for what Notion normalises: outer spaces, milliseconds, an e-mail's capitals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sinks.mapping.canonical import JsonScalar
from sinks.mapping.model import Kind


def alike(kind: Kind) -> Callable[[JsonScalar, JsonScalar], bool]:
    """Return the comparison for a kind of field. Values are canonical JSON."""

    def same(one: JsonScalar, other: JsonScalar) -> bool:
        return one == other or _plain(kind, one) == _plain(kind, other)

    return same


def _plain(kind: Kind, value: JsonScalar) -> JsonScalar:
    if not isinstance(value, str):
        return value
    match kind:
        case Kind.TITLE | Kind.TEXT:
            return value.strip() or None
        case Kind.EMAIL:
            return value.strip().casefold() or None
        # options are one and the same in capitals and small letters
        case Kind.SELECT:
            return value.casefold()
        case Kind.MOMENT:
            return datetime.fromisoformat(value).replace(microsecond=0).isoformat()
        case _:
            return value
