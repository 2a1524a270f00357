"""Base and differences: the pure rules of what has to be written, field by field.

Values here are canonical JSON scalars (see `sinks.mapping.canonical`): equal values are equal, and only those.
Base keeps a pair per field: our value as sent, and what Notion answered to that very write. Ours changed when it
differs from the first. So a value that Notion normalises is neither an endless write nor an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from state.changes import ABSENT, Absent

Json = str | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class Pair:
    """One field when both sides last agreed: as sent by us (absent after adoption), and as Notion showed it."""

    sent: Json | Absent
    got: Json | Absent


Base = Mapping[str, Pair]


def base_to_json(base: Base) -> dict[str, dict[str, Json]]:
    """Return the stored form; absent halves are left out."""
    return {
        field: {
            name: half for name, half in (("sent", pair.sent), ("got", pair.got)) if not isinstance(half, Absent)
        }
        for field, pair in base.items()
    }


def base_from_json(stored: Mapping[str, Any]) -> Base:
    """Inverse of `base_to_json`."""
    return {field: Pair(half.get("sent", ABSENT), half.get("got", ABSENT)) for field, half in stored.items()}


def changed(ours: Mapping[str, Json], base: Base) -> dict[str, Json]:
    """Return the fields of `ours` that have to be written.

    A field whose value was sent before is compared with what was sent; one that was only seen (an adopted page) with
    what Notion showed; one that base does not know is written.
    """
    return {field: value for field, value in ours.items() if not _agrees(value, base.get(field))}


def _agrees(value: Json, pair: Pair | None) -> bool:
    if pair is None:
        return False
    return value == (pair.got if isinstance(pair.sent, Absent) else pair.sent)


def observed(base: Base, sent: Mapping[str, Json], got: Mapping[str, Json | Absent]) -> dict[str, Pair]:
    """Return the base after Notion answered a write of `sent` with a page that shows `got`.

    Only fields that were written move: what the answer says of others is theirs to be merged, not ours to agree to.
    """
    return {**base, **{field: Pair(value, got.get(field, ABSENT)) for field, value in sent.items()}}


def agreed(base: Base, ours: Mapping[str, Json]) -> dict[str, Pair]:
    """Return the base after adoption: fields seen equal to ours count as sent."""
    return {
        field: Pair(pair.got, pair.got)
        if isinstance(pair.sent, Absent) and field in ours and ours[field] == pair.got
        else pair
        for field, pair in base.items()
    }
