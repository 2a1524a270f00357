"""Why a record is as it is: both sides and what was agreed, field by field, and what happens next, in words.

Values are shown, on purpose and to the operator's terminal only: nothing here is logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cdc import next_step
from cdc.app import Parts, reader_of, sink_of
from cdc.plan import Ours
from cdc.reading import Situation
from sinks.base import Page, PageGone
from sinks.mapping.model import Entity, Field, Mirror, Owner
from state import inbox, record, threeway
from state import settings as facts
from state.changes import ABSENT, Absent, PageId, Priority
from state.errors import FatalError, TransientError
from state.links import Link, PageState
from state.merge import Json, Pair
from state.record import Record
from state.threeway import Step, Theirs
from state.work import Claim

SYSTEM_ID: Final = "systemId"


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
class LastChange:
    """Who changed a side last, as far as anybody told."""

    at: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """All that `mapable-cdc explain` shows."""

    entity: Entity
    system_id: str
    has_row: bool
    member: bool
    page_id: PageId | None
    page_state: str | None
    page: str           # what is known of the page itself
    direction: str
    fields: tuple[FieldTold, ...]
    record: Record
    theirs_changed: LastChange
    next: str


async def explain(parts: Parts, entity: Entity, system_id: str, *, offline: bool) -> Told:
    """Return why the record is as it is. One read of its page, unless `offline`; nothing is changed."""
    reader = reader_of(parts, None, remembers=False)
    claim = Claim(entity.name, system_id, 0, 0, int(Priority.MANUAL), 0, 0, None, datetime.now(UTC))
    (now,) = await reader.read(entity, [claim])
    async with parts.pool.connection() as conn:
        known = await record.load(conn, claim.key, entity.table)
        bot = await facts.get(conn, facts.BOT)
        sources = await facts.data_sources(conn)
        page_id = now.link.page_id if now.link is not None else None
        bot_id = bot.get("id") if isinstance(bot, dict) else None
        edits = await inbox.edits(conn, page_id, bot_id) if page_id is not None else None
    page, said = await _page(parts, entity, page_id, offline=offline, known=entity.name in sources)
    theirs_changed = _last_change(page, known, edits.at if edits else None, edits.by if edits else None, bot_id)
    fields = tuple(_fields(now, known, page, parts.settings.opened))
    return Told(
        entity, system_id, now.ours is not None, now.ours is not None and now.ours.member, page_id,
        now.link.state if now.link is not None else None, said, now.direction, fields, known, theirs_changed,
        next_step.sentence(
            now, known, [(each.field.name, each.state) for each in fields],
            enabled=parts.settings.notion_sync_enabled, switched_on=entity in parts.settings.entities,
        ),
    )


async def _page(
    parts: Parts, entity: Entity, page_id: PageId | None, *, offline: bool, known: bool
) -> tuple[Page | None, str]:
    """Return the page and what is to be said of it."""
    if page_id is None:
        return None, "none"
    if offline:
        return None, "not looked at (--offline)"
    if not known:
        return None, "not looked at: setup does not know the database"
    try:
        sink = await sink_of(parts)
        async with sink.turn(Priority.MANUAL):
            page = await sink.read(entity, page_id)
    except PageGone:
        return None, "gone: purged, or no longer shared with the connection"
    except (TransientError, FatalError) as error:
        return None, f"could not be read: {error}"
    if page.in_trash:
        return page, "in Notion's trash"
    return page, "archived" if page.archived else "there"


def _last_change(
    page: Page | None, known: Record, told_at: datetime | None, told_by: str | None, bot_id: str | None
) -> LastChange:
    """Return who edited the page last; an event of a webhook is exact, the page's own time is floored to the minute."""
    if page is not None and page.edited_by is not None and page.edited_by == bot_id:
        return LastChange(page.edited_at, "this sync") if told_at is None else LastChange(told_at, told_by)
    if page is not None:
        exact = told_at is not None and page.edited_at is not None and told_at >= page.edited_at
        return LastChange(told_at, told_by) if exact else LastChange(page.edited_at, page.edited_by)
    return LastChange(told_at or (known.link.edited_at if known.link is not None else None), told_by)


