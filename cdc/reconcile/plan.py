"""What has to be done for one key: the pure decision between the row, the link and what was agreed.

Level-triggered: it looks at states, never at events, so that repeated, reordered or coalesced marks end the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sinks.mapping.canonical import encode
from sinks.mapping.model import Entity, Kind, LeftOut, Reference, Rendered
from state.changes import Absent, Key, PageId, Reason
from state.links import Link, PageState
from state.merge import Base, Json, agreed, changed

DELETE_REJECTED: Final = "delete_rejected"
FIRST_INTERVAL_S: Final = 1.0
LONGEST_INTERVAL_S: Final = 60.0
HELD_BACK: Final = 1.25
"""A record whose wait is over is read again a moment later, and after this many waits at the latest."""


@dataclass(frozen=True, slots=True)
class Ours:
    """A row as it should show: canonical JSON by field, what can't be shown and why, and relations without a page."""

    values: Mapping[str, Json] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    waiting: frozenset[Key] = frozenset()
    member: bool = True
    entity: str = ""
    shared: frozenset[str] = frozenset()    # the fields that people may edit in Notion


@dataclass(frozen=True, slots=True)
class Refusal:
    """A person's value that MapAble does not take, and why (a sentence for them)."""

    theirs: Json
    reason: str
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """Both sides are as they should be, or it is not ours to change them."""


@dataclass(frozen=True, slots=True)
class NotVisible:
    """The transaction that marked the key is not visible yet: look again soon."""


@dataclass(frozen=True, slots=True)
class Later:
    """The record was sent a moment ago and stays hot: send again in `wait_s`."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing to send, but what is known changed (an adopted page that agrees, a value that can't be shown)."""

    base: Base


@dataclass(frozen=True, slots=True)
class Create:
    """Make the page."""


@dataclass(frozen=True, slots=True)
class Resolve:
    """It is not known which page is the row's: look for it before anything else.

    A create was sent and its outcome is unknown, or two pages carried the row's System ID when last looked.
    """

    wanted: bool    # the row (still) is due a page


@dataclass(frozen=True, slots=True)
class Look:
    """The page has to be read first: theirs changed, or ours did where people may have edited, too."""

    page_id: PageId


@dataclass(frozen=True, slots=True)
class Update:
    """Write these fields."""

    page_id: PageId
    values: Mapping[str, Json]
    base: Base
    seen: Mapping[str, Json] = field(default_factory=dict)       # what the page showed before, where it was read
    put_back: Mapping[str, Refusal] = field(default_factory=dict)  # those of `values` that undo a person's edit


@dataclass(frozen=True, slots=True)
class Trash:
    """The row is gone: so is its page."""

    page_id: PageId


@dataclass(frozen=True, slots=True)
class Bury:
    """The row of a page that a person took away is gone: nothing of it is kept but ids."""

    page_id: PageId


@dataclass(frozen=True, slots=True)
class Restore:
    """The row is back: so is its page."""

    page_id: PageId


Plan = Nothing | NotVisible | Later | Settle | Create | Resolve | Look | Update | Trash | Bury | Restore


def ours_of(
    entity: Entity,
    rendered: Mapping[str, Rendered],
    pages: Mapping[Key, PageId],
    due: frozenset[Key],
    *,
    member: bool,
    shared: frozenset[str] = frozenset(),
) -> Ours:
    """Turn rendered values into what is compared and sent.

    A relation whose target is `due` a page it does not have yet is not sent at all: an empty or shortened list would
    remove a link that only we don't know yet. One whose target is due none is empty. Both are looked at again when
    the target gets a page.
    """
    values: dict[str, Json] = {}
    left_out: dict[str, str] = {}
    waiting: set[Key] = set()
    for declared in entity.fields:
        if declared.key not in rendered:
            continue
        match rendered[declared.key]:
            case LeftOut(reason):
                left_out[declared.key] = reason
            case Reference(target, system_id):
                key = Key(target, system_id)
                page_id = pages.get(key)
                if page_id is None:
                    waiting.add(key)
                if page_id is not None or key not in due:
                    values[declared.key] = encode(Kind.RELATION, () if page_id is None else (page_id,))
            case None if declared.kind is Kind.RELATION:
                values[declared.key] = encode(Kind.RELATION, ())
            case value:
                values[declared.key] = encode(declared.kind, value)
    return Ours(values, left_out, frozenset(waiting), member, entity.name, shared)


