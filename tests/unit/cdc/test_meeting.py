"""Whether the log may still have to tell of a change: by one clock, since those of two machines are never one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from cdc.reconcile.meeting import CAPTURE_BEHIND_S, capture_may_be_behind_s
from cdc.reconcile.reading import Situation
from sinks.mapping.entities import by_name
from state.changes import PageId, Reason
from state.links import Link, PageState
from state.work import Claim

CLOCKS: Final = (datetime(1999, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))


def situation(marked_at: datetime, read_at: datetime, reasons: Reason, direction: str = "both") -> Situation:
    claim = Claim("risk", "r", 1, int(reasons), 0, 1, 1, None, marked_at)
    link = Link("Risk", "r", PageId("page"), PageState.LIVE.value, "both", None, {}, None, {}, None, 0.0, read_at)
    return Situation(claim, by_name("risk"), None, link, True, direction, None)


@pytest.mark.parametrize("now", CLOCKS)
def test_the_log_is_waited_for_as_long_as_it_takes_and_no_longer(now: datetime) -> None:
    just_now, long_ago = now - timedelta(seconds=0.1), now - timedelta(seconds=CAPTURE_BEHIND_S)

    # all of it at once: each further look would cost a read of the page
    assert capture_may_be_behind_s(situation(just_now, now, Reason.THEIRS)) == pytest.approx(CAPTURE_BEHIND_S - 0.1)
    assert not capture_may_be_behind_s(situation(long_ago, now, Reason.THEIRS))


def test_once_the_log_has_told_nothing_is_waited_for() -> None:
    assert not capture_may_be_behind_s(situation(CLOCKS[0], CLOCKS[0], Reason.OURS | Reason.THEIRS))


def test_nothing_is_waited_for_where_notion_wins_whenever_mapable_changed() -> None:
    assert not capture_may_be_behind_s(situation(CLOCKS[0], CLOCKS[0], Reason.THEIRS, "from_notion"))
