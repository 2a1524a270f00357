"""What a verification finds: records whose two sides are not one, in the words in which people are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cdc.operate.next_step import UNLINKED
from cdc.reconcile.reading import Situation
from cdc.watch.differing import Difference
from sinks.mapping.model import Entity
from state import strays
from state.changes import Key, PageId
from state.links import Link, PageState
from state.strays import Stray

KINDS: Final = {"copy": "a copy of a row's page", "new": "a new page", "orphan": "the row that it names is gone"}
"""What is said of a page that no row is linked to, by kind."""


class What(StrEnum):
    """In which way a record's two sides are not one."""

    DIFFERS = "differs"
    NO_PAGE = "row without page"
    NO_ROW = "page without row"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One record, or one page of no record. `queued`: it is on its way to be put right."""

    entity: Entity
    what: What
    system_id: str | None
    page_id: PageId | None
    note: str = ""
    fields: tuple[Difference, ...] = ()
    queued: bool = False

    @property
    def key(self) -> Key:
        """What has to be marked to have it put right."""
        if self.system_id is not None:
            return Key(self.entity.name, self.system_id)
        assert self.page_id is not None
        return strays.key_of(self.page_id)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one entity. `trouble`: why it could not be compared, or not to the end."""

    entity: Entity
    rows: int = 0
    pages: int = 0
    findings: tuple[Finding, ...] = ()
    trouble: str | None = None

    @property
    def clean(self) -> bool:
        """Whether both sides are one; what a person unlinked is their choice, and counts for neither."""
        return self.trouble is None and all(finding.what is What.UNLINKED for finding in self.findings)

    def count(self, what: What) -> int:
        return sum(finding.what is what for finding in self.findings)


def without_page(entity: Entity, system_id: str, link: Link | None) -> Finding:
    """Return that a row has no page, and what its link says of that."""
    page_id = link.page_id if link is not None else None
    match link.state if link is not None else None:
        case PageState.UNLINKED:
            because = UNLINKED.get(link.unlinked_because or "", "a person took its page away") if link else ""
            return Finding(entity, What.UNLINKED, system_id, page_id, because)
        case PageState.AMBIGUOUS:
            note = "two pages carry its System ID"
        case PageState.INTENDED:
            note = "its page is being made"
        case PageState.TRASHED:
            note = "its page is in Notion's trash, from when the row was gone"
        case PageState.LIVE:
            note = "its page is not among the database's"
        case _:
            note = "none was made yet"
    return Finding(entity, What.NO_PAGE, system_id, page_id, note)


def lost(now: Situation, note: str) -> Finding | None:
    """Return that a row's page is out of reach; where the row is gone, too, that is as it should be."""
    assert now.link is not None
    if now.ours is None:
        return None
    return Finding(now.entity, What.NO_PAGE, now.claim.system_id, now.link.page_id, note)


def why(now: Situation, found: Sequence[Difference]) -> str:
    """Return what is to be said beside the fields that differ."""
    assert now.link is not None
    if now.link.state != PageState.LIVE:
        return "its page is back, from the trash"
    if now.direction == "from_notion" and found:
        return "the direction is from_notion: nothing is written to Notion"
    return "a person has to decide: `mapable-cdc conflicts`" if now.link.conflict_state == "pending" else ""


def told(stray: Stray | None) -> str:
    """Return what is known of a page without a row, without anything that stands on it."""
    if stray is None:
        return "it was not looked at yet"
    return KINDS.get(stray.kind, stray.note or stray.kind)
