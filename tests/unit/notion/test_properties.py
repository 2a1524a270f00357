"""Property payloads as Notion takes them, and values as Notion answers them.

`as_notion_answers` stands for Notion: written from its documentation, it shares nothing with the code under test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.canonical import Canonical
from sinks.mapping.model import Column, Field, Kind, Owner
from sinks.notion.properties import (
    UNREAD,
    Invalid,
    Observed,
    from_items,
    read_value,
    write_value,
)
from state.changes import ABSENT
from tests.strategies import SYDNEY, canonical, filled_texts, page_ids, zones

PAGE = "11111111-2222-3333-4444-555555555555"

FIELDS = {kind: Field(kind.value, "Some Name", kind, Column("some"), Owner.SHARED) for kind in Kind}

valued = st.sampled_from(Kind).flatmap(lambda kind: st.tuples(st.just(kind), canonical(kind)))


def as_notion_answers(written: Mapping[str, object], offset: timezone = UTC) -> dict[str, object]:
    """Return the property as Notion would show it after such a write. It has been read from the wire, so is JSON."""
    ((type_, value),) = json.loads(json.dumps(written)).items()
    answer: object = value
    if type_ in ("title", "rich_text"):
        assert len(value) <= 100
        answer = [as_run(item["text"]["content"]) for item in value]
    elif type_ == "select" and value is not None:
        assert "," not in value["name"]
        answer = {"id": "a1b2", "name": value["name"], "color": "default"}
    elif type_ == "date" and value is not None:
        start = value["start"]
        if "T" in start:
            start = datetime.fromisoformat(start).astimezone(offset).isoformat(timespec="milliseconds")
        answer = {"start": start, "end": None, "time_zone": None}
    elif type_ == "number" and isinstance(value, float) and value == int(value):
        answer = int(value)  # a JSON number without a fraction is an int to Python
    elif type_ == "relation":
        answer = [{"id": item["id"]} for item in value]
    found: dict[str, object] = {"id": "ab%3Ac", "type": type_, type_: answer}
    return found | {"has_more": False} if type_ == "relation" else found


def as_run(content: str, **more: object) -> dict[str, object]:
    assert 0 < len(content.encode("utf-16-le")) // 2 <= 2000
    return {
        "type": "text",
        "text": {"content": content, "link": None},
        "annotations": {"bold": False, "italic": False, "color": "default"},
        "plain_text": content,
        "href": None,
    } | more


def read(kind: Kind, prop: Mapping[str, object] | None, time_zone: ZoneInfo = SYDNEY) -> Observed:
    return read_value(FIELDS[kind], prop, time_zone)


def prop_of(type_: str, value: object) -> dict[str, object]:
    return {"id": "x", "type": type_, type_: value}


@given(valued, zones, st.integers(-14 * 60, 14 * 60))
def test_what_was_written_is_read_again(case: tuple[Kind, Canonical], zone: ZoneInfo, minutes: int) -> None:
    kind, value = case
    offset = timezone(timedelta(minutes=minutes))
    if isinstance(value, datetime) and not 3 <= value.year <= 9997:
        offset = UTC  # in another offset the instant may leave the calendar, which Notion's own has no end to
    written = write_value(FIELDS[kind], value)

    found = read_value(FIELDS[kind], as_notion_answers(written, offset), zone)

    expected = False if kind is Kind.CHECKBOX and value is None else value
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Kind.TITLE, {"title": []}),
        (Kind.TEXT, {"rich_text": []}),
        (Kind.EMAIL, {"email": None}),
        (Kind.MONEY, {"number": None}),
        (Kind.DAY, {"date": None}),
        (Kind.MOMENT, {"date": None}),
        (Kind.SELECT, {"select": None}),
        (Kind.CHECKBOX, {"checkbox": False}),
        (Kind.RELATION, {"relation": []}),
    ],
)
def test_empty_is_written_as_notion_clears_it_and_reads_as_empty(kind: Kind, payload: dict[str, object]) -> None:
    assert write_value(FIELDS[kind], None) == payload

    empty = {Kind.CHECKBOX: False, Kind.RELATION: ()}.get(kind)
    assert read(kind, as_notion_answers(payload)) == empty


@pytest.mark.parametrize(
    ("kind", "value", "payload"),
    [
        (Kind.TITLE, "a", {"title": [{"text": {"content": "a"}}]}),
        (Kind.MONEY, Decimal("9999999999.99"), {"number": 9999999999.99}),
        (Kind.DAY, date(2026, 5, 1), {"date": {"start": "2026-05-01"}}),
        (Kind.DAY, date(44, 5, 1), {"date": {"start": "0044-05-01"}}),
        (
            Kind.MOMENT,
            datetime(2026, 5, 1, 9, 0, 0, 120000, timezone(timedelta(hours=10))),
            {"date": {"start": "2026-04-30T23:00:00.120+00:00"}},
        ),
        (Kind.SELECT, "On Hold", {"select": {"name": "On Hold"}}),
        (Kind.CHECKBOX, True, {"checkbox": True}),
        (Kind.RELATION, (PAGE,), {"relation": [{"id": PAGE}]}),
    ],
)
def test_values_are_written_as_notion_wants_them(kind: Kind, value: Canonical, payload: dict[str, object]) -> None:
    assert write_value(FIELDS[kind], value) == payload


def test_a_known_option_is_written_and_read_by_its_id_whatever_people_call_it() -> None:
    field = FIELDS[Kind.SELECT]

    assert write_value(field, "ACTIVE", {"ACTIVE": "o1"}) == {"select": {"id": "o1"}}
    renamed = prop_of("select", {"id": "o1", "name": "Running", "color": "green"})
    assert read_value(field, renamed, SYDNEY, labels={"o1": "ACTIVE"}) == "ACTIVE"
    assert read_value(field, renamed, SYDNEY) == "Running"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.DAY, datetime(2026, 5, 1, tzinfo=UTC)),
        (Kind.MOMENT, date(2026, 5, 1)),
        (Kind.MONEY, True),
        (Kind.TEXT, Decimal(1)),
        (Kind.RELATION, PAGE),
    ],
)
def test_a_value_of_another_kind_is_an_error_that_does_not_tell_it(kind: Kind, value: Canonical) -> None:
    with pytest.raises(TypeError) as raised:
        write_value(FIELDS[kind], value)

    assert str(value) not in str(raised.value)


@given(st.lists(filled_texts, max_size=6))
def test_a_text_in_many_runs_is_one_text_and_formatting_is_no_change(pieces: list[str]) -> None:
    runs = [as_run(piece, annotations={"bold": number % 2 == 0}) for number, piece in enumerate(pieces)]

    assert read(Kind.TEXT, prop_of("rich_text", runs)) == ("".join(pieces) or None)


def test_mentions_and_equations_read_as_the_text_that_people_see() -> None:
    runs = [
        as_run("See "),
        {"type": "mention", "mention": {"type": "user"}, "plain_text": "@Ada"},
        {"type": "equation", "equation": {"expression": "x"}, "plain_text": "x"},
    ]

    assert read(Kind.TITLE, prop_of("title", runs)) == "See @Adax"


def test_a_text_with_as_many_mentions_as_a_page_shows_is_unread_until_all_items_are_there() -> None:
    items = [{"type": "rich_text", "rich_text": {"type": "mention", "plain_text": f"@{n} "}} for n in range(25)]
    field = FIELDS[Kind.TEXT]
    whole = from_items(field, items)

    assert read_value(field, whole, SYDNEY) is UNREAD
    assert read_value(field, whole, SYDNEY, complete=True) == "".join(f"@{n} " for n in range(25))


@given(st.lists(page_ids, max_size=40))
def test_a_relation_is_unread_while_there_is_more_and_whole_from_its_items(ids: list[str]) -> None:
    field = FIELDS[Kind.RELATION]
    shown = {"id": "x", "type": "relation", "relation": [{"id": one} for one in ids[:25]], "has_more": True}
    items = [{"object": "property_item", "type": "relation", "relation": {"id": one.upper()}} for one in ids]

    assert read_value(field, shown, SYDNEY) is UNREAD
    assert read_value(field, from_items(field, items), SYDNEY, complete=True) == tuple(sorted(set(ids)))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_property_that_is_missing_or_of_another_type_is_absent(kind: Kind) -> None:
    assert read(kind, None) is ABSENT
    assert read(kind, prop_of("url", "https://example.org")) is ABSENT
    assert read(kind, {}) is ABSENT


@pytest.mark.parametrize("kind", list(Kind))
def test_a_property_without_its_value_is_unread(kind: Kind) -> None:
    (type_,) = write_value(FIELDS[kind], None)

    assert read(kind, {"id": "x", "type": type_}) is UNREAD


@pytest.mark.parametrize(
    ("number", "amount", "places"),
    [
        (0, "0.00", "0.00"),
        (-0.0, "0.00", "0.00"),
        (100, "100.00", "100.00"),
        (0.1, "0.10", "0.10"),
        (1234567.89, "1234567.89", "1234567.89"),
        (0.30000000000000004, "0.30000000000000004", "0.30000000000000004"),
        (100.005, "100.005", "100.005"),
        (1e300, "1E+300", "1E+300"),
    ],
)
def test_a_number_is_what_was_typed_with_two_places_only_if_exact(number: float, amount: str, places: str) -> None:
    found = read(Kind.MONEY, prop_of("number", number))

    assert found == Decimal(amount)
    assert str(found) == places


DATES = [
    (Kind.DAY, "2026-05-01", date(2026, 5, 1)),
    (Kind.DAY, "2026-05-01T23:30:00.000+10:00", date(2026, 5, 1)),
    (Kind.DAY, "2026-05-01T08:00:00.000+10:00", date(2026, 5, 1)),
    (Kind.DAY, "2026-05-01T23:30:00.000Z", date(2026, 5, 1)),
    (Kind.MOMENT, "2026-05-01", datetime(2026, 4, 30, 14, tzinfo=UTC)),
    (Kind.MOMENT, "2026-01-01", datetime(2025, 12, 31, 13, tzinfo=UTC)),
    (Kind.MOMENT, "2026-05-01T09:00:00.000+10:00", datetime(2026, 4, 30, 23, tzinfo=UTC)),
    (Kind.MOMENT, "2026-05-01T09:00:00Z", datetime(2026, 5, 1, 9, tzinfo=UTC)),
    (Kind.MOMENT, "2026-05-01T09:00:00.000", datetime(2026, 5, 1, 9, tzinfo=UTC)),
    (Kind.MOMENT, "2026-05-01T09:00:00.123456Z", datetime(2026, 5, 1, 9, 0, 0, 123000, UTC)),
]


@pytest.mark.parametrize(("kind", "start", "value"), DATES)
@pytest.mark.parametrize("end", [None, "2026-09-01"])
def test_dates_are_read_by_their_start(kind: Kind, start: str, end: str | None, value: date) -> None:
    assert read(kind, prop_of("date", {"start": start, "end": end, "time_zone": None})) == value


def test_a_time_without_an_offset_is_utc_wherever_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        found = read(Kind.MOMENT, prop_of("date", {"start": "2026-05-01T09:00:00.000", "end": None}))
    time.tzset()

    assert found == datetime(2026, 5, 1, 9, tzinfo=UTC)


INVALID = [
    (Kind.MONEY, "number", "zyxw"),
    (Kind.MONEY, "number", True),
    (Kind.MONEY, "number", float("nan")),
    (Kind.MONEY, "number", float("-inf")),
    (Kind.EMAIL, "email", 7),
    (Kind.CHECKBOX, "checkbox", None),
    (Kind.CHECKBOX, "checkbox", "zyxw"),
    (Kind.SELECT, "select", "zyxw"),
    (Kind.SELECT, "select", {"id": "zyxw"}),
    (Kind.SELECT, "select", {"name": ""}),
    (Kind.DAY, "date", "zyxw"),
    (Kind.DAY, "date", {"start": None}),
    (Kind.DAY, "date", {"start": "zyxw"}),
    (Kind.DAY, "date", {"start": "2026-02-30"}),
    (Kind.DAY, "date", {"start": "2026-05-01Tzyxw"}),
    (Kind.MOMENT, "date", {"start": "12026-05-01"}),
    (Kind.MOMENT, "date", {"start": "0001-01-01"}),
    (Kind.MOMENT, "date", {"start": "0001-01-01T00:00:00.000+10:00"}),
    (Kind.MOMENT, "date", {"start": 7}),
    (Kind.TEXT, "rich_text", "zyxw"),
    (Kind.TEXT, "rich_text", [{"type": "text"}]),
    (Kind.TEXT, "rich_text", [None]),
    (Kind.RELATION, "relation", "zyxw"),
    (Kind.RELATION, "relation", [{"id": "zyxw"}]),
    (Kind.RELATION, "relation", [None]),
]


@pytest.mark.parametrize(("kind", "type_", "value"), INVALID)
def test_what_is_no_value_of_the_kind_is_invalid_and_not_told(kind: Kind, type_: str, value: object) -> None:
    found = read(kind, prop_of(type_, value))

    assert isinstance(found, Invalid)
    assert "zyxw" not in found.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "name", "start", "plain_text", "type", "x"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(Kind), json_values, zones)
def test_whatever_notion_answers_reading_is_no_error(kind: Kind, value: object, zone: ZoneInfo) -> None:
    (type_,) = write_value(FIELDS[kind], None)

    read_value(FIELDS[kind], prop_of(type_, value), zone)
