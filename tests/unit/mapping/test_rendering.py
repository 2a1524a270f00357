"""From rows to canonical values: what shows, what is empty, what is left out and what belongs to MapAble alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.entities import ENTITIES, by_name, columns_of, field_of
from sinks.mapping.model import Entity, Field, Kind, LeftOut, Mirror, Owner, Reference
from sinks.mapping.rendering import is_cut, owner_of, render, render_field
from tests.strategies import SYDNEY, ZONES, naive_utc, rows, strange_timestamps, zones

entity_rows = st.sampled_from(ENTITIES).flatmap(lambda entity: st.tuples(st.just(entity), rows(entity)))

PLAN = by_name("ndisplan")
CARE_PLAN = by_name("careplan")
COMPLAINT = by_name("complaint")
INCIDENT = by_name("incident")
PARTICIPANT = by_name("participant")
PAYMENT = by_name("payment")


def shown(entity: Entity, key: str, time_zone: ZoneInfo = SYDNEY, **row: object) -> object:
    return render_field(field_of(entity, key), row, time_zone)


def shown_lookup(person: object) -> object:
    return render_field(field_of(CARE_PLAN, "worker"), {"lookup:worker": person}, SYDNEY)


@given(entity_rows, zones)
def test_every_field_but_the_far_side_of_a_relation_is_rendered(
    case: tuple[Entity, dict[str, object]], zone: ZoneInfo
) -> None:
    entity, row = case

    rendered = render(entity, row, zone)

    assert list(rendered) == [field.key for field in entity.fields if not isinstance(field.source, Mirror)]
    assert "" not in rendered.values()


@given(entity_rows)
def test_only_columns_that_are_read_are_needed(case: tuple[Entity, dict[str, object]]) -> None:
    entity, row = case
    kept = {column: value for column, value in row.items() if column in columns_of(entity) or ":" in column}

    assert render(entity, kept, SYDNEY) == render(entity, row, SYDNEY)


def test_a_lookup_that_the_reader_forgot_is_an_error_and_never_an_empty_property() -> None:
    with pytest.raises(KeyError):
        render_field(field_of(CARE_PLAN, "worker"), {"workerId": None}, SYDNEY)


@pytest.mark.parametrize(
    ("name", "title"), [("Ada", "Ada"), (None, "ada@example.org"), ("", "ada@example.org"), (" ", " ")]
)
def test_a_participant_without_a_name_shows_the_email(name: str | None, title: str) -> None:
    assert shown(PARTICIPANT, "name", name=name, email="ada@example.org") == title


@pytest.mark.parametrize(
    ("person", "text"),
    [
        (("Ada", "a@example.org"), "Ada"),
        ((None, "a@example.org"), "a@example.org"),
        (("", "a@example.org"), "a@example.org"),
        (("", ""), None),
        ((None, None), None),
        (None, None),
    ],
)
def test_a_looked_up_person_shows_by_name_else_by_email(person: object, text: str | None) -> None:
    assert shown_lookup(person) == text


def test_null_and_empty_text_are_the_same_empty() -> None:
    assert shown(COMPLAINT, "description", description="") is None
    assert shown(COMPLAINT, "description", description=None) is None


def test_money_has_two_places() -> None:
    amount = shown(PLAN, "totalBudget", totalBudget=Decimal("1200"))

    assert (amount, str(amount)) == (Decimal(1200), "1200.00")


def test_a_day_is_that_of_the_time_zone() -> None:
    # 10:00 in Sydney in winter is midnight in UTC
    last_hour = naive_utc("2026-06-30T13:59:59.999000")

    assert shown(PLAN, "startDate", startDate=last_hour) == date(2026, 6, 30)
    assert shown(PLAN, "startDate", startDate=last_hour + timedelta(milliseconds=1)) == date(2026, 7, 1)
    assert shown(PLAN, "startDate", ZoneInfo("UTC"), startDate=last_hour) == date(2026, 6, 30)


def test_a_moment_is_an_instant_with_milliseconds() -> None:
    stored = naive_utc("2026-06-30T14:00:00.123999")
    expected = datetime(2026, 6, 30, 14, 0, 0, 123000, UTC)

    assert shown(INCIDENT, "occurredAt", occurredAt=stored) == expected
    elsewhere = expected.astimezone(timezone(timedelta(hours=10)))
    assert shown(INCIDENT, "occurredAt", occurredAt=elsewhere) == expected
    assert shown(INCIDENT, "occurredAt", occurredAt="2026-06-30 14:00:00.123") == expected


def test_a_relation_is_a_reference_and_an_anonymous_complaint_names_nobody() -> None:
    assert shown(COMPLAINT, "participant", participantId="c1", source="FAMILY") == Reference("participant", "c1")
    assert shown(COMPLAINT, "participant", participantId="c1", source="ANONYMOUS") is None
    assert shown(COMPLAINT, "participant", participantId=None, source="FAMILY") is None


def test_a_label_that_the_mapping_does_not_know_yet_is_shown_as_it_is() -> None:
    assert shown(PLAN, "status", status="ARCHIVED") == "ARCHIVED"


LEFT_OUT = [
    (PARTICIPANT, "email", {"email": "zyx" + "w" * 198}),
    (PARTICIPANT, "email", {"email": "🦘" * 101}),
    (CARE_PLAN, "status", {"status": "zyx, paused"}),
    (CARE_PLAN, "status", {"status": "zyxw" * 26}),
    (CARE_PLAN, "status", {"status": "   "}),
    (PLAN, "totalBudget", {"totalBudget": Decimal("NaN")}),
    (PLAN, "totalBudget", {"totalBudget": Decimal("Infinity")}),
    (PLAN, "totalBudget", {"totalBudget": Decimal("12345.678")}),
    (PLAN, "totalBudget", {"totalBudget": Decimal(10) ** 30 + 7}),
    (PLAN, "totalBudget", {"totalBudget": True}),
    (PLAN, "totalBudget", {"totalBudget": "zyxw"}),
    (PLAN, "startDate", {"startDate": "infinity"}),
    (PLAN, "startDate", {"startDate": 20260101}),
    (INCIDENT, "occurredAt", {"occurredAt": "-infinity"}),
    (INCIDENT, "occurredAt", {"occurredAt": "0044-03-15 00:00:00 BC"}),
    (INCIDENT, "occurredAt", {"occurredAt": "10000-01-01 00:00:00"}),
    (INCIDENT, "ndisReported", {"ndisReported": "zyxw"}),
    (INCIDENT, "description", {"description": b"zyxw"}),
]


@pytest.mark.parametrize(("entity", "key", "row"), LEFT_OUT)
def test_what_notion_cannot_hold_is_left_out_with_a_reason_that_does_not_tell_it(
    entity: Entity, key: str, row: dict[str, object]
) -> None:
    field = field_of(entity, key)

    left_out = render_field(field, row, SYDNEY)

    assert isinstance(left_out, LeftOut)
    assert str(row[key]) not in left_out.reason
    assert "zyx" not in left_out.reason
    assert owner_of(field, row, SYDNEY, opened=True) is Owner.APP


@given(
    st.sampled_from([field for entity in ENTITIES for field in entity.fields if field.kind in (Kind.DAY, Kind.MOMENT)]),
    strange_timestamps,
    zones,
)
def test_timestamps_beyond_the_calendar_are_left_out(field: Field, stored: str, zone: ZoneInfo) -> None:
    assert isinstance(render_field(field, {field.key: stored}, zone), LeftOut)


@pytest.mark.parametrize("ends", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999"])
@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
def test_the_ends_of_the_calendar_are_a_day_or_left_out_but_never_an_error(ends: str, zone: ZoneInfo) -> None:
    stored = naive_utc(ends)

    day = shown(PLAN, "startDate", zone, startDate=stored)

    assert isinstance(day, LeftOut) or day == stored.date()


def test_a_cut_text_belongs_to_mapable_for_that_row() -> None:
    field = field_of(INCIDENT, "description")
    long, short = {"description": "a" * 300_000}, {"description": "a" * 1_000}

    assert is_cut(field, long, SYDNEY)
    assert owner_of(field, long, SYDNEY) is Owner.APP
    assert not is_cut(field, short, SYDNEY)
    assert owner_of(field, short, SYDNEY) is Owner.SHARED


def test_an_operator_opens_only_what_may_be_opened() -> None:
    amount, created = field_of(PAYMENT, "amount"), field_of(PAYMENT, "createdAt")
    row = {"amount": Decimal(1), "createdAt": naive_utc("2026-01-01")}

    assert owner_of(amount, row, SYDNEY) is Owner.APP
    assert owner_of(amount, row, SYDNEY, opened=True) is Owner.SHARED
    assert owner_of(created, row, SYDNEY, opened=True) is Owner.APP
