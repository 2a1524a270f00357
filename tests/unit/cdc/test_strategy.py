"""Who wins a field that both sides changed, by the three strategies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.reconcile.strategy import Moment, Times, Winner, verdict

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
moments = st.integers(0, 365 * 24 * 3600).map(lambda seconds: NOON + seconds * SECOND)


@pytest.mark.parametrize("strategy", ["last-write-wins", "timestamp-based"])
@pytest.mark.parametrize(
    ("mapable", "notion", "winner"),
    [
        (NOON, Moment(NOON + SECOND), Winner.NOTION),
        (NOON + SECOND, Moment(NOON), Winner.MAPABLE),
        (NOON, Moment(NOON), Winner.MAPABLE),
        (NOON - SECOND, Moment(NOON, floored=True), Winner.NOTION),
        (NOON, Moment(NOON, floored=True), Winner.MAPABLE),
        (NOON + 59 * SECOND, Moment(NOON, floored=True), Winner.MAPABLE),
        (NOON + MINUTE, Moment(NOON, floored=True), Winner.MAPABLE),
        (None, Moment(NOON), Winner.MAPABLE),
        (NOON, None, Winner.MAPABLE),
        (None, None, Winner.MAPABLE),
    ],
)
def test_the_newer_change_wins_and_mapable_where_the_clocks_can_not_tell(
    strategy: str, mapable: datetime | None, notion: Moment | None, winner: Winner
) -> None:
    assert verdict(strategy, Times(mapable, notion)).winner is winner


@pytest.mark.parametrize(
    ("mapable", "rule"),
    [
        (NOON - SECOND, "Notion is newer"),
        (NOON + 30 * SECOND, "the clocks can't tell"),
        (NOON + MINUTE, "MapAble is newer"),
        (None, "times unknown"),
    ],
)
def test_the_rule_says_why(mapable: datetime | None, rule: str) -> None:
    assert verdict("last-write-wins", Times(mapable, Moment(NOON, floored=True))).rule == f"last-write-wins: {rule}"


@given(st.none() | moments, st.none() | st.builds(Moment, moments, st.booleans()))
def test_manual_review_leaves_it_to_a_person(mapable: datetime | None, notion: Moment | None) -> None:
    assert verdict("manual-review", Times(mapable, notion)).winner is Winner.PERSON


@given(moments, moments)
def test_a_floored_minute_never_lets_notion_win_over_a_change_within_it(mapable: datetime, notion: datetime) -> None:
    minute = notion.replace(second=0, microsecond=0)

    found = verdict("last-write-wins", Times(mapable, Moment(minute, floored=True)))

    assert (found.winner is Winner.NOTION) == (mapable < minute)