def references(entity: Entity, rendered: Mapping[str, Rendered]) -> frozenset[Key]:
    """Return the rows that this row's relations point at."""
    return frozenset(
        Key(value.entity, value.system_id)
        for declared in entity.fields
        if isinstance(value := rendered.get(declared.key), Reference)
    )


def decide(
    ours: Ours | None, link: Link | None, *, visible: bool, direction: str, reasons: Reason = Reason.OURS
) -> Plan:
    """Return what to do. `ours` is None when there is no such row."""
    if not visible:
        return NotVisible()
    state = link.state if link is not None else None
    if link is not None and link.page_id is not None:
        if state == PageState.UNLINKED:
            return _unlinked(ours, link, link.page_id, reasons)
        if direction == "from_notion" or (state == PageState.TRASHED and ours is None):
            return Look(link.page_id) if reasons & Reason.THEIRS else Nothing()
    if direction == "from_notion" or state == PageState.UNLINKED:
        return Nothing()
    due = ours is not None and ours.member
    if link is None or state == PageState.TRASHED:
        if not due:
            return Nothing()
        return Create() if link is None or link.page_id is None else Restore(link.page_id)
    # ambiguous: a person may have taken one of the two away by now, and nothing but a look can tell
    if state in (PageState.INTENDED, PageState.AMBIGUOUS) or link.page_id is None:
        return Resolve(wanted=due)
    if ours is None:
        return Trash(link.page_id) if _was_agreed(link.base) else Nothing()
    return _compare(ours, link, link.page_id, reasons)


def _unlinked(ours: Ours | None, link: Link, page_id: PageId, reasons: Reason) -> Plan:
    """A person took the page away: it is left alone until it is back, or somebody asks for it.

    One that stands for itself (a rejected deletion's) keeps what was agreed on, for the day its row is back.
    """
    if ours is None and link.base and link.unlinked_because != DELETE_REJECTED:
        return Bury(page_id)
    if reasons & Reason.RESTORE and ours is not None:
        return Restore(page_id)
    return Look(page_id) if reasons & Reason.THEIRS else Nothing()


def _compare(ours: Ours, link: Link, page_id: PageId, reasons: Reason) -> Plan:
    base = agreed(link.base, ours.values)
    values = changed(ours.values, base)
    # a write whose answer was lost, an edit that waits to be put back
    if reasons & Reason.THEIRS or link.pushing or link.refused:
        return Look(page_id)
    if values:
        wait_s = cooling_s(link)
        if wait_s > 0:
            return Later(wait_s)
        # an edit that would be overwritten unseen; a frozen field, which only a person ends, whoever owns it by now
        unseen = values.keys() & ours.shared or link.conflict_state == "pending"
        return Look(page_id) if unseen else Update(page_id, values, base)
    if any(ours.values.get(key, value) != value for key, value in link.frozen.items()):
        # MapAble's side of a conflict is back at what was agreed before, and whoever decides has to see that
        return Look(page_id)
    if base != link.base or dict(ours.left_out) != dict(link.left_out):
        return Settle(base)
    if not ours.waiting <= link.waits_of(ours.entity):
        # nothing to send as long as the target has no page; unrecorded, nobody would look again when it gets one
        return Settle(base)
    return Nothing()


def _was_agreed(base: Base) -> bool:
    """A page that was only found (by a System ID, which anyone can type) is never trashed for want of a row."""
    return any(not isinstance(pair.sent, Absent) for pair in base.values())


def cooling_s(link: Link) -> float:
    """Return how long a hot record has to wait before it is sent again; 0 when it may be."""
    if link.sent_at is None:
        return 0.0
    since_s = max(0.0, (link.read_at - link.sent_at).total_seconds())   # a clock set back must not make it wait longer
    return max(0.0, link.send_interval_s - since_s)


def next_interval_s(link: Link | None) -> float:
    """Return how long the record has to wait after the send that is due now: it doubles while it stays hot.

    Hot is a record that was changed again before its wait was over. Somebody who edits it every few seconds, each edit
    sent before the next one, must not be slowed down.
    """
    if link is None or link.sent_at is None:
        return FIRST_INTERVAL_S
    quiet_s = (link.read_at - link.sent_at).total_seconds()
    if quiet_s > HELD_BACK * max(link.send_interval_s, FIRST_INTERVAL_S):
        return FIRST_INTERVAL_S
    return min(LONGEST_INTERVAL_S, max(FIRST_INTERVAL_S, 2 * link.send_interval_s))


def backoff_s(attempts: int) -> float:
    """Return how long a key waits after its nth failed attempt: 1 s doubling to 5 minutes."""
    return float(min(300.0, 2.0 ** min(max(attempts, 1) - 1, 9)))
