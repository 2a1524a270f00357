"""The merge table of one field: every cell by name, and the laws that hold over all values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.changes import ABSENT
from state.merge import Json, Pair
from state.threeway import Field, Step, Theirs, Unknown, step

AGREED = Pair("old", "old")
NORMALISED = Pair(" old ", "old")
values: st.SearchStrategy[Json] = st.one_of(st.none(), st.booleans(), st.sampled_from(["a", "b", "c", ""]))


def trimmed(one: Json, other: Json) -> bool:
    return (one.strip() if isinstance(one, str) else one) == (other.strip() if isinstance(other, str) else other)


@pytest.mark.parametrize(
    ("ours", "base", "theirs", "shared", "app"),
    [
        ("old", AGREED, "old", Step.REST, Step.REST),
        ("new", AGREED, "old", Step.PUSH, Step.PUSH),
        ("old", AGREED, "new", Step.PULL, Step.PUT_BACK),
        ("new", AGREED, "new", Step.AGREE, Step.AGREE),
        ("one", AGREED, "two", Step.CLASH, Step.PUT_BACK),
        (" old ", NORMALISED, "old", Step.REST, Step.REST),
        ("new", NORMALISED, "old", Step.PUSH, Step.PUSH),
        (" old ", NORMALISED, "new", Step.PULL, Step.PUT_BACK),
        ("same", None, "same", Step.AGREE, Step.AGREE),
        ("one", None, "two", Step.CLASH, Step.PUSH),
        ("one", None, None, Step.PUSH, Step.PUSH),
        (True, None, False, Step.CLASH, Step.PUSH),
        ("one", Pair(ABSENT, None), None, Step.CLASH, Step.PUSH),
        ("seen", Pair(ABSENT, "seen"), "seen", Step.AGREE, Step.AGREE),
        ("new", Pair(ABSENT, "seen"), "seen", Step.CLASH, Step.PUSH),
        ("sent", Pair("sent", ABSENT), "sent", Step.AGREE, Step.AGREE),
        ("new", Pair("sent", ABSENT), "sent", Step.PUSH, Step.PUSH),
        ("old", AGREED, ABSENT, Step.BLIND, Step.BLIND),
        ("new", AGREED, Unknown.UNREAD, Step.BLIND, Step.BLIND),
        ("old", AGREED, Unknown.INVALID, Step.PUT_BACK, Step.PUT_BACK),
        (ABSENT, AGREED, "new", Step.BLIND, Step.BLIND),
        (None, AGREED, "old", Step.PUSH, Step.PUSH),
        ("old", AGREED, None, Step.PULL, Step.PUT_BACK),
        (False, Pair(False, False), True, Step.PULL, Step.PUT_BACK),
    ],
)
def test_every_cell_of_the_table(
    ours: Json, base: Pair | None, theirs: Theirs, shared: Step, app: Step
) -> None:
    assert step(Field(ours, base, theirs, ABSENT, shared=True)) is shared
    assert step(Field(ours, base, theirs, ABSENT, shared=False)) is app


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("sent", "sent", Step.AGREE),       # the answer was lost, the write was not
        ("newer", "sent", Step.PUSH),       # and ours has moved on since: still no edit of a person's
        ("sent", "old", Step.PUSH),         # the write was lost too
        ("sent", "edited", Step.CLASH),     # somebody edited meanwhile
        ("old", "sent", Step.PUSH),         # ours was put back before the answer came
    ],
)
def test_a_value_on_its_way_is_not_a_persons_edit(ours: Json, theirs: Json, expected: Step) -> None:
    assert step(Field(ours, AGREED, theirs, "sent", shared=True)) is expected


def test_a_value_on_its_way_that_notion_normalised_is_not_a_persons_edit() -> None:
    found = step(Field(" sent ", AGREED, "sent", " sent ", shared=True), alike=trimmed)

    assert found is Step.AGREE


@given(values, values)
def test_an_untouched_page_takes_ours(base: Json, ours: Json) -> None:
    found = step(Field(ours, Pair(base, base), base, ABSENT, shared=True))

    assert found is (Step.REST if ours == base else Step.PUSH)


@given(values, values)
def test_an_untouched_row_takes_theirs(base: Json, theirs: Json) -> None:
    found = step(Field(base, Pair(base, base), theirs, ABSENT, shared=True))

    assert found is (Step.REST if theirs == base else Step.PULL)


@given(values, values, values)
def test_what_both_sides_hold_is_never_written_and_never_a_clash(base: Json, ours: Json, pushing: Json) -> None:
    found = step(Field(ours, Pair(base, base), ours, pushing, shared=True))

    assert found in {Step.REST, Step.AGREE}


@given(values, values, values)
def test_a_clash_is_seen_whichever_side_is_called_ours(base: Json, one: Json, other: Json) -> None:
    pair = Pair(base, base)
    found = {step(Field(*sides, ABSENT, shared=True)) for sides in ((one, pair, other), (other, pair, one))}

    assert (Step.CLASH in found) == (one != other and base not in (one, other))


@given(values, values, values)
def test_nothing_is_ever_pulled_into_a_field_that_is_not_shared(base: Json, ours: Json, theirs: Json) -> None:
    assert step(Field(ours, Pair(base, base), theirs, ABSENT, shared=False)) not in {Step.PULL, Step.CLASH}
