"""In which fields a row and its page differ, and how that came about."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import pytest

from cdc.reconcile.plan import Ours
from cdc.watch.differing import How, differences, unread
from sinks.base import Page
from sinks.mapping.entities import by_name
from state.changes import PageId
from state.merge import Json, Pair
from state.threeway import Unknown

RISK = by_name("risk")
SYDNEY = ZoneInfo("Australia/Sydney")
ROW = {"id": "r", "title": "t", "participantId": None}


def page(values: Mapping[str, Json], unknown: Mapping[str, Unknown] | None = None) -> Page:
    return Page(PageId("p"), "s", "r", values, False, None, None, None, unknown or {})


def found(
    ours: Mapping[str, Json],
    base: Mapping[str, Pair],
    theirs: Page,
    *,
    direction: str = "both",
    pushing: Mapping[str, Json] | None = None,
) -> list[tuple[str, How]]:
    differing = differences(
        RISK, ROW, Ours(ours), base, pushing or {}, theirs, direction=direction, opened=frozenset(), time_zone=SYDNEY
    )
    return [(one.field.key, one.how) for one in differing]


@pytest.mark.parametrize(
    ("ours", "base", "theirs", "how"),
    [
        ("a", Pair("a", "a"), "a", None),
        ("b", Pair("a", "a"), "a", How.MAPABLE),
        ("a", Pair("a", "a"), "c", How.NOTION),
        ("b", Pair("a", "a"), "c", How.BOTH),
        # equal by now, whatever was agreed
        ("b", Pair("a", "a"), "b", None),
        # what Notion makes of it
        ("a ", Pair("a ", "a"), "a", None),
        ("A", Pair("A", "x"), "x", None),
        # nothing was agreed yet
        ("a", None, "c", How.BOTH),
    ],
)
def test_a_field_is_told_by_the_side_that_changed(
    ours: Json, base: Pair | None, theirs: Json, how: How | None
) -> None:
    differing = found({"title": ours}, {"title": base} if base is not None else {}, page({"title": theirs}))

    assert differing == ([("title", how)] if how is not None else [])


def test_what_people_may_not_change_is_not_taken() -> None:
    differing = found({"title": "a"}, {"title": Pair("a", "a")}, page({"title": "c"}), direction="to_notion")

    assert differing == [("title", How.NOT_TAKEN)]


def test_with_from_notion_a_difference_is_one_all_the_same() -> None:
    differing = found({"title": "b"}, {"title": Pair("a", "a")}, page({"title": "a"}), direction="from_notion")

    assert differing == [("title", How.MAPABLE)]


def test_what_is_on_its_way_and_there_is_none() -> None:
    differing = found({"title": "b"}, {"title": Pair("a", "a")}, page({"title": "b"}), pushing={"title": "b"})

    assert differing == []


def test_what_can_not_be_told_on_one_side_is_none_but_wants_a_closer_look() -> None:
    cut_off = page({}, {"title": Unknown.UNREAD})

    assert found({"title": "a"}, {"title": Pair("a", "a")}, cut_off) == []
    assert found({}, {}, page({"title": "c"})) == []
    assert unread(cut_off)
    assert not unread(page({"title": "a"}))


def test_a_value_outside_of_the_field_s_domain_is_not_taken() -> None:
    assert found({"title": "a"}, {"title": Pair("a", "a")}, page({}, {"title": Unknown.INVALID})) == [
        ("title", How.NOT_TAKEN)
    ]
