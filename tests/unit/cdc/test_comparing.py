"""Whether a page shows what was agreed: only what a person can have done counts as a difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cdc.watch.comparing import as_agreed, differs, facts_of
from sinks.base import Page
from state.changes import ABSENT, PageId
from state.merge import Json, Pair
from state.threeway import Unknown

EDITED = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)


def page(**values: Json) -> Page:
    return Page(PageId("p"), "source", "r1", values, False, EDITED, "person", None)


def test_a_page_that_shows_what_notion_answered_then_does_not_differ() -> None:
    base = {"title": Pair("  Ramp ", "Ramp"), "status": Pair("MONITORED", "MONITORED")}

    assert differs(base, page(title="Ramp", status="MONITORED")) == frozenset()


def test_every_field_that_shows_something_else_is_named() -> None:
    base = {"title": Pair("Ramp", "Ramp"), "status": Pair("MONITORED", "MONITORED"), "done": Pair(True, True)}

    assert differs(base, page(title="Ramps", status=None, done=True)) == {"title", "status"}


@pytest.mark.parametrize(("shown", "found"), [("Ramp", frozenset()), ("Ramps", {"title"}), (None, {"title"})])
def test_where_the_answer_was_lost_what_was_sent_counts(shown: Json, found: frozenset[str]) -> None:
    assert differs({"title": Pair("Ramp", ABSENT)}, page(title=shown)) == found


@pytest.mark.parametrize(("shown", "found"), [(None, frozenset()), ([], frozenset()), (["p1"], {"participant"})])
def test_of_a_field_that_was_never_written_only_something_typed_counts(shown: Json, found: frozenset[str]) -> None:
    assert differs({}, page(participant=shown)) == found


def test_a_value_that_is_on_its_way_is_not_an_edit() -> None:
    base = {"title": Pair("Ramp", "Ramp")}

    assert differs(base, page(title="Ramps"), {"title": "Ramps"}) == frozenset()
    assert differs(base, page(title="Stairs"), {"title": "Ramps"}) == {"title"}


def test_a_property_that_is_gone_is_no_edit() -> None:
    assert as_agreed({"title": Pair("Ramp", "Ramp"), "status": Pair("CLOSED", "CLOSED")}, page(title="Ramp"))


@pytest.mark.parametrize(
    "seen",
    [
        replace(page(title="Ramp"), unknown={"status": Unknown.INVALID}),
        replace(page(title="Ramp"), in_trash=True),
        replace(page(title="Ramp"), archived=True),
    ],
    ids=["unreadable", "in the trash", "archived"],
)
def test_a_page_that_was_taken_away_or_cannot_be_read_is_not_as_agreed(seen: Page) -> None:
    assert not as_agreed({"title": Pair("Ramp", "Ramp")}, seen)


def test_the_facts_of_a_page_change_with_its_values_and_authors_and_not_with_the_time() -> None:
    facts = facts_of(page(title="Ramp"))

    assert facts == facts_of(replace(page(title="Ramp"), edited_at=None, request_id="r"))
    assert facts != facts_of(page(title="Ramps"))
    assert facts != facts_of(replace(page(title="Ramp"), edited_by="somebody else"))
    assert facts != facts_of(replace(page(title="Ramp"), in_trash=True))
