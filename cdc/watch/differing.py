"""In which fields a row and its page differ, whoever of the two is to follow: pure, and for people to read.

What Notion makes of a value (outer spaces, milliseconds) is no difference, nor is what can't be told on one side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from cdc.reconcile.plan import Ours
from sinks.base import Page
from sinks.mapping.likeness import alike
from sinks.mapping.model import Entity, Field, Mirror, Owner, Row
from sinks.mapping.rendering import owner_of
from state import threeway
from state.changes import ABSENT, Absent
from state.merge import Base, Json
from state.threeway import Step, Theirs, Unknown


class How(StrEnum):
    """How a field came to differ, as far as what was agreed tells."""

    MAPABLE = "mapable changed"
    NOTION = "notion changed"
    NOT_TAKEN = "not taken"      # changed in Notion, to what MapAble does not take or where it may not be changed
    BOTH = "both changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs."""

    field: Field
    mapable: Json
    notion: Theirs
    how: How


HOW: Final[Mapping[Step, How]] = {
    Step.PUSH: How.MAPABLE, Step.PULL: How.NOTION, Step.PUT_BACK: How.NOT_TAKEN, Step.CLASH: How.BOTH,
}


def differences(
    entity: Entity,
    row: Row,
    ours: Ours,
    base: Base,
    pushing: Mapping[str, Json],
    page: Page,
    *,
    direction: str,
    opened: frozenset[tuple[str, str]],
    time_zone: ZoneInfo,
) -> tuple[Difference, ...]:
    """Return the fields that differ, in the mapping's order."""
    found = []
    for declared in entity.fields:
        mapable = ours.values.get(declared.key, ABSENT)
        notion = page.theirs(declared.key)
        if isinstance(declared.source, Mirror) or isinstance(mapable, Absent):
            continue
        same = alike(declared.kind)
        if not isinstance(notion, Absent | Unknown) and same(mapable, notion):
            continue
        state = threeway.Field(
            mapable, base.get(declared.key), notion, pushing.get(declared.key, ABSENT),
            shared=direction != "to_notion"
            and owner_of(declared, row, time_zone, opened=(entity.name, declared.key) in opened) is Owner.SHARED,
        )
        how = HOW.get(threeway.step(state, same))
        if how is not None:
            found.append(Difference(declared, mapable, notion, how))
    return tuple(found)


def unread(page: Page) -> bool:
    """Whether some of the page's values are longer than what was read of them."""
    return Unknown.UNREAD in page.unknown.values()
