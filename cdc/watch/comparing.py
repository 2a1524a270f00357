"""Whether a page shows what was agreed: the pure comparison behind polls and sweeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sinks.base import Page
from state.changes import Absent
from state.merge import Base, Json, Pair

EMPTY: Final[tuple[Json, ...]] = (None, False, [])
_NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})


def differs(base: Base, page: Page, pushing: Mapping[str, Json] = _NOTHING) -> frozenset[str]:
    """Return the fields in which the page shows something else than was agreed, or than is on its way there.

    Of a field that was never written, and whose answer was never seen, only something that is not empty counts.
    """
    return frozenset(
        field
        for field, value in page.values.items()
        if not _expected(value, base.get(field)) and not (field in pushing and pushing[field] == value)
    )


def as_agreed(base: Base, page: Page, pushing: Mapping[str, Json] = _NOTHING) -> bool:
    """Whether a look at the page has nothing to tell: it can be read, is in its place, and shows what was agreed."""
    return not (page.unknown or page.in_trash or page.archived or differs(base, page, pushing))


def facts_of(page: Page) -> bytes:
    """Return a digest of all that decides whose page it is and what a row made of it would hold."""
    told = {
        "values": dict(page.values), "unknown": {field: why.value for field, why in page.unknown.items()},
        "lives_in": page.data_source_id, "taken_away": [page.in_trash, page.archived],
        "by": [page.created_by, page.edited_by],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")).digest()


def _expected(value: Json, pair: Pair | None) -> bool:
    if pair is not None and not isinstance(pair.got, Absent):
        return value == pair.got
    if pair is not None and not isinstance(pair.sent, Absent):
        return value == pair.sent
    return value in EMPTY
