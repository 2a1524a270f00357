"""What people type: taken as the column's value, or refused with a sentence that does not repeat it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sinks.mapping.canonical import Canonical
from sinks.mapping.entities import ENTITIES, by_name, field_of
from sinks.mapping.model import Column, Entity, Field, Kind, LeftOut, Owner, Reference
from sinks.mapping.parsing import ColumnValue, Refused, check_row, parse
from sinks.mapping.rendering import render, render_field
from tests.strategies import SYDNEY, canonical, filled_texts, naive_utc, rows, stored, zones

PLAN = by_name("ndisplan")
CARE_PLAN = by_name("careplan")
INCIDENT = by_name("incident")
PARTICIPANT = by_name("participant")
PAYMENT = by_name("payment")
RISK = by_name("risk")

# with commas, blanks and characters of two units, and now and then longer than an option or an address may be
odd_texts = st.tuples(filled_texts, st.sampled_from([1, 20, 120])).map(lambda case: case[0] * case[1])

WRITABLE = [
    (entity, field)
    for entity in ENTITIES
    for field in entity.fields
    if field.owner is Owner.SHARED or field.openable
]

edits = st.sampled_from(WRITABLE).flatmap(
    lambda case: st.tuples(st.just(case[0]), st.just(case[1]), rows(case[0]), typed(case[1]))
)
LIMITED = [case for case in WRITABLE if case[1].kind is Kind.EMAIL or case[1].free_options]
odd_edits = st.sampled_from(LIMITED).flatmap(
    lambda case: st.tuples(st.just(case[0]), st.just(case[1]), rows(case[0]), odd_texts)
)
rivals = st.sampled_from(WRITABLE).flatmap(
    lambda case: st.tuples(st.just(case[0]), st.just(case[1]), rows(case[0]), stored(case[1]))
)


def typed(field: Field) -> st.SearchStrategy[Canonical]:
    """What a person may make of the property: for most selects one of the options, else anything of its kind."""
    if field.kind is Kind.SELECT and not field.free_options:
        return st.sampled_from(field.options)
    return canonical(field.kind)


def parsed(entity: Entity, key: str, value: Canonical, **row: object) -> ColumnValue | Refused:
    return parse(entity, field_of(entity, key), value, row, SYDNEY)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@given(st.sampled_from(ENTITIES).flatmap(lambda entity: st.tuples(st.just(entity), rows(entity))), zones)
def test_what_a_row_shows_is_what_the_row_holds(case: tuple[Entity, dict[str, object]], zone: ZoneInfo) -> None:
    entity, row = case
    rendered = render(entity, row, zone)

    for owner, field in WRITABLE:
        value = rendered.get(field.key)
        if owner is not entity or isinstance(value, (LeftOut, Reference)):
            continue
        assert isinstance(field.source, Column)
        assert parse(entity, field, value, row, zone) == row[field.source.name]


@given(edits, zones)
def test_what_is_taken_shows_as_it_was_typed(
    case: tuple[Entity, Field, dict[str, object], Canonical], zone: ZoneInfo
) -> None:
    entity, field, row, value = case
    assert isinstance(field.source, Column)

    taken = parse(entity, field, value, row, zone)

    if isinstance(taken, Refused):
        unset = field.one_way and value is False
        skipped_day = field.kind is Kind.DAY and value is not None
        assert unset or skipped_day or (value is None and not field.nullable)
        return
    shows = render_field(field, {**row, field.source.name: taken}, zone)
    if value is None and field.source.fallback is not None:
        assert taken is None
        assert shows == row[field.source.fallback]
    else:
        assert shows == value


@given(odd_edits, zones)
def test_what_is_taken_shows_again_however_odd_it_is(
    case: tuple[Entity, Field, dict[str, object], str], zone: ZoneInfo
) -> None:
    entity, field, row, value = case
    assert isinstance(field.source, Column)

    taken = parse(entity, field, value, row, zone)

    if not isinstance(taken, Refused):
        assert render_field(field, {**row, field.source.name: taken}, zone) == value


@pytest.mark.parametrize(
    ("entity", "key", "value", "reason"),
    [
        (CARE_PLAN, "status", "On Hold, for now", "A Notion option can't have a comma."),
        (CARE_PLAN, "status", " ", "A Notion option can't be blank."),
        (CARE_PLAN, "status", "a" * 101, "The text is longer than the 100 characters of a Notion option."),
        (
            PARTICIPANT, "email", f"{'a' * 189}@example.org",
            "The e-mail address is longer than the 200 characters that Notion holds.",
        ),
    ],
)
def test_what_the_page_could_not_show_again_is_refused(entity: Entity, key: str, value: str, reason: str) -> None:
    assert parsed(entity, key, value, **{key: "Active"}) == Refused(reason)


@given(rivals, zones)
def test_what_one_row_shows_becomes_the_column_of_another(
    case: tuple[Entity, Field, dict[str, object], object], zone: ZoneInfo
) -> None:
    entity, field, row, other = case
    assert isinstance(field.source, Column)
    assume(field.kind is not Kind.DAY and not field.one_way and other not in (None, ""))
    value = render_field(field, {**row, field.source.name: other}, zone)
    assert not isinstance(value, (LeftOut, Reference))
    # a name equal to the e-mail that shows in its place changes nothing
    assume(field.source.fallback is None or value != render_field(field, row, zone))

    assert parse(entity, field, value, row, zone) == other


@given(edits)
def test_reasons_never_tell_the_value(case: tuple[Entity, Field, dict[str, object], Canonical]) -> None:
    entity, field, row, value = case
    bad = f"zyxw{value}\0"

    refused = parse(entity, field, bad, row, SYDNEY)

    assert isinstance(refused, Refused)
    assert "zyxw" not in refused.reason
    assert "\0" not in refused.reason


@pytest.mark.parametrize(
    "amount",
    ["0.001", "100.005", "10000000000", "-10000000000.00", "1E+300", "NaN", "Infinity", "-Infinity", "1e-320"],
)
def test_money_that_the_column_cannot_hold_is_refused_not_rounded(amount: str) -> None:
    refused = parsed(PLAN, "totalBudget", Decimal(amount), totalBudget=Decimal("1.00"))

    assert isinstance(refused, Refused)
    assert amount not in refused.reason


@pytest.mark.parametrize(
    ("amount", "stored_as"),
    [("0", "0.00"), ("-0.0", "0.00"), ("100.5", "100.50"), ("9999999999.99", "9999999999.99"), ("1E+3", "1000.00")],
)
def test_money_is_stored_with_two_places(amount: str, stored_as: str) -> None:
    assert str(parsed(PLAN, "totalBudget", Decimal(amount), totalBudget=Decimal("7.00"))) == stored_as


def test_clearing_is_null_where_the_column_may_be_null_and_refused_elsewhere() -> None:
    assert parsed(PARTICIPANT, "name", None, name="Ada", email="a@example.org") is None
    assert parsed(PARTICIPANT, "name", "", name="Ada", email="a@example.org") is None
    assert isinstance(parsed(RISK, "category", None, category="Falls"), Refused)
    assert isinstance(parsed(PLAN, "startDate", None, startDate=naive_utc("2026-01-01")), Refused)


def test_an_empty_text_that_stays_empty_stays_as_it_is() -> None:
    assert parsed(RISK, "category", None, category="") == ""


def test_a_typed_title_is_the_name_even_if_it_is_the_email() -> None:
    assert parsed(PARTICIPANT, "name", "a@example.org", name="Ada", email="a@example.org") == "a@example.org"
    assert parsed(PARTICIPANT, "name", "Ada L.", name=None, email="a@example.org") == "Ada L."


def test_the_email_shown_for_a_missing_name_does_not_become_the_name() -> None:
    assert parsed(PARTICIPANT, "name", "a@example.org", name=None, email="a@example.org") is None


@pytest.mark.parametrize("text", ["a\0b", "a\ud83d", "\udd98b"], ids=["nul", "half a pair", "the other half"])
def test_characters_that_postgres_refuses_are_refused(text: str) -> None:
    assert isinstance(parsed(RISK, "category", text, category="Falls"), Refused)
    assert isinstance(parsed(CARE_PLAN, "status", text, status="Active"), Refused)


def test_the_mark_of_a_cut_text_never_comes_back() -> None:
    cut = "It began when… [5120 more characters in MapAble]"

    assert isinstance(parsed(INCIDENT, "description", cut, description="short by now"), Refused)
    assert isinstance(parsed(INCIDENT, "description", cut + " and more", description="short by now"), Refused)


def test_a_text_that_always_spoke_of_the_mark_may_be_edited() -> None:
    mark = "Notion said … [5 more characters in MapAble]"

    assert parsed(INCIDENT, "description", mark + "!", description=mark) == mark + "!"


def test_a_cut_text_that_nobody_touched_leaves_the_whole_text_alone() -> None:
    whole = "a" * 300_000
    field = field_of(INCIDENT, "description")
    shown = render_field(field, {"description": whole}, SYDNEY)
    assert isinstance(shown, str)

    assert parsed(INCIDENT, "description", shown, description=whole) == whole


def test_an_option_that_the_enum_does_not_have_is_refused() -> None:
    refused = parsed(PLAN, "status", "PAUSED", status="DRAFT")

    assert refused == Refused("Status can only be one of: DRAFT, ACTIVE, SUSPENDED, EXPIRED, CANCELLED.")
    assert isinstance(parsed(PLAN, "status", "active", status="DRAFT"), Refused)
    assert parsed(PLAN, "status", "ACTIVE", status="DRAFT") == "ACTIVE"


def test_a_status_in_free_text_takes_a_new_option() -> None:
    assert parsed(CARE_PLAN, "status", "Paused", status="Active") == "Paused"


def test_what_was_reported_to_the_regulator_stays_reported() -> None:
    assert parsed(INCIDENT, "ndisReported", True, ndisReported=False) is True
    assert isinstance(parsed(INCIDENT, "ndisReported", False, ndisReported=True), Refused)
    assert parsed(INCIDENT, "ndisReported", False, ndisReported=False) is False


def test_a_typed_day_moves_the_stored_instant() -> None:
    row = {"startDate": naive_utc("2026-04-03T13:00:00")}

    assert parsed(PLAN, "startDate", date(2026, 4, 6), **row) == naive_utc("2026-04-05T14:00:00")
    assert parsed(PLAN, "startDate", date(2026, 4, 6), startDate=None) == naive_utc("2026-04-06")
    assert parsed(PLAN, "startDate", date(2026, 4, 6), startDate="infinity") == naive_utc("2026-04-06")


def test_a_day_that_the_zone_skipped_is_refused() -> None:
    field = field_of(PLAN, "startDate")

    assert isinstance(parse(PLAN, field, date(2011, 12, 30), {"startDate": None}, ZoneInfo("Pacific/Apia")), Refused)


def test_a_typed_moment_is_stored_in_utc_with_milliseconds() -> None:
    row = {"occurredAt": naive_utc("2026-04-03T13:00:00")}

    taken = parsed(INCIDENT, "occurredAt", at("2026-04-06T10:30:00.123456+10:00"), **row)

    assert taken == naive_utc("2026-04-06T00:30:00.123000")


@pytest.mark.parametrize(
    ("entity", "key", "row"),
    [
        (PARTICIPANT, "id", {"id": "c1"}),
        (PARTICIPANT, "systemId", {"id": "c1"}),
        (PARTICIPANT, "status", {"role": "USER"}),
        (PARTICIPANT, "ndisPlan", {}),
        (PLAN, "planManager", {"lookup:planManager": None}),
        (RISK, "participant", {"participantId": None}),
        (INCIDENT, "incident", {"incidentType": "OTHER", "occurredAt": None}),
        (PAYMENT, "id", {"id": "p1"}),
    ],
)
def test_what_mapable_makes_cannot_be_typed(entity: Entity, key: str, row: dict[str, object]) -> None:
    assert isinstance(parsed(entity, key, "c2", **row), Refused)


@pytest.mark.parametrize(
    ("entity", "key", "value"),
    [
        (PLAN, "totalBudget", "1"),
        (PLAN, "startDate", datetime(2026, 1, 1, tzinfo=UTC)),
        (INCIDENT, "occurredAt", date(2026, 1, 1)),
        (INCIDENT, "occurredAt", naive_utc("2026-01-01")),
        (INCIDENT, "ndisReported", "yes"),
        (RISK, "title", True),
        (RISK, "status", Decimal(1)),
    ],
)
def test_a_value_of_another_kind_is_refused(entity: Entity, key: str, value: Canonical) -> None:
    assert isinstance(parsed(entity, key, value, **{key: None}), Refused)


PLAN_ROW = {
    "startDate": naive_utc("2026-07-01"), "endDate": naive_utc("2027-06-30"),
    "totalBudget": Decimal("100.00"), "remainingBudget": Decimal("40.00"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("after", "fields", "reason"),
    [
        ({"endDate": naive_utc("2026-06-30")}, ("startDate", "endDate"), "End Date can't be before Start Date."),
        (
            {"remainingBudget": Decimal("100.01")},
            ("remainingBudget", "totalBudget"),
            "Remaining Budget can't be more than Total Budget.",
        ),
        (
            {"remainingBudget": Decimal("-0.01")},
            ("remainingBudget", "totalBudget"),
            "Remaining Budget can't be less than zero.",
        ),
        (
            {"totalBudget": Decimal("39.99")},
            ("remainingBudget", "totalBudget"),
            "Remaining Budget can't be more than Total Budget.",
        ),
    ],
)
def test_a_row_that_breaks_a_rule_says_which_fields_and_why(
    after: dict[str, object], fields: tuple[str, str], reason: str
) -> None:
    violations = check_row(PLAN, {**PLAN_ROW, **after})

    assert [(violation.fields, violation.reason) for violation in violations] == [(fields, reason)]


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"endDate": PLAN_ROW["startDate"]},
        {"remainingBudget": Decimal("100.00")},
        {"remainingBudget": Decimal("0.00")},
        {"endDate": "infinity"},
        {"startDate": "-infinity"},
        {"endDate": None},
        {"totalBudget": Decimal("NaN")},
        {"totalBudget": None},
    ],
)
def test_a_row_at_the_edge_or_with_something_missing_breaks_no_rule(after: dict[str, object]) -> None:
    assert check_row(PLAN, {**PLAN_ROW, **after}) == ()


def test_two_broken_rules_are_two_violations() -> None:
    row = {**PLAN_ROW, "endDate": naive_utc("2026-06-30"), "remainingBudget": Decimal("-1.00")}

    assert len(check_row(PLAN, row)) == 2


def test_entities_without_rules_break_none() -> None:
    assert check_row(RISK, {}) == ()
