"""Why a record is as it is: both sides and what was agreed, field by field, and what happens next, in words.

Values are shown, on purpose and to the operator's terminal only: nothing here is logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdc.app import Parts, reader_of, sink_of
from cdc.operate import next_step
from cdc.operate.records import line_as_json, parked_as_json, time_as_json
from cdc.reconcile.facts import Facts, Gatherer
from cdc.reconcile.merging import Merged, merge
from cdc.reconcile.reading import Situation, unclaimed
from sinks.base import Page, PageGone
from sinks.mapping.entities import columns_of
from sinks.mapping.model import Entity, Field, Mirror
from sinks.notion.sink import NotionSink
from state import record, stamps
from state.changes import ABSENT, Absent, Priority
from state.errors import FatalError, TransientError
from state.merge import Json, Pair
from state.record import Record
from state.settings import data_sources
from state.threeway import Theirs, Unknown


@dataclass(frozen=True, slots=True)
class FieldTold:
    """One field: its three values, how they stand to each other, and why where that needs saying."""

    field: Field
    ours: Json | Absent
    base: Pair | None
    theirs: Theirs
    state: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class LastEdit:
    """When and by whom the page was edited last, as far as anybody told."""

    at: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """All that `mapable-cdc explain` shows."""

    now: Situation
    page: str                       # what is to be said of the page itself
    fields: tuple[FieldTold, ...]
    record: Record
    mapable_at: datetime | None     # when MapAble last changed a mapped column
    notion: LastEdit
    next: str


async def explain(parts: Parts, entity: Entity, system_id: str, *, offline: bool) -> Told:
    """Return why the record is as it is. One read of its page, unless `offline`; nothing is changed."""
    claim = unclaimed(entity, system_id)
    sink = await _sink(parts)
    (now,) = await reader_of(parts, sink, remembers=False).read(entity, [claim])
    async with parts.pool.connection() as conn:
        known = await record.load(conn, claim.key, entity.table)
        source = (await data_sources(conn)).get(entity.name)
        stamp = (await stamps.load(conn, entity.name, columns_of(entity), [system_id])).get(system_id)
    paused = source.paused if source is not None else {}
    page, said, facts = await _page(parts, sink, now, offline=offline)
    found = _merged(now, page, facts)
    fields = tuple(
        _field(each, now, known, page, found, paused.get(each.key))
        for each in entity.fields
        if not isinstance(each.source, Mirror)
    )
    return Told(
        now, said, fields, known, stamp.changed_at if stamp is not None else None, _last_edit(known, page, facts),
        next_step.sentence(
            now, known, [(each.field.name, each.state) for each in fields],
            enabled=parts.settings.notion_sync_enabled, switched_on=entity in parts.settings.entities,
            unavailable=source.unavailable if source is not None else "setup has not made it yet",
        ),
    )


def _merged(now: Situation, page: Page | None, facts: Facts | None) -> Merged | None:
    """Return what the next look would make of both sides."""
    if page is None or facts is None or now.ours is None or now.row is None or now.link is None:
        return None
    return merge(now.entity, now.row, now.ours, now.link.base, now.link.pushing or {}, page, facts.rules)


async def _sink(parts: Parts) -> NotionSink | None:
    """Return what reads pages; None before setup."""
    try:
        return await sink_of(parts, remembers=False)
    except FatalError:
        return None


async def _page(
    parts: Parts, sink: NotionSink | None, now: Situation, *, offline: bool
) -> tuple[Page | None, str, Facts | None]:
    """Return the page, what is to be said of it, and what is known of its last edits."""
    page_id = now.link.page_id if now.link is not None else None
    if page_id is None:
        return None, "none", None
    if offline:
        return None, "not looked at (--offline)", None
    if sink is None:
        return None, "not looked at: setup has not made every database yet", None
    settings = parts.settings
    try:
        async with sink.turn(Priority.MANUAL):
            page = await sink.read(now.entity, page_id)
    except PageGone:
        return None, "gone: purged, or no longer shared with the connection", None
    except TransientError as error:
        return None, f"could not be read: {error}", None
    gatherer = Gatherer(
        parts.pool, sink, strategy=settings.notion_conflict_strategy, opened=settings.opened, time_zone=settings.zone
    )
    facts = await gatherer.of(now, page)
    if page.in_trash:
        return page, "in Notion's trash", facts
    if not sink.holds(now.entity, page):
        return page, "moved out of the database", facts
    return page, "archived" if page.archived else "there", facts


def _last_edit(known: Record, page: Page | None, facts: Facts | None) -> LastEdit:
    """Return who edited the page last: an event of a webhook is exact, the page's own time is floored to the minute."""
    if facts is not None and facts.edited_at is not None:
        return LastEdit(facts.edited_at, facts.edited_by)
    if page is not None:
        return LastEdit(page.edited_at, "this sync")
    return LastEdit(known.link.edited_at if known.link is not None else None, None)


