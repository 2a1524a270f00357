"""The three-way merge of one field: ours, base and theirs in, the one thing to do out. A table, and no clock.

Values are canonical JSON (see `state.merge`). Detection needs no time at all; times only decide who wins a clash, and
that is somebody else's question (`Clash`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

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


def acknowledged(field: Field, alike: Alike = _same) -> Pair | None:
    """Return the base after this look at the page: a write on its way that shows there has been answered by that."""
    if isinstance(field.pushing, Absent) or isinstance(field.theirs, Absent | Unknown):
        return field.base
    return Pair(field.pushing, field.theirs) if alike(field.pushing, field.theirs) else field.base


def step(field: Field, alike: Alike = _same) -> Step:
    """Return what to do about the field."""
    if isinstance(field.ours, Absent) or isinstance(field.theirs, Absent) or field.theirs is Unknown.UNREAD:
        return Step.BLIND
    if isinstance(field.theirs, Unknown):
        return Step.PUT_BACK
    base = acknowledged(field, alike)
    if base is None or isinstance(base.got, Absent) or isinstance(base.sent, Absent):
        return _first_contact(field.ours, field.theirs, base, alike, shared=field.shared)
    match field.ours != base.sent, field.theirs != base.got:
        case False, False:
            return Step.REST if base == field.base else Step.AGREE
        case True, False:
            return Step.PUSH
    if field.ours == field.theirs:
        return Step.AGREE
    if not field.shared:
        return Step.AGREE if alike(field.ours, field.theirs) else Step.PUT_BACK
    if field.ours == base.sent:
        return Step.PULL
    return Step.AGREE if alike(field.ours, field.theirs) else Step.CLASH


def _first_contact(ours: Json, theirs: Json, base: Pair | None, alike: Alike, *, shared: bool) -> Step:
    """What was never agreed on by both, only seen on one side, says nothing of who changed: a difference is a clash."""
    if alike(ours, theirs):
        return Step.AGREE
    if base is not None and not isinstance(base.sent, Absent) and alike(base.sent, theirs):
        return Step.PUSH  # a write whose answer was not seen arrived, and ours changed since
    if base is None and theirs is None:
        return Step.PUSH  # never written, never filled in: there is nobody to be asked, or told
    return Step.CLASH if shared else Step.PUSH
