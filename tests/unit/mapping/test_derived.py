"""Texts made from a row: incident titles, goals and a participant's status."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from sinks.mapping.derived import goals_text, incident_title, participant_status
from tests.strategies import SYDNEY, goals, junk_json, naive_utc, zones


def test_an_incident_is_titled_by_type_and_the_day_it_had_in_the_time_zone() -> None:
    row = {"incidentType": "NEAR_MISS", "occurredAt": naive_utc("2026-05-03T20:30:00")}

    assert incident_title(row, SYDNEY) == "NEAR_MISS · 2026-05-04"
    assert incident_title(row, ZoneInfo("UTC")) == "NEAR_MISS · 2026-05-03"


def test_an_incident_without_a_day_is_titled_by_its_type() -> None:
    assert incident_title({"incidentType": "OTHER", "occurredAt": "infinity"}, SYDNEY) == "OTHER"


@pytest.mark.parametrize(("role", "status"), [("PARTICIPANT", "Active"), ("USER", "Inactive"), (None, "Inactive")])
def test_a_participant_is_active_while_the_role_lasts(role: str | None, status: str) -> None:
    assert participant_status({"role": role}, SYDNEY) == status


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (
            {"description": "Cook dinner", "targetDate": "2026-09-01", "status": "IN_PROGRESS"},
            "Cook dinner (target 2026-09-01, IN_PROGRESS)",
        ),
        ({"description": "Cook dinner", "targetDate": "2026-09-01"}, "Cook dinner (target 2026-09-01)"),
        ({"description": "Cook dinner", "status": "DONE"}, "Cook dinner (DONE)"),
        ({"description": "Cook dinner"}, "Cook dinner"),
        ({"targetDate": "2026-09-01", "status": None}, "(target 2026-09-01)"),
        ({"description": "Two\nlines", "targetDate": ""}, "Two lines"),
        ({"description": "a", "targetDate": "2026-09-01T20:00:00.000Z"}, "a (target 2026-09-02)"),
        ({"description": "a", "targetDate": "2026-09-01T20:00:00"}, "a (target 2026-09-01)"),
        ({"description": "a", "targetDate": "spring"}, "a (target spring)"),
        ({"description": "a", "targetDate": "2026-99-99"}, "a (target 2026-99-99)"),
        ({"description": {"nested": 1}, "status": ["x"], "targetDate": True}, ""),
        ("Cook dinner", "Cook dinner"),
        (7, "7"),
        (None, ""),
        (True, ""),
        ([["Cook"]], ""),
    ],
)
def test_a_goal_is_one_line_with_what_is_there(goal: object, line: str) -> None:
    assert goals_text({"goals": [goal]}, SYDNEY) == line


def test_goals_stand_one_below_the_other_and_empty_ones_take_no_line() -> None:
    row = {"goals": [{"description": "a"}, {}, None, {"description": "b"}]}

    assert goals_text(row, SYDNEY) == "a\nb"


def test_one_goal_without_a_list_is_shown_too() -> None:
    assert goals_text({"goals": {"description": "a"}}, SYDNEY) == "a"


@given(goals | junk_json, zones)
def test_whatever_the_json_is_some_text_comes_out(value: object, zone: ZoneInfo) -> None:
    assert isinstance(goals_text({"goals": value}, zone), str)
