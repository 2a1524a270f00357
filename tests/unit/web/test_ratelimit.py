"""A window lets so many calls through in any stretch of its length, and says when the next may come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.web.ratelimit import Window


def test_calls_beyond_the_limit_are_told_how_long_to_wait() -> None:
    window = Window(2, 60.0)

    waits_s = [window.take(now_s) for now_s in (100.0, 110.0, 120.0, 159.0)]

    assert waits_s == [0.0, 0.0, 40.0, 1.0]


def test_a_refused_call_does_not_put_the_next_one_off() -> None:
    window = Window(1, 60.0)
    window.take(0.0)
    for second in range(1, 60):
        window.take(float(second))

    assert window.take(60.0) == 0.0


def test_whoever_waits_as_long_as_told_is_let_through() -> None:
    window = Window(1, 60.0)
    window.take(0.1)

    wait_s = window.take(7.3)

    assert window.take(7.3 + wait_s) == 0.0


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 4))
def test_no_stretch_of_the_window_s_length_holds_more_than_the_limit(gaps_s: list[int], limit: int) -> None:
    window = Window(limit, 60.0)
    now_s, let_through = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        if window.take(now_s) == 0:
            let_through.append(now_s)

    assert all(
        sum(1 for other in let_through if start <= other < start + 60.0) <= limit for start in let_through
    )
