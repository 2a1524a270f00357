"""Edits that a write of ours may have crossed: Notion has no precondition on writes, so they are found afterwards.

A write remembers, per shared field, the value seen before it, the value sent and what Notion answered. A webhook that
tells of a person's edit of that property, within the moment of the write, while the page shows our value, tells of an
edit nobody saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sinks.base import Page
from state.inbox import Edits
from state.merge import Json

AFTER: Final = timedelta(seconds=60)
"""What is told together has the time of its end."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """One edit that may be lost: what we wrote, what was last seen before, who edited and when."""

    field: str
    ours: Json
    seen: Json
    by: str | None
    at: datetime
    event_id: str


def remembered(
    sent: Mapping[str, Json],
    seen: Mapping[str, Json],
    got: Mapping[str, Json],
    *,
    read_at: datetime,
    wrote_at: datetime,
) -> dict[str, Any] | None:
    """Return what is kept of a write, None when there is nothing to be watched."""
    fields = {
        field: {"seen": seen.get(field), "sent": value, "got": got[field]}
        for field, value in sent.items()
        if field in got
    }
    return {
        "fields": fields,
        "readAt": read_at.isoformat(), "wroteAt": wrote_at.isoformat(),
    } if fields else None


def crossed(
    written: Mapping[str, Any], edits: Edits, property_ids: Mapping[str, str], page: Page
) -> Sequence[Crossed]:
    """Return the edits that the write may have crossed."""
    begin = datetime.fromisoformat(written["readAt"])
    end = datetime.fromisoformat(written["wroteAt"]) + AFTER
    found = []
    for field, values in written["fields"].items():
        edit = edits.properties.get(property_ids.get(field, ""))
        hidden = field in page.values and page.values[field] == values["got"]
        if edit is not None and begin <= edit.at <= end and hidden:
            found.append(Crossed(field, values["sent"], values["seen"], edit.by, edit.at, edit.event_id))
    return found


def without(written: Mapping[str, Any], fields: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the write without these fields, None when nothing is left to be watched."""
    left = {field: values for field, values in written["fields"].items() if field not in fields}
    return {**written, "fields": left} if left else None
