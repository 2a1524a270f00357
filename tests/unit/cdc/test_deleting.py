"""How many pages may go before a person is asked: the numbers of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.reconcile.deleting import WINDOW, gone_with, limit, may_go

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)

seconds = st.integers(-200, 200)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


@pytest.mark.parametrize(("linked", "most"), [
    (0, 5), (1, 5), (60, 5), (100, 5), (101, 6), (120, 6), (121, 7), (1000, 50), (1001, 51), (250_000, 12_500),
])  # fmt: skip
def test_five_may_go_or_five_percent_where_that_is_more(linked: int, most: int) -> None:
    assert limit(linked) == most
    assert may_go(linked, most - 1)
    assert not may_go(linked, most)


@pytest.mark.parametrize(("others", "most"), [
    ([], 0),
    ([0, 0, 0], 3),
    ([-60, -61, 60, 61], 1),
    ([-30, 30], 2),
    ([-40, 40], 1),
    ([-60, -30, -1, 0], 4),
    ([-59, -58, 2], 2),
    ([-59, -58, 1], 3),
    ([1, 2, 3], 3),
])  # fmt: skip
def test_what_fell_into_one_minute_with_it_counts(others: list[int], most: int) -> None:
    assert gone_with(NOON, [at(second) for second in others]) == most


@given(st.lists(seconds, max_size=30))
def test_no_minute_around_it_holds_more_than_is_counted(others: list[int]) -> None:
    counted = gone_with(NOON, [at(second) for second in others])

    fullest = max(sum(begin <= second <= begin + 60 for second in others) for begin in range(-60, 1))
    assert counted == fullest


@given(st.lists(st.integers(0, 300), max_size=60), st.randoms(use_true_random=False))
def test_in_whatever_order_they_are_met_no_minute_sees_more_than_the_limit(
    deletes: list[int], order: st.DataObject
) -> None:
    order.shuffle(deletes)  # type: ignore[attr-defined]
    gone: list[datetime] = []
    for second in deletes:
        if may_go(60, gone_with(at(second), gone)):
            gone.append(at(second))

    assert all(sum(begin <= other <= begin + WINDOW for other in gone) <= 5 for begin in gone)
    assert len(gone) >= min(len(deletes), 5)
