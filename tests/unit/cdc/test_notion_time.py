"""Notion's time as far as it is known: never later than it is, whatever any clock here says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cdc.watch.looking import NotionTime

TEN = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)


def test_nothing_is_known_before_a_page_was_seen() -> None:
    assert NotionTime().at(5.0) is None


def test_time_goes_on_from_the_newest_edit_that_was_seen() -> None:
    known = NotionTime()

    known.saw(TEN, 100.0)

    assert known.at(160.0) == TEN + timedelta(minutes=1)
    assert known.at(40.0) == TEN - timedelta(minutes=1)


def test_an_older_edit_that_is_seen_later_takes_nothing_back() -> None:
    known = NotionTime()
    known.saw(TEN, 100.0)

    known.saw(TEN - timedelta(days=3), 130.0)

    assert known.at(160.0) == TEN + timedelta(minutes=1)


@given(
    ahead_s=st.floats(-1e8, 1e8),
    looks=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1).map(sorted),
    asked_s=st.floats(0, 1e6),
)
def test_it_is_never_ahead_of_notion(ahead_s: float, looks: list[tuple[float, float]], asked_s: float) -> None:
    def notion(moment_s: float) -> datetime:
        return TEN + timedelta(seconds=ahead_s + moment_s)

    known = NotionTime()
    for now_s, edited_s_ago in looks:
        known.saw((notion(now_s - edited_s_ago)).replace(second=0, microsecond=0), now_s)

    reached = known.at(asked_s)
    assert reached is not None
    assert reached <= notion(asked_s) + timedelta(microseconds=len(looks))