def _fields(
    now: Situation, known: Record, page: Page | None, opened: frozenset[tuple[str, str]]
) -> Sequence[FieldTold]:
    frozen = {conflict.field: conflict for conflict in known.conflicts}
    refused = known.link.refused if known.link is not None else {}
    base = now.link.base if now.link is not None else {}
    told = []
    for each in now.entity.fields:
        if isinstance(each.source, Mirror):
            continue
        ours = _ours(now.ours, each.key)
        theirs: Theirs = page.theirs(each.key) if page is not None else ABSENT
        agreed = base.get(each.key)
        left_out = now.ours.left_out.get(each.key) if now.ours is not None else None
        state: str
        why: str | None
        if each.key in frozen:
            state, why = "frozen", f"conflict {frozen[each.key].id} ({frozen[each.key].rule}) waits for a person"
        elif left_out is not None:
            state, why = "left out", left_out
        elif each.key in refused:
            state, why = "refused", str(refused[each.key].get("reason", "put back soon"))
        else:
            state, why = _compared(now, each, ours, agreed, theirs, page, opened)
        told.append(FieldTold(each, ours, agreed, theirs, state, why))
    return told


def _compared(
    now: Situation, each: Field, ours: Json | Absent, agreed: Pair | None, theirs: Theirs, page: Page | None,
    opened: frozenset[tuple[str, str]],
) -> tuple[str, str | None]:
    """Return how the sides of a field stand to each other, in a word and, where it needs one, a reason."""
    if isinstance(ours, Absent):
        waits = now.ours is not None and bool(now.ours.waiting) and each.target is not None
        return ("waits", "for the page of the record it points at") if waits else ("unknown", "there is no row")
    if page is None:
        if now.link is None or now.link.state not in (PageState.LIVE, PageState.UNLINKED):
            return "no page", None
        sent = agreed.sent if agreed is not None and not isinstance(agreed.sent, Absent) else None
        return ("as agreed", None) if agreed is not None and sent == ours else ("changed in MapAble", None)
    shared = now.direction == "both" and (
        each.owner is Owner.SHARED or (each.openable and (now.entity.name, each.key) in opened)
    )
    pushing = _pushing(now.link, each.key)
    return _WORDS[threeway.step(threeway.Field(ours, agreed, theirs, pushing, shared))]


_WORDS: Final[Mapping[Step, tuple[str, str | None]]] = {
    Step.REST: ("equal", None),
    Step.AGREE: ("equal", "not recorded yet"),
    Step.PUSH: ("differs", "MapAble's value will be written to the page"),
    Step.PULL: ("differs", "the page's value will be written to MapAble"),
    Step.PUT_BACK: ("differs", "the page's value is not one to take: MapAble's will be put back"),
    Step.CLASH: ("differs", "both sides changed it"),
    Step.BLIND: ("unknown", "the page does not show it, or not to its end: neither side is written"),
}


def _ours(ours: Ours | None, key: str) -> Json | Absent:
    return ours.values.get(key, ABSENT) if ours is not None else ABSENT


def _pushing(link: Link | None, key: str) -> Json | Absent:
    if link is None or link.pushing is None:
        return ABSENT
    return link.pushing.get(key, ABSENT)


def as_json(told: Told) -> dict[str, Any]:
    """Return it for scripts; values are canonical JSON, and left out where a side has or shows none."""
    known = told.record
    return {
        "entity": told.entity.name,
        "systemId": told.system_id,
        "row": told.has_row,
        "member": told.member,
        "pageId": told.page_id,
        "pageState": told.page_state,
        "page": told.page,
        "direction": told.direction,
        "unlinkedBecause": known.link.unlinked_because if known.link is not None else None,
        "conflictState": known.link.conflict_state if known.link is not None else "none",
        "lastSyncedAt": _time(known.link.synced_at if known.link is not None else None),
        "notionChanged": {"at": _time(told.theirs_changed.at), "by": told.theirs_changed.by},
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
        "parked": None
        if known.parked is None
        else {"reason": known.parked.reason, "message": known.parked.message, "attempts": known.parked.attempts},
        "delete": known.deletion.value if known.deletion is not None else None,
        "lately": [
            {"at": _time(line.at), "action": line.action, "actor": line.actor, "properties": line.properties}
            for line in known.lines
        ],
        "next": told.next,
    }


def _notion(theirs: Theirs) -> dict[str, Json]:
    match theirs:
        case Absent():
            return {}
        case threeway.Unknown():
            return {"unreadable": theirs.value}
        case _:
            return {"notion": theirs}


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