def _field(
    each: Field, now: Situation, known: Record, page: Page | None, found: Merged | None, paused: str | None
) -> FieldTold:
    key = each.key
    ours = now.ours.values.get(key, ABSENT) if now.ours is not None else ABSENT
    theirs: Theirs = page.theirs(key) if page is not None else ABSENT
    agreed = now.link.base.get(key) if now.link is not None else None
    conflict = next((conflict for conflict in known.conflicts if conflict.field == key), None)
    state: str
    why: str | None
    if conflict is not None:
        decided = "a decision is on its way" if conflict.status == "deciding" else "waits for a person"
        state, why = "frozen", f"conflict {conflict.id} ({conflict.rule}): {decided}"
    elif paused is not None:
        state, why = "paused", paused
    elif now.ours is not None and key in now.ours.left_out:
        state, why = "left out", now.ours.left_out[key]
    elif now.ours is not None and isinstance(ours, Absent):
        state, why = "waits", "for the page of the record it points at"
    elif found is not None:
        state, why = _compared(key, now, found, ours, theirs)
    else:
        state, why = _agreed(now, ours, agreed, page)
    return FieldTold(each, ours, agreed, theirs, state, why)


def _compared(
    key: str, now: Situation, found: Merged, ours: Json | Absent, theirs: Theirs
) -> tuple[str, str | None]:
    """Return how the sides of a field stand to each other: what the merge makes of it."""
    if key in found.left_as_is:
        return "refused", f"{found.left_as_is[key].reason} It stays as it is."
    if key in found.refused:
        refusal = found.refused[key]
        since = now.link.refused.get(key, {}).get("since") if now.link is not None else None
        return "refused", f"{refusal.reason} It is put back soon" + (f" (seen {since})." if since else ".")
    if key in found.frozen:
        return "differs", "both sides changed it, and a person has to decide"
    if key in found.decided:
        verdict = found.decided[key].verdict
        return "differs", f"both sides changed it: {verdict.winner.value} wins ({verdict.rule})"
    if key in found.pull:
        return "differs", "the page's value goes to MapAble"
    if key in found.push:
        return "differs", "MapAble's value goes to the page"
    if isinstance(theirs, Absent | Unknown):
        return "unknown", "the page does not show it, or not to its end: neither side is written"
    return ("equal", None) if ours == theirs else ("equal", "but for what Notion makes of it")


def _agreed(now: Situation, ours: Json | Absent, agreed: Pair | None, page: Page | None) -> tuple[str, str | None]:
    """Return what can be said of a field without both sides."""
    if now.ours is None:
        return "no row", None
    if now.link is None or now.link.page_id is None or page is not None:
        return "no page", None
    if agreed is None:
        return "changed in MapAble", "since nothing was agreed yet"
    before = agreed.got if isinstance(agreed.sent, Absent) else agreed.sent
    return ("as agreed", None) if before == ours else ("changed in MapAble", None)


def as_json(told: Told) -> dict[str, Any]:
    """Return it for scripts; values are canonical JSON, and left out where a side has or shows none."""
    known, ours, link = told.record, told.now.ours, told.now.link
    return {
        "entity": told.now.entity.name,
        "systemId": told.now.claim.system_id,
        "row": ours is not None,
        "member": ours is not None and ours.member,
        "pageId": link.page_id if link is not None else None,
        "pageState": link.state if link is not None else None,
        "page": told.page,
        "direction": told.now.direction,
        "unlinkedBecause": link.unlinked_because if link is not None else None,
        "conflictState": link.conflict_state if link is not None else "none",
        "lastSyncedAt": time_as_json(known.link.synced_at if known.link is not None else None),
        "mapableAt": time_as_json(told.mapable_at),
        "notionAt": time_as_json(told.notion.at),
        "notionBy": told.notion.by,
        "fields": [
            {
                "field": each.field.key,
                **{
                    name: value
                    for name, value in (
                        ("mapable", each.ours),
                        ("sent", each.base.sent if each.base is not None else ABSENT),
                        ("seen", each.base.got if each.base is not None else ABSENT),
                    )
                    if not isinstance(value, Absent)
                },
                **_notion(each.theirs),
                "state": each.state,
                "why": each.why,
            }
            for each in told.fields
        ],
        "conflicts": [{"id": each.id, "field": each.field, "rule": each.rule} for each in known.conflicts],
        "queue": None
        if known.work is None
        else {
            "dueSeconds": round(known.work.due_s, 3), "attempts": known.work.attempts, "inHand": known.work.in_hand,
        },
        "parked": parked_as_json(known.parked) if known.parked is not None else None,
        "delete": known.deletion.value if known.deletion is not None else None,
        "lately": [line_as_json(line) for line in known.lines],
        "next": told.next,
    }


def _notion(theirs: Theirs) -> dict[str, Json]:
    match theirs:
        case Absent():
            return {}
        case Unknown():
            return {"unreadable": theirs.value}
        case _:
            return {"notion": theirs}

