"""Who wins a field that both sides changed: the three strategies, as pure rules on times.

Detection needs no clock (`state.threeway`); times only choose between two values that both stay on record. Where they
can't tell, MapAble wins. Notion floors a page's time to the minute: a change of MapAble's within that minute is neither
before nor after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MINUTE: Final = timedelta(minutes=1)


class Winner(StrEnum):
    """Whose value stays; `PERSON`: neither, the field is frozen until a person decides."""

    MAPABLE = "mapable"
    NOTION = "notion"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a side changed. `floored`: only the minute is known."""

    at: datetime
    floored: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who wins, and by which rule, for the audit log."""

    winner: Winner
    rule: str
    mapable_at: datetime | None = None
    notion_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """When each side last changed the record, and each field where that is known. Missing means unknown."""

    mapable: datetime | None = None
    notion: Moment | None = None


def verdict(strategy: str, times: Times) -> Verdict:
    """Return who wins. `times` are the record's under last-write-wins, the field's under timestamp-based."""
    mapable_at, notion_at = times.mapable, times.notion.at if times.notion is not None else None
    if strategy == "manual-review":
        return Verdict(Winner.PERSON, strategy, mapable_at, notion_at)
    if times.mapable is None or times.notion is None:
        return Verdict(Winner.MAPABLE, f"{strategy}: times unknown", mapable_at, notion_at)
    end = times.notion.at + MINUTE if times.notion.floored else times.notion.at
    if times.mapable < times.notion.at:
        return Verdict(Winner.NOTION, f"{strategy}: Notion is newer", mapable_at, notion_at)
    if times.mapable > end or (times.notion.floored and times.mapable == end):
        return Verdict(Winner.MAPABLE, f"{strategy}: MapAble is newer", mapable_at, notion_at)
    return Verdict(Winner.MAPABLE, f"{strategy}: the clocks can't tell", mapable_at, notion_at)
