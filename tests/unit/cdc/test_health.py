"""Health at a glance: what is said of a state, how bad it is, and where something can be done about it."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.operate.health import Level, health, notes


def overview(**changes: Any) -> dict[str, Any]:
    """Return the state of a sync that is well, but for the changes."""
    return {
        "enabled": True,
        "process": {"role": "active", "streaming": True},
        "queue": {name: {"keys": 0, "oldestAgeSeconds": 0.0} for name in ("live", "manual", "backfill")},
        "slot": {"walStatus": "reserved", "pressure": "none"},
        "paused": [], "conflicts": 0, "parked": 0, "heldDeletes": 0, "comments": {"allowed": True}, "leftOut": [],
        "unlinked": [], "strays": [], "notices": [],
        **changes,
    }  # fmt: skip


def slot(**changes: str) -> dict[str, str]:
    return {"walStatus": "reserved", "pressure": "none", **changes}


def test_nothing_to_say_is_well() -> None:
    told = health(overview())

    assert (told.level, told.headline, told.concerns) == (Level.WELL, "Everything is in step", ())


def test_what_is_on_its_way_is_no_concern() -> None:
    queue = {"live": {"keys": 2, "oldestAgeSeconds": 3.0}, "backfill": {"keys": 1, "oldestAgeSeconds": 9000.0}}

    told = health(overview(queue=queue))

    assert (told.level, told.headline) == (Level.WELL, "Running; 3 records are on the way")


def test_a_standby_is_well() -> None:
    assert health(overview(process={"role": "standby"})).level is Level.WELL


def test_a_standby_says_what_it_is_and_what_waits_all_the_same() -> None:
    alone = health(overview(process={"role": "standby"}, queue={"live": {"keys": 2, "oldestAgeSeconds": 3.0}}))
    waits = health(overview(process={"role": "standby"}, parked=1))

    assert alone.headline == "This process stands by"
    assert waits.headline == "This process stands by; 1 thing waits for a person"
    assert "Another process is active" in alone.meaning
    assert waits.meaning == alone.meaning


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"enabled": False, "process": {"role": "disabled"}, "slot": None}, "switched off"),
        ({"process": {"role": "held", "hint": "Adopt it."}}, "another database"),
        ({"process": {"role": "starting", "problem": "the database failed"}}, "the database failed"),
        ({"process": {"role": "active", "streaming": False}}, "not being read"),
        ({"process": {"role": "active", "streaming": True, "degraded": True, "notion": "503"}}, "(503)"),
        ({"queue": {"live": {"keys": 1, "oldestAgeSeconds": 1000.0}}}, "has waited 16 minutes"),
        ({"slot": slot(walStatus="lost")}, "slot is lost"),
        ({"slot": slot(pressure="alarm")}, "may soon be lost"),
    ],
)
def test_what_stops_the_sync_as_a_whole_is_trouble(changes: dict[str, Any], said: str) -> None:
    told = health(overview(**changes))

    assert (told.level, told.headline) == (Level.TROUBLE, "The sync needs help")
    assert said in told.concerns[0].what
    assert told.concerns[0].do


@pytest.mark.parametrize(
    ("changes", "said", "page"),
    [
        ({"conflicts": 1}, "1 field was changed on both sides", "/conflicts"),
        ({"parked": 2}, "2 records are set aside", "/parked"),
        ({"heldDeletes": 6}, "6 pages are held", "/deletes"),
        ({"paused": [{"entity": "risk", "field": None, "reason": "gone"}]}, "risk is paused: gone.", None),
        ({"paused": [{"entity": "risk", "field": "title", "reason": "gone."}]}, "risk.title is paused: gone.", None),
        ({"comments": {"allowed": False}}, "may not comment", None),
        ({"leftOut": [{"entityType": "Risk", "field": "category", "reason": "A comma.", "rows": 2}]},
         "2 rows of Risk: category is left out in Notion. A comma.", None),
        ({"slot": slot(pressure="warning")}, "keeps more log", None),
    ],
)  # fmt: skip
def test_what_waits_for_a_person_is_named_with_where_to_go(
    changes: dict[str, Any], said: str, page: str | None
) -> None:
    told = health(overview(**changes))

    assert (told.level, told.headline) == (Level.WAITS, "Running; 1 thing waits for a person")
    assert said in told.concerns[0].what
    assert told.concerns[0].page == page


def test_the_worst_comes_first() -> None:
    told = health(overview(conflicts=1, slot=slot(walStatus="lost"), parked=1))

    assert [concern.level for concern in told.concerns] == [Level.TROUBLE, Level.WAITS, Level.WAITS]


def test_what_people_left_so_is_told_and_no_concern() -> None:
    state = overview(
        unlinked=[{"entityType": "Risk", "reason": "moved", "pages": 1}],
        strays=[{"entity": "risk", "kind": "new", "pages": 2}, {"entity": "risk", "kind": "odd", "pages": 1}],
        notices=[{"entity": "risk", "field": "title", "unsaid": 7}],
    )

    assert health(state).level is Level.WELL
    assert notes(state) == (
        "Risk: 1 record that nothing is sent of (its page was moved out of the database).",
        "risk: 2 pages that no row is linked to (a new page).",
        "risk: 1 page that no row is linked to (odd).",
        "risk.title: 7 edits put back without a comment (too many at once).",
    )
    assert notes(overview()) == ()
