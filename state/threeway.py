"""The three-way merge of one field: ours, base and theirs in, the one thing to do out. A table, and no clock.

Values are canonical JSON (see `state.merge`). Detection needs no time at all; times only decide who wins a clash, and
that is somebody else's question (`Clash`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from state.changes import Absent
from state.merge import Json, Pair


class Unknown(Enum):
    """Theirs could not be told. None of these is ever a change."""

    UNREAD = "unread"      # not read to its end
    INVALID = "invalid"    # there, but not a value of the field's domain


Theirs = Json | Absent | Unknown


class Step(Enum):
    """What to do about one field."""

    REST = "rest"          # in sync
    PUSH = "push"          # ours changed: write it to the page
    PULL = "pull"          # theirs changed: write it to the row
    AGREE = "agree"        # both are equal, base does not know it yet
    PUT_BACK = "put_back"  # theirs changed where it may not, or to what the field can't hold: write ours again
    CLASH = "clash"        # both changed, to different values
    BLIND = "blind"        # one side can't be told: neither write nor move base


Alike = Callable[[Json, Json], bool]
"""Whether two values are one but for what Notion normalises (outer spaces, milliseconds, case of an e-mail)."""


def _same(one: Json, other: Json) -> bool:
    return one == other


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it stands. `ours` is absent when it can't be shown; `pushing` when no write is on its way."""

    ours: Json | Absent
    base: Pair | None
    theirs: Theirs
    pushing: Json | Absent
    shared: bool


def step(field: Field, alike: Alike = _same) -> Step:
    """Return what to do about the field."""
    if isinstance(field.ours, Absent) or isinstance(field.theirs, Absent) or field.theirs is Unknown.UNREAD:
        return Step.BLIND
    if isinstance(field.theirs, Unknown):
        return Step.PUT_BACK
    if field.base is None or isinstance(field.base.got, Absent):
        return _first_contact(field.ours, field.theirs, field.base, alike, shared=field.shared)
    ours_changed = _ours_changed(field.ours, field.base)
    arrived = not isinstance(field.pushing, Absent) and alike(field.pushing, field.theirs)
    theirs_changed = field.theirs != field.base.got and not arrived
    match ours_changed, theirs_changed:
        case False, False:
            return Step.AGREE if field.theirs != field.base.got else Step.REST
        case True, False:
            return Step.AGREE if arrived and alike(field.ours, field.theirs) else Step.PUSH
    if alike(field.ours, field.theirs):
        return Step.AGREE
    if not field.shared:
        return Step.PUT_BACK
    return Step.CLASH if ours_changed else Step.PULL


def _ours_changed(ours: Json, base: Pair) -> bool:
    return ours != (base.got if isinstance(base.sent, Absent) else base.sent)


def _first_contact(ours: Json, theirs: Json, base: Pair | None, alike: Alike, *, shared: bool) -> Step:
    """Without a base nobody can tell who changed: a difference in a shared field is a clash."""
    if alike(ours, theirs):
        return Step.AGREE
    if base is not None and not isinstance(base.sent, Absent) and alike(base.sent, theirs):
        return Step.PUSH  # a write whose answer was not seen arrived, and ours changed since
    return Step.CLASH if shared else Step.PUSH


def steps(fields: Mapping[str, Field], alike: Alike = _same) -> dict[str, Step]:
    """Return what to do about every field, each by itself."""
    return {name: step(field, alike) for name, field in fields.items()}


WRITES_THE_PAGE: Final = frozenset({Step.PUSH, Step.PUT_BACK})
