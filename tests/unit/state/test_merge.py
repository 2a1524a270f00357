"""What has to be written, and what base becomes: by value, field by field, moved by observed answers only."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from state.changes import ABSENT, Absent
from state.merge import Base, Json, Pair, agreed, base_from_json, base_to_json, changed, observed

names = st.sampled_from(["name", "status", "amount", "day", "plan"])
values: st.SearchStrategy[Json] = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.text(max_size=2))
rows = st.dictionaries(names, values)
halves: st.SearchStrategy[Json | Absent] = st.just(ABSENT) | values
bases: st.SearchStrategy[Base] = st.dictionaries(names, st.builds(Pair, halves, halves))


@given(rows)
def test_what_was_never_agreed_on_is_all_written(ours: dict[str, Json]) -> None:
    assert changed(ours, {}) == ours


@given(rows, bases)
def test_after_an_answer_nothing_of_what_was_sent_is_left_to_write(ours: dict[str, Json], base: Base) -> None:
    after = observed(base, changed(ours, base), ours)

    assert changed(ours, after) == {}


@given(rows, bases, st.dictionaries(names, halves))
def test_a_value_that_notion_answers_otherwise_is_not_written_again(
    ours: dict[str, Json], base: Base, got: dict[str, Json | Absent]
) -> None:
    """Trimmed, lower-cased, without milliseconds, or not shown at all: it is as we sent it."""
    after = observed(base, changed(ours, base), got)

    assert changed(ours, after) == {}


@given(rows, rows, bases)
def test_base_moves_for_what_was_sent_and_for_nothing_else(
    sent: dict[str, Json], got: dict[str, Json], base: Base
) -> None:
    after = observed(base, sent, got)

    assert {field: after[field] for field in base if field not in sent} == {
        field: pair for field, pair in base.items() if field not in sent
    }
    assert after.keys() == base.keys() | sent.keys()
    assert all(after[field] == Pair(value, got.get(field, ABSENT)) for field, value in sent.items())


@given(rows, rows, bases)
def test_an_answer_that_is_observed_twice_counts_once(
    sent: dict[str, Json], got: dict[str, Json], base: Base
) -> None:
    once = observed(base, sent, got)

    assert observed(once, sent, got) == once


@given(rows, bases)
def test_only_ours_is_written(ours: dict[str, Json], base: Base) -> None:
    assert changed(ours, base).items() <= ours.items()


@given(bases, rows)
def test_a_field_that_is_sent_back_to_an_older_value_is_written_again(base: Base, ours: dict[str, Json]) -> None:
    """There is one base, not a history: A, B, A are two changes."""
    first = observed(base, ours, ours)
    second = observed(first, {"name": "b"}, {"name": "b"})

    assert changed({**ours, "name": "a"}, second)["name"] == "a"


@given(rows)
def test_a_page_that_was_only_found_is_written_where_it_differs(shown: dict[str, Json]) -> None:
    base = {field: Pair(ABSENT, value) for field, value in shown.items()}

    assert changed(shown, base) == {}
    assert changed({**shown, "name": "\0"}, base) == {"name": "\0"}


@given(bases, rows)
def test_agreeing_is_idempotent_and_writes_neither_more_nor_less(base: Base, ours: dict[str, Json]) -> None:
    once = agreed(base, ours)

    assert agreed(once, ours) == once
    assert changed(ours, once) == changed(ours, base)
    assert {field: pair.got for field, pair in once.items()} == {field: pair.got for field, pair in base.items()}


@given(bases, rows)
def test_agreeing_counts_as_sent_what_is_seen_equal_and_nothing_else(base: Base, ours: dict[str, Json]) -> None:
    for field, pair in agreed(base, ours).items():
        equal = base[field].sent is ABSENT and field in ours and ours[field] == base[field].got

        assert pair == (Pair(base[field].got, base[field].got) if equal else base[field])


@given(bases)
def test_base_survives_being_stored(base: Base) -> None:
    assert base_from_json(json.loads(json.dumps(base_to_json(base)))) == base


def test_empty_is_a_value_and_absence_is_not() -> None:
    base = base_from_json({"name": {"sent": None, "got": None}, "day": {"got": None}, "plan": {}})

    assert base == {"name": Pair(None, None), "day": Pair(ABSENT, None), "plan": Pair(ABSENT, ABSENT)}
    assert changed({"name": None, "day": None, "plan": None}, base) == {"plan": None}


def test_a_tick_is_no_text_and_an_empty_list_is_no_empty_value() -> None:
    base = {"a": Pair(True, True), "b": Pair([], []), "c": Pair(False, False)}
    ours: dict[str, Json] = {"a": "true", "b": None, "c": None}

    assert changed(ours, base) == ours
