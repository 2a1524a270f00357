"""What is due for one key, decided from the states of both sides alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.reconcile.plan import (
    DELETE_REJECTED,
    FIRST_INTERVAL_S,
    LONGEST_INTERVAL_S,
    Bury,
    Create,
    Later,
    Look,
    Nothing,
    NotVisible,
    Ours,
    Plan,
    Resolve,
    Restore,
    Settle,
    Trash,
    Update,
    backoff_s,
    cooling_s,
    decide,
    next_interval_s,
    ours_of,
    references,
)
from sinks.mapping.entities import by_name
from sinks.mapping.model import LeftOut, Reference, Rendered
from state.changes import ABSENT, Key, PageId, Reason
from state.links import Link, PageState
from state.merge import Base, Json, Pair, base_to_json

NOW = datetime(2026, 9, 21, 14, tzinfo=UTC)
PAGE = PageId("01234567-89ab-cdef-0123-456789abcdef")
PARTICIPANT = Key("participant", "p1")
AGREED: Base = {"name": Pair("Ann", "Ann")}
DIFFERING: Base = {"name": Pair("Bea", "Bea")}
FOUND_EQUAL: Base = {"name": Pair(ABSENT, "Ann")}
FOUND: Base = {"name": Pair(ABSENT, "Bea")}
UPDATED: Base = AGREED


def link(
    state: PageState = PageState.LIVE,
    *,
    page_id: PageId | None = PAGE,
    base: Base = AGREED,
    direction: str = "both",
    left_out: Mapping[str, str] | None = None,
    sent_s_ago: float | None = None,
    interval_s: float = 0.0,
    waits: tuple[tuple[str, str, str], ...] = (),
) -> Link:
    return Link(
        "User", "p1", page_id, state.value, direction, NOW if state is PageState.INTENDED else None,
        base_to_json(base), None, left_out or {},
        None if sent_s_ago is None else NOW - timedelta(seconds=sent_s_ago), interval_s, NOW, waits,
    )


def ours(*, member: bool = True, **values: Json) -> Ours:
    return Ours(values or {"name": "Ann"}, member=member, entity="participant")


ROWS: dict[str, Ours | None] = {"gone": None, "member": ours(), "no member": ours(member=False)}
LINKS: dict[str, Link | None] = {
    "none": None,
    "intended": link(PageState.INTENDED, page_id=None, base={}),
    "live": link(),
    "live, differs": link(base=DIFFERING),
    "live, found, equal": link(base=FOUND_EQUAL),
    "live, found, differs": link(base=FOUND),
    "trashed": link(PageState.TRASHED, base={}),
    "trashed, no page": link(PageState.TRASHED, page_id=None, base={}),
    "unlinked": link(PageState.UNLINKED),
    "unlinked, differs": link(PageState.UNLINKED, base=DIFFERING),
    "unlinked, forgotten": link(PageState.UNLINKED, base={}),
    "ambiguous": link(PageState.AMBIGUOUS, page_id=None, base={}),
}
WRITE = {"name": "Ann"}
TABLE: dict[tuple[str, str], Plan] = {
    ("none", "gone"): Nothing(),
    ("none", "member"): Create(),
    ("none", "no member"): Nothing(),
    ("intended", "gone"): Resolve(wanted=False),
    ("intended", "member"): Resolve(wanted=True),
    ("intended", "no member"): Resolve(wanted=False),
    ("live", "gone"): Trash(PAGE),
    ("live", "member"): Nothing(),
    ("live", "no member"): Nothing(),
    ("live, differs", "gone"): Trash(PAGE),
    ("live, differs", "member"): Update(PAGE, WRITE, DIFFERING),
    ("live, differs", "no member"): Update(PAGE, WRITE, DIFFERING),
    # a System ID is a hint that anyone can type: what was only found is not ours to throw away
    ("live, found, equal", "gone"): Nothing(),
    ("live, found, equal", "member"): Settle(AGREED),
    ("live, found, equal", "no member"): Settle(AGREED),
    ("live, found, differs", "gone"): Nothing(),
    ("live, found, differs", "member"): Update(PAGE, WRITE, FOUND),
    ("live, found, differs", "no member"): Update(PAGE, WRITE, FOUND),
    ("trashed", "gone"): Nothing(),
    ("trashed", "member"): Restore(PAGE),
    ("trashed", "no member"): Nothing(),
    ("trashed, no page", "gone"): Nothing(),
    ("trashed, no page", "member"): Create(),
    ("trashed, no page", "no member"): Nothing(),
    ("unlinked", "gone"): Bury(PAGE),
    ("unlinked", "member"): Nothing(),
    ("unlinked", "no member"): Nothing(),
    ("unlinked, differs", "gone"): Bury(PAGE),
    ("unlinked, forgotten", "gone"): Nothing(),
    ("unlinked, forgotten", "member"): Nothing(),
    ("unlinked, forgotten", "no member"): Nothing(),
    ("unlinked, differs", "member"): Nothing(),
    ("unlinked, differs", "no member"): Nothing(),
    ("ambiguous", "gone"): Resolve(wanted=False),
    ("ambiguous", "member"): Resolve(wanted=True),
    ("ambiguous", "no member"): Resolve(wanted=False),
}


def test_the_table_leaves_nothing_out() -> None:
    assert TABLE.keys() == set(itertools.product(LINKS, ROWS))
    assert {each.state for each in LINKS.values() if each is not None} == set(PageState)


@pytest.mark.parametrize("direction", ["both", "to_notion"])
@pytest.mark.parametrize(("known", "row"), TABLE, ids=lambda name: str(name))
def test_what_is_due(known: str, row: str, direction: str) -> None:
    assert decide(ROWS[row], LINKS[known], visible=True, direction=direction) == TABLE[known, row]


@pytest.mark.parametrize(("known", "row"), TABLE, ids=lambda name: str(name))
def test_from_notion_nothing_is_ever_written_to_notion(known: str, row: str) -> None:
    assert decide(ROWS[row], LINKS[known], visible=True, direction="from_notion") in (Nothing(), Bury(PAGE))


@pytest.mark.parametrize("direction", ["both", "to_notion", "from_notion"])
@pytest.mark.parametrize(("known", "row"), TABLE, ids=lambda name: str(name))
def test_before_the_marking_transaction_is_visible_nothing_is_decided(known: str, row: str, direction: str) -> None:
    assert decide(ROWS[row], LINKS[known], visible=False, direction=direction) == NotVisible()


def test_an_entity_that_was_once_read_only_is_written_again_when_that_is_lifted() -> None:
    stored = link(base=DIFFERING, direction="from_notion")

    assert decide(ours(), stored, visible=True, direction="both") == Update(PAGE, WRITE, DIFFERING)


@pytest.mark.parametrize("reasons", [Reason.OURS, Reason.THEIRS, Reason.OURS | Reason.THEIRS | Reason.RESTORE])
def test_a_page_whose_row_is_gone_is_not_asked_back(reasons: Reason) -> None:
    left = replace(link(PageState.UNLINKED), unlinked_because=DELETE_REJECTED)
    forgotten = link(PageState.UNLINKED, base={})

    plans = {
        type(decide(None, each, visible=True, direction="both", reasons=reasons)) for each in (left, forgotten)
    }

    assert Restore not in plans
    assert decide(ours(), left, visible=True, direction="both", reasons=Reason.RESTORE) == Restore(PAGE)


def test_a_page_that_was_left_to_itself_keeps_what_was_agreed_for_the_day_its_row_is_back() -> None:
    kept = replace(link(PageState.UNLINKED), unlinked_because=DELETE_REJECTED)

    assert decide(None, kept, visible=True, direction="both") == Nothing()


@pytest.mark.parametrize("shared", [frozenset({"name"}), frozenset[str]()], ids=["shared", "mapable's by now"])
def test_a_field_that_a_person_has_to_decide_is_never_written_unseen(shared: frozenset[str]) -> None:
    frozen = replace(link(base=DIFFERING), conflict_state="pending")

    assert decide(replace(ours(), shared=shared), frozen, visible=True, direction="both") == Look(PAGE)
    assert decide(replace(ours(name="Bea"), shared=shared), frozen, visible=True, direction="both") == Nothing()


def test_a_side_that_goes_back_to_what_was_agreed_is_met_once_more() -> None:
    frozen = replace(link(base=DIFFERING), conflict_state="pending", frozen={"name": "Ann"})

    assert decide(ours(name="Bea"), frozen, visible=True, direction="both") == Look(PAGE)
    refreshed = replace(frozen, frozen={"name": "Bea"})
    assert decide(ours(name="Bea"), refreshed, visible=True, direction="both") == Nothing()


def test_only_the_fields_that_differ_are_written() -> None:
    base: Base = {"name": Pair("Ann", "Ann"), "status": Pair("Active", "Active"), "email": Pair("a@b.c", "a@b.c")}

    plan = decide(ours(name="Ann", status="Inactive", email="a@b.c"), link(base=base), visible=True, direction="both")

    assert plan == Update(PAGE, {"status": "Inactive"}, base)


def test_a_value_that_notion_shows_otherwise_is_not_written_again() -> None:
    stored = link(base={"email": Pair("Ann@X.org", "ann@x.org")})

    assert decide(ours(email="Ann@X.org"), stored, visible=True, direction="both") == Nothing()


def test_a_field_that_is_left_out_now_is_left_alone_and_recorded() -> None:
    now = Ours({}, {"email": "too long"}, entity="participant")

    assert decide(now, link(), visible=True, direction="both") == Settle(AGREED)
    assert decide(now, link(left_out={"email": "too long"}), visible=True, direction="both") == Nothing()


def test_a_field_that_can_be_shown_again_is_no_longer_recorded_as_left_out() -> None:
    assert decide(ours(), link(left_out={"email": "too long"}), visible=True, direction="both") == Settle(AGREED)


def test_a_hot_record_waits_and_a_cool_one_does_not() -> None:
    hot = link(base=DIFFERING, sent_s_ago=0.25, interval_s=1.0)
    cool = link(base=DIFFERING, sent_s_ago=1.0, interval_s=1.0)

    assert decide(ours(), hot, visible=True, direction="both") == Later(0.75)
    assert decide(ours(), cool, visible=True, direction="both") == Update(PAGE, WRITE, DIFFERING)


def test_a_hot_record_whose_row_is_gone_does_not_wait() -> None:
    hot = link(sent_s_ago=0.0, interval_s=60.0)

    assert decide(None, hot, visible=True, direction="both") == Trash(PAGE)


INCIDENT = by_name("incident")


def incident(
    rendered: Mapping[str, Rendered], pages: Mapping[Key, PageId] | None = None, due: frozenset[Key] = frozenset()
) -> Ours:
    return ours_of(INCIDENT, rendered, pages or {}, due, member=True)


def test_a_relation_is_the_page_of_its_target() -> None:
    now = incident({"participant": Reference("participant", "p1")}, {PARTICIPANT: PAGE})

    assert now.values == {"participant": [PAGE]}
    assert now.waiting == frozenset()


def test_a_relation_whose_target_is_due_a_page_is_not_sent_and_waited_for() -> None:
    now = incident({"participant": Reference("participant", "p1")}, due=frozenset({PARTICIPANT}))

    assert now.values == {}
    assert now.waiting == {PARTICIPANT}


def test_a_relation_whose_target_is_due_none_is_empty_and_waited_for() -> None:
    now = incident({"participant": Reference("participant", "p1")})

    assert now.values == {"participant": []}
    assert now.waiting == {PARTICIPANT}


def test_a_relation_to_nobody_is_empty_and_waits_for_nobody() -> None:
    now = incident({"participant": None})

    assert now.values == {"participant": []}
    assert now.waiting == frozenset()


def test_what_can_not_be_shown_is_left_out_and_the_rest_goes_on() -> None:
    now = incident({"description": LeftOut("too long"), "status": "CLOSED"})

    assert now.values == {"status": "CLOSED"}
    assert now.left_out == {"description": "too long"}


def test_what_was_not_rendered_is_not_sent() -> None:
    assert incident({}).values == {}


def test_a_target_that_is_waited_for_is_recorded_once() -> None:
    """Unrecorded, nobody would look at the child again when the target gets its page."""
    known = {"name": Pair("x", "x")}
    now = Ours({"name": "x"}, waiting=frozenset({PARTICIPANT}), entity="incident")
    recorded = link(base=known, waits=(("incident", "participant", "p1"), ("risk", "participant", "p9")))
    somebody_elses = link(base=known, waits=(("risk", "participant", "p1"),))
    somebody_else = link(base=known, waits=(("incident", "participant", "p2"),))

    assert decide(now, link(base=known), visible=True, direction="both") == Settle(known)
    assert decide(now, somebody_elses, visible=True, direction="both") == Settle(known)
    assert decide(now, somebody_else, visible=True, direction="both") == Settle(known)
    assert decide(now, recorded, visible=True, direction="both") == Nothing()


def test_the_rows_pointed_at_are_known() -> None:
    rendered: dict[str, Rendered] = {"participant": Reference("participant", "p1"), "status": "CLOSED"}

    assert references(INCIDENT, rendered) == {PARTICIPANT}


@pytest.mark.parametrize(("sent_s_ago", "interval_s", "wait_s"), [
    (None, 60.0, 0.0), (0.0, 1.0, 1.0), (0.4, 1.0, 0.6), (1.0, 1.0, 0.0), (500.0, 60.0, 0.0),
    (-3600.0, 4.0, 4.0),    # the database's clock was set back, or another server took over
])  # fmt: skip
def test_how_long_a_hot_record_waits(sent_s_ago: float | None, interval_s: float, wait_s: float) -> None:
    assert cooling_s(link(sent_s_ago=sent_s_ago, interval_s=interval_s)) == pytest.approx(wait_s)


def test_the_interval_doubles_to_a_minute_while_the_record_stays_hot() -> None:
    interval_s, intervals = next_interval_s(None), list[float]()
    for _ in range(9):
        intervals.append(interval_s)
        interval_s = next_interval_s(link(sent_s_ago=interval_s, interval_s=interval_s))

    assert intervals == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("every_s", [1.3, 2.0, 5.0, 30.0])
def test_a_pace_that_never_had_to_wait_is_never_slowed_down(every_s: float) -> None:
    interval_s = next_interval_s(None)
    for _ in range(9):
        assert cooling_s(link(sent_s_ago=every_s, interval_s=interval_s)) == 0.0
        interval_s = next_interval_s(link(sent_s_ago=every_s, interval_s=interval_s))


@pytest.mark.parametrize("interval_s", [0.0, 1.0, 8.0, 60.0])
def test_after_a_quiet_while_the_record_is_cool_again(interval_s: float) -> None:
    quiet = link(sent_s_ago=1.25 * max(interval_s, 1.0) + 0.001, interval_s=interval_s)

    assert next_interval_s(quiet) == FIRST_INTERVAL_S


@given(ago_s=st.floats(-1e6, 1e6), interval_s=st.floats(0, 60))
def test_intervals_stay_between_a_second_and_a_minute(ago_s: float, interval_s: float) -> None:
    hot = link(sent_s_ago=ago_s, interval_s=interval_s)

    assert FIRST_INTERVAL_S <= next_interval_s(hot) <= LONGEST_INTERVAL_S
    assert 0 <= cooling_s(hot) <= LONGEST_INTERVAL_S


def test_failures_back_off_from_a_second_to_five_minutes() -> None:
    assert [backoff_s(attempts) for attempts in range(1, 13)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@given(st.integers(-5, 10**9))
def test_no_number_of_attempts_breaks_the_backoff(attempts: int) -> None:
    assert 1 <= backoff_s(attempts) <= 300
