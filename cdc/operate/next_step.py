"""What happens next to a record, in one sentence: the pure choice among all that may stand in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cdc.reconcile.plan import Create, Resolve, Restore, Trash
from cdc.reconcile.reading import Situation
from state.changes import Reason
from state.deletions import Verdict
from state.links import PageState
from state.record import Record, Waiting

UNLINKED: Final = {
    "trashed_by_person": "a person put its page into Notion's trash",
    "gone": "its page is purged, or no longer shared with the connection",
    "moved": "its page was moved out of the database",
    "delete_rejected": "its row is gone and a person chose to keep the page",
}


def sentence(
    now: Situation, known: Record, fields: Sequence[tuple[str, str]], *, enabled: bool, switched_on: bool,
    unavailable: str | None,
) -> str:
    """Return what happens next. `fields` are (name, state) as told; `unavailable`: why its database can't be used."""
    entity = now.entity
    if not enabled:
        return "Nothing: the sync is disabled (NOTION_SYNC_ENABLED=false)."
    if not switched_on:
        return f"Nothing: the entity is switched off (NOTION_SYNC_{entity.setting}=false)."
    if known.parked is not None and known.work is None:
        return (
            f"It is parked ({known.parked.reason}: {known.parked.message}), and tried again when either side changes, "
            "when its database is mended, and after a day; at once with "
            f"`mapable-cdc parked retry {now.claim.system_id}`."
        )
    if known.work is not None and known.work.in_hand:
        return "It is being worked on right now."
    if now.link is not None and now.link.state == PageState.UNLINKED:
        because = UNLINKED.get(now.link.unlinked_because or "", "a person took its page away")
        return (
            f"Nothing is sent: {because}. Bring the page back in "
            "Notion, or sync the record by hand."
        )
    if known.deletion is Verdict.HELD:
        return (
            "Nothing until a person acts: the row is gone, and its page is held because many went at once. "
            f"`mapable-cdc deletes approve {now.claim.system_id}` or `reject`."
        )
    if now.link is not None and now.link.state == PageState.AMBIGUOUS:
        return "Two pages carry its System ID: trash one of them in Notion, and the other is linked."
    if now.ours is None and (now.link is None or now.link.state == PageState.TRASHED):
        return "Nothing: there is no such row" + (" any more." if now.link is not None else ", and no page.")
    if now.ours is not None and not now.ours.member and now.link is None:
        member = entity.member
        assert member is not None
        return f"Nothing: the row's {member.column} is not {member.value}, so it is due no page."
    if unavailable is not None:
        return f"Nothing until its database can be used: {unavailable.rstrip('.')}."
    what, left = _now(now, known.work, fields), tuple(_left(fields))
    if what:
        return " ".join((what, *left))
    return " ".join((*left, "The rest is as agreed.")) if left else "Nothing: both sides are as agreed."


def _left(fields: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what is to be said of fields that do not go along."""
    if waits := _in_state("waits", fields):
        yield f"{waits} follows when the record it points at has a page."
    if frozen := _in_state("frozen", fields):
        yield f"{frozen} waits for a person: `mapable-cdc conflicts`."
    if paused := _in_state("paused", fields):
        yield f"{paused} is paused, and goes on by itself once that is mended."
    if left_out := _in_state("left out", fields):
        yield f"{left_out} can't be shown in Notion as it is: change the value."


def _in_state(wanted: str, fields: Sequence[tuple[str, str]]) -> str:
    return ", ".join(name for name, state in fields if state == wanted)


def _now(now: Situation, work: Waiting | None, fields: Sequence[tuple[str, str]]) -> str:
    """Return what is done about the record; nothing where nothing is to be done."""
    if now.direction == "from_notion":
        return "Nothing is written to Notion: the direction is from_notion."
    differs = [name for name, state in fields if state in ("differs", "changed in MapAble", "refused")]
    match now.plan:
        case Create():
            what = "A page is made"
        case Resolve():
            what = "Its page is looked for, or made"
        case Trash():
            what = "Its page follows the row into Notion's trash"
        case Restore():
            what = "Its page is brought back from Notion's trash"
        case _ if differs:
            what = f"{', '.join(differs)} {'is' if len(differs) == 1 else 'are'} brought in line"
        case _:
            what = ""
    if work is not None:
        return f"{what or 'Both sides are compared'} {_when(work)}."
    if what:
        return f"{what} when the record is next marked: by a change, a look or a sweep, or `mapable-cdc backfill`."
    return ""


def _when(work: Waiting) -> str:
    marked = " and ".join(
        name for reason, name in ((Reason.OURS, "MapAble"), (Reason.THEIRS, "Notion")) if work.reasons & reason
    )
    why = f" (marked for {marked})" if marked else ""
    tries = f", after {work.attempts} failed attempts" if work.attempts else ""
    return f"in {work.due_s:.0f} s{tries}{why}" if work.due_s > 1 else f"as soon as its turn comes{tries}{why}"
