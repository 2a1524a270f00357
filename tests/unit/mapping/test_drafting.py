"""From a person's page to a new row: everything that is there, and every reason at once why it is not enough."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from sinks.mapping.canonical import JsonScalar
from sinks.mapping.drafting import draft
from sinks.mapping.entities import CREATABLE, by_name

ZONE = ZoneInfo("Australia/Sydney")
COMPLAINT = by_name("complaint")
FULL: dict[str, JsonScalar] = {
    "complaintNumber": "C-1", "source": "FAMILY", "description": "Late", "status": "RECEIVED",
    "receivedAt": "2026-03-05T22:10:00.000Z", "systemId": None, "participant": ["page"],
}


def test_every_shared_property_becomes_its_column() -> None:
    made = draft(COMPLAINT, FULL, (), (), ZONE)

    assert made.reasons == made.replaced == ()
    assert made.columns == {
        "complaintNumber": "C-1", "source": "FAMILY", "description": "Late", "status": "RECEIVED",
        "receivedAt": datetime(2026, 3, 5, 22, 10),  # noqa: DTZ001
    }


def test_what_the_database_fills_by_itself_may_be_left_open() -> None:
    made = draft(COMPLAINT, FULL | {"status": None, "receivedAt": None}, (), {"status", "receivedAt"}, ZONE)

    assert made.columns.keys() == {"complaintNumber", "source", "description"}


def test_every_reason_is_told_at_once_and_none_tells_a_value() -> None:
    typed = FULL | {"complaintNumber": None, "source": "NEIGHBOUR", "description": None}

    made = draft(COMPLAINT, typed, {"receivedAt"}, (), ZONE)

    assert made.columns == {}
    assert made.reasons == (
        "Complaint Number is missing.",
        "Source can only be one of: PARTICIPANT, FAMILY, WORKER, ANONYMOUS, OTHER.",
        "Description is missing.",
        "Received At can't be read.",
    )


def test_a_property_that_is_gone_counts_as_left_open() -> None:
    assert draft(COMPLAINT, {"complaintNumber": "C-1"}, (), {"status"}, ZONE).reasons == (
        "Source is missing.", "Description is missing.", "Received At is missing.",
    )


def test_a_box_that_is_not_ticked_is_a_value() -> None:
    made = draft(by_name("incident"), {"ndisReported": False}, (), (), ZONE)

    assert "NDIS Reported is missing." not in made.reasons


def test_what_a_person_typed_where_mapable_shows_its_own_is_named() -> None:
    made = draft(by_name("incident"), {"incident": "Fall", "systemId": "x", "participant": ["page"]}, (), (), ZONE)

    assert made.replaced == ("incident", "systemId")


@pytest.mark.parametrize("name", sorted(CREATABLE))
def test_the_entities_whose_pages_may_become_rows_have_no_shared_column_that_is_hidden(name: str) -> None:
    made = draft(by_name(name), {}, (), (), ZONE)

    assert made.columns == {}
    assert made.reasons
