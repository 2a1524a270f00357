"""One record merged: what goes to the page, what goes to the row, what is refused, what waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.reconcile.merging import PING_PONG, Merged, Rules, merge
from cdc.reconcile.plan import Ours, ours_of
from cdc.reconcile.strategy import Verdict, Winner
from sinks.base import Page
from sinks.mapping.entities import by_name
from sinks.mapping.instants import naive
from sinks.mapping.model import Entity, Row
from sinks.mapping.rendering import render
from state.changes import ABSENT, PageId
from state.merge import Base, Json, Pair
from state.threeway import Unknown

ZONE: Final = ZoneInfo("Australia/Sydney")
PAGE: Final = PageId("01234567-89ab-cdef-0123-456789abcdef")
RISK: Final = by_name("risk")
PLAN: Final = by_name("ndisplan")
RISK_ROW: Final[Row] = {
    "id": "r1", "title": "Ramp", "participantId": None, "riskLevel": "LOW", "status": "IDENTIFIED", "category": "Home",
}
PLAN_ROW: Final[Row] = {
    "id": "n1", "planNumber": "P-1", "participantId": "u1", "status": "ACTIVE", "totalBudget": Decimal("100.00"),
    "remainingBudget": Decimal("40.00"), "startDate": naive(datetime(2026, 1, 1, tzinfo=UTC)),
    "endDate": naive(datetime(2026, 12, 31, tzinfo=UTC)), "planManagerId": None, "lookup:planManager": None,
}
CARE_PLAN: Final = by_name("careplan")
CARE_PLAN_ROW: Final[Row] = {
    "id": "c1", "planName": "Daily living", "participantId": "u1", "workerId": None, "lookup:worker": None,
    "status": "Active", "startDate": naive(datetime(2026, 1, 1, tzinfo=UTC)),
    "reviewDate": naive(datetime(2026, 6, 1, tzinfo=UTC)), "goals": [],
}
UNTOLD: Final[Mapping[str, Mapping[str, Any]]] = {
    "absent": {"missing": "title"}, "unread": {"unknown": {"title": Unknown.UNREAD}},
    "unreadable": {"unknown": {"title": Unknown.INVALID}},
}


@dataclass(frozen=True, slots=True)
class Open:
    """A conflict as a person left it."""

    mapable: Json
    notion: Json
    status: str = "open"
    choice: str | None = None
    value: Json = None
    rule: str = "manual-review"


def ours_for(entity: Entity, row: Row) -> Ours:
    return ours_of(entity, render(entity, row, ZONE), {}, frozenset(), member=True)


def agreed(entity: Entity, row: Row) -> Base:
    return {key: Pair(value, value) for key, value in ours_for(entity, row).values.items()}


def merged(
    theirs: Mapping[str, Any] | None = None,
    ours: Mapping[str, Any] | None = None,
    *,
    entity: Entity = RISK,
    row: Row = RISK_ROW,
    base: Base | None = None,
    unknown: Mapping[str, Unknown] | None = None,
    missing: str | None = None,
    pushing: Mapping[str, Json] | None = None,
    winner: Winner = Winner.MAPABLE,
    **rules: Any,
) -> Merged:
    """Merge a record both sides of which agreed on `row`, after `theirs` (fields) and `ours` (columns) changed."""
    base = agreed(entity, row) if base is None else base
    now = {**row, **(ours or {})}
    values: dict[str, Json] = {**ours_for(entity, row).values, **(theirs or {})}
    values = {key: value for key, value in values.items() if key != missing and key not in (unknown or {})}
    page = Page(PAGE, "source", None, values, False, None, None, None, unknown or {})
    settings: dict[str, Any] = {
        "direction": "both", "opened": frozenset(), "time_zone": ZONE,
        "verdict": lambda _: Verdict(winner, "told"), **rules,
    }
    return merge(entity, now, ours_for(entity, now), base, pushing or {}, page, Rules(**settings))


def test_nothing_changed_is_nothing_to_do() -> None:
    found = merged()

    assert found == Merged(dict(agreed(RISK, RISK_ROW)))


def test_what_changed_here_goes_to_the_page() -> None:
    found = merged(ours={"title": "New"})

    assert (found.push, found.pull) == ({"title": "New"}, {})
    assert found.base["title"] == Pair("Ramp", "Ramp")


def test_what_changed_there_goes_to_the_row() -> None:
    found = merged({"title": "New"})

    assert (found.push, found.pull["title"].value) == ({}, "New")
    assert found.base["title"] == Pair("New", "New")


def test_different_fields_merge() -> None:
    found = merged({"title": "New"}, {"category": "Road"})

    assert (found.push, set(found.pull)) == ({"category": "Road"}, {"title"})


def test_the_same_edit_on_both_sides_is_agreement() -> None:
    found = merged({"title": "New"}, {"title": "New"})

    assert (found.push, found.pull, found.decided) == ({}, {}, {})
    assert found.base["title"] == Pair("New", "New")


@pytest.mark.parametrize(("winner", "pushes", "pulls"), [(Winner.MAPABLE, True, False), (Winner.NOTION, False, True)])
def test_a_clash_goes_to_the_winner_and_both_values_are_told(winner: Winner, pushes: bool, pulls: bool) -> None:
    found = merged({"title": "Theirs"}, {"title": "Ours"}, winner=winner)

    assert ("title" in found.push, "title" in found.pull) == (pushes, pulls)
    clash = found.decided["title"]
    assert (clash.base, clash.mapable, clash.notion) == ("Ramp", "Ours", "Theirs")


def test_a_clash_that_a_person_decides_freezes_that_field_only() -> None:
    found = merged({"title": "Theirs", "riskLevel": "HIGH"}, {"title": "Ours"}, winner=Winner.PERSON)

    assert (set(found.frozen), found.push, set(found.pull)) == ({"title"}, {}, {"riskLevel"})
    assert found.base["title"] == Pair("Ramp", "Ramp")


def test_an_edit_of_what_mapable_keeps_is_refused() -> None:
    found = merged({"systemId": "another"})

    assert found.refused["systemId"].theirs == "another"
    assert found.pull == {}


def test_an_option_that_mapable_does_not_have_is_refused_and_the_rest_taken() -> None:
    found = merged({"riskLevel": "APOCALYPTIC", "title": "New"})

    assert (set(found.refused), set(found.pull)) == ({"riskLevel"}, {"title"})


def test_a_field_that_could_not_be_shown_so_far_is_filled_and_nobody_is_told_of_an_edit() -> None:
    base = {key: pair for key, pair in agreed(RISK, RISK_ROW).items() if key != "category"}

    found = merged({"category": None}, base=base, winner=Winner.NOTION)

    assert (found.push, found.refused, found.decided) == ({"category": "Home"}, {}, {})


def test_clearing_what_can_not_be_empty_is_refused() -> None:
    found = merged({"title": None})

    assert found.refused["title"].reason == "Title can't be empty in MapAble."


def test_an_option_lost_with_the_schema_is_written_again_without_a_word() -> None:
    found = merged({"riskLevel": None}, restored=lambda field, label: (field.key, label) == ("riskLevel", "LOW"))

    assert (found.push, found.refused) == ({"riskLevel": "LOW"}, {})


@pytest.mark.parametrize("change", [{}, {"title": "New"}])
def test_what_is_not_among_the_properties_is_neither_written_nor_agreed_on(change: dict[str, Any]) -> None:
    found = merged(ours=change, missing="title")

    assert (found.push, found.pull, found.base["title"]) == ({}, {}, Pair("Ramp", "Ramp"))


def test_what_was_not_read_to_its_end_is_neither_written_nor_agreed_on() -> None:
    found = merged(ours={"title": "New"}, unknown={"title": Unknown.UNREAD})

    assert (found.push, found.pull, found.refused) == ({}, {}, {})


def test_what_can_not_be_read_is_put_back() -> None:
    found = merged(unknown={"title": Unknown.INVALID})

    assert found.refused["title"].unreadable


@pytest.mark.parametrize("winner", Winner)
@pytest.mark.parametrize("how", UNTOLD)
def test_under_no_strategy_does_a_page_win_by_what_can_not_be_told_of_it(how: str, winner: Winner) -> None:
    found = merged(ours={"title": "New"}, winner=winner, **UNTOLD[how])

    assert (found.push, found.pull, found.decided, found.frozen) == ({}, {}, {}, {})
    assert set(found.refused) == ({"title"} if how == "unreadable" else set())
    assert found.base["title"] == Pair("Ramp", "Ramp")


@pytest.mark.parametrize("winner", Winner)
def test_under_no_strategy_is_a_row_overwritten_while_its_own_value_can_not_be_shown(winner: Winner) -> None:
    found = merged(
        {"status": "Completed"}, {"status": "On hold, for now"}, entity=CARE_PLAN, row=CARE_PLAN_ROW, winner=winner
    )

    assert (found.push, found.pull, found.decided, found.frozen) == ({}, {}, {}, {})
    assert set(found.left_as_is) == {"status"}


@pytest.mark.parametrize("winner", Winner)
def test_at_first_contact_the_strategy_decides_what_differs_and_keeps_the_other_value(winner: Winner) -> None:
    base = {key: pair for key, pair in agreed(RISK, RISK_ROW).items() if key != "title"}

    found = merged({"title": "Theirs"}, {"title": "Ours"}, base=base, winner=winner)

    clash = {**found.decided, **found.frozen}["title"]
    assert (clash.base, clash.mapable, clash.notion) == (None, "Ours", "Theirs")
    assert ("title" in found.push, "title" in found.pull, "title" in found.frozen) == (
        winner is Winner.MAPABLE, winner is Winner.NOTION, winner is Winner.PERSON,
    )


def test_a_rule_across_fields_refuses_the_edit_that_breaks_it_and_no_other() -> None:
    found = merged({"remainingBudget": "250.00", "status": "EXPIRED"}, entity=PLAN, row=PLAN_ROW)

    assert (set(found.refused), set(found.pull)) == ({"remainingBudget"}, {"status"})
    assert found.base["remainingBudget"] == Pair("40.00", "40.00")


def test_a_rule_is_judged_on_what_the_row_will_be() -> None:
    found = merged({"remainingBudget": "250.00", "totalBudget": "300.00"}, entity=PLAN, row=PLAN_ROW)

    assert (found.refused, set(found.pull)) == ({}, {"remainingBudget", "totalBudget"})


def test_without_a_base_a_difference_of_a_shared_field_is_a_clash() -> None:
    found = merged({"title": "Theirs"}, base={})

    assert set(found.decided) == {"title"}


def test_a_page_that_was_only_found_is_no_base_either() -> None:
    found = merged({"title": "Theirs"}, base={"title": Pair(ABSENT, "Theirs")})

    assert set(found.decided) == {"title"}


def test_a_write_whose_answer_was_lost_is_no_edit() -> None:
    found = merged({"title": "Sent"}, {"title": "Newer"}, pushing={"title": "Sent"})

    assert (found.push, found.decided) == ({"title": "Newer"}, {})
    assert found.base["title"] == Pair("Sent", "Sent")


def test_a_field_that_both_sides_keep_changing_is_frozen() -> None:
    found = merged({"title": "Theirs"}, restless=lambda field: field.key == "title")

    assert found.frozen["title"].verdict.rule == PING_PONG
    assert found.pull == {}


def test_everything_is_the_applications_when_the_direction_says_so() -> None:
    found = merged({"title": "Theirs"}, direction="to_notion")

    assert (set(found.refused), found.pull) == ({"title"}, {})


def test_nothing_goes_to_notion_when_the_direction_says_so() -> None:
    found = merged({"title": "Theirs", "systemId": "x"}, {"title": "Ours", "category": "Road"}, direction="from_notion")

    assert (found.push, found.refused, set(found.pull)) == ({}, {}, {"title"})


def test_a_frozen_field_stays_so_while_nobody_decides() -> None:
    found = merged({"title": "Theirs"}, {"title": "Ours"}, conflicts={"title": Open("Ours", "Theirs")})

    assert (set(found.frozen), found.push, found.pull) == ({"title"}, {}, {})


@pytest.mark.parametrize(
    ("choice", "value", "push", "pull"),
    [("mapable", None, "Ours", None), ("notion", None, None, "Theirs"), ("value", "Third", None, "Third")],
)
def test_a_decision_on_what_was_seen_is_carried_out(
    choice: str, value: Json, push: Json, pull: Json
) -> None:
    conflict = Open("Ours", "Theirs", "deciding", choice, value)

    found = merged({"title": "Theirs"}, {"title": "Ours"}, conflicts={"title": conflict})

    assert found.push.get("title") == push
    assert (found.pull["title"].value if "title" in found.pull else None) == pull
    assert (found.closed, found.frozen) == ({"title": "resolved"}, {})


def test_a_decision_on_something_else_is_void() -> None:
    conflict = Open("Ours", "Older", "deciding", "mapable")

    found = merged({"title": "Theirs"}, {"title": "Ours"}, conflicts={"title": conflict})

    assert (set(found.frozen), found.closed, found.push) == ({"title"}, {}, {})


def test_a_decision_for_what_mapable_can_not_take_is_void() -> None:
    conflict = Open("HIGH", "LOW", "deciding", "value", "APOCALYPTIC")

    found = merged({"riskLevel": "LOW"}, {"riskLevel": "HIGH"}, conflicts={"riskLevel": conflict})

    assert (set(found.frozen), found.pull) == ({"riskLevel"}, {})


def test_a_conflict_closes_itself_when_both_sides_are_equal() -> None:
    found = merged({"title": "Same"}, {"title": "Same"}, conflicts={"title": Open("Ours", "Theirs")})

    assert (found.closed, found.frozen) == ({"title": "converged"}, {})


@given(st.sampled_from(["Ramp", "a", "b"]), st.sampled_from(["Ramp", "a", "b"]), st.sampled_from(list(Winner)))
def test_no_value_that_loses_goes_untold(ours: str, theirs: str, winner: Winner) -> None:
    found = merged({"title": theirs}, {"title": ours}, winner=winner)

    overwritten = ("title" in found.push and theirs != "Ramp") or ("title" in found.pull and ours != "Ramp")
    assert not overwritten or "title" in found.decided


@given(st.sampled_from(["Ramp", "a", "b"]), st.sampled_from(["Ramp", "a", "b"]), st.sampled_from(list(Winner)))
def test_a_field_is_never_written_on_both_sides_at_once(ours: str, theirs: str, winner: Winner) -> None:
    found = merged({"title": theirs}, {"title": ours}, winner=winner)

    assert not ("title" in found.push and "title" in found.pull)
