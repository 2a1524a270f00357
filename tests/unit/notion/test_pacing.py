"""Notion counts requests in a window of unknown phase, breaks down, and is asked by live and bulk work at once.

Time is virtual throughout: the pure parts are handed it, and the pacer runs on a loop whose clock jumps to the next
timer.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.notion.pacing import (
    BULK_RESERVE,
    FAILURES_TO_OPEN,
    LEDGER_BLOCK,
    MAX_IN_FLIGHT,
    PROBE_S,
    Breaker,
    Budget,
    Pacer,
)
from state.changes import Priority

T = TypeVar("T")
WINDOW_S = 60.0


class _Jumping(selectors.DefaultSelector):
    """Never waits: says how long it would have waited instead."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits and no timer is set")
            self.jump(max(timeout, 0.0))
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock moves only when there is nothing to do, and then to the next timer."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Jumping()
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def _jump(self, wait_s: float) -> None:
        if wait_s > 0:
            # a little more, for the timer to be due in spite of rounding
            self.now_s += wait_s + 1e-9


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now_s() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class MemoryLedger:
    """What a ledger keeps, across pacers."""

    notes: list[tuple[float, int]] = field(default_factory=list)
    fails: bool = False

    async def take(self, requests: int) -> None:
        await asyncio.sleep(0.001)
        if self.fails:
            raise ConnectionError
        self.notes.append((now_s(), requests))

    async def taken(self) -> tuple[tuple[float, int], ...]:
        return tuple((now_s() - at_s, requests) for at_s, requests in self.notes if now_s() - at_s < 2 * WINDOW_S)


def pacer(requests_per_minute: int = 180, *, ledger: MemoryLedger | None = None) -> Pacer:
    return Pacer(requests_per_minute, window_s=WINDOW_S, ledger=ledger, clock=now_s)


def most_in_a_window(arrivals_s: list[float]) -> int:
    """Return the most requests that any window of any phase sees: the busiest begins with an arrival."""
    ordered = sorted(arrivals_s)
    most = first = 0
    for last, at_s in enumerate(ordered):
        while ordered[first] + WINDOW_S <= at_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def simulate(
    budget: Budget, chance: random.Random, *, until_s: float, latency_s: tuple[float, float], rest: float, bulk: bool
) -> list[float]:
    """Send whenever the budget lets us, and return when each request reached the server."""
    now, arrivals, ends = 0.0, list[float](), list[float]()
    while now < until_s:
        while ends and ends[0] <= now:
            budget.finished(heapq.heappop(ends))
        wait_s = budget.wait_s(now, bulk=bulk) if len(ends) < MAX_IN_FLIGHT else None
        if wait_s == 0:
            budget.started()
            took_s = chance.uniform(*latency_s)
            arrivals.append(now + took_s * chance.random())
            heapq.heappush(ends, now + took_s)
            if chance.random() < rest:
                now += chance.expovariate(1 / 20)
            continue
        # a wait may be too short to show in the sum
        now = min([*([max(now + wait_s, math.nextafter(now, math.inf))] if wait_s is not None else []), *ends[:1]])
    return arrivals


@given(
    limit=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    longest_s=st.sampled_from([0.01, 0.3, 5.0, 59.0, 90.0]),
    rest=st.sampled_from([0.0, 0.05, 0.5]),
    bulk=st.booleans(),
)
def test_no_window_of_any_phase_sees_more_than_the_limit(
    limit: int, seed: int, longest_s: float, rest: float, bulk: bool
) -> None:
    arrivals = simulate(
        Budget(limit), random.Random(seed), until_s=400, latency_s=(0.0, longest_s), rest=rest, bulk=bulk
    )

    assert most_in_a_window(arrivals) <= limit


@settings(max_examples=15)
@given(limit=st.sampled_from([180, 600]), seed=st.integers(0, 2**32), phase_s=st.floats(0, WINDOW_S))
def test_with_work_waiting_the_windows_are_full(limit: int, seed: int, phase_s: float) -> None:
    """A burst comes again a moment later in each window; one that it drifts out of misses what was in flight then."""
    windows = 8
    arrivals = simulate(
        Budget(limit), random.Random(seed),
        until_s=(windows + 1) * WINDOW_S, latency_s=(0.05, 0.4), rest=0.0, bulk=False,
    )
    seen = Counter(int((at_s - phase_s) // WINDOW_S) for at_s in arrivals)

    assert sum(at_s < windows * WINDOW_S for at_s in arrivals) >= 0.98 * limit * windows
    assert min(seen[window] for window in range(windows)) >= 0.8 * limit


def test_bulk_leaves_a_share_of_the_window_to_live_changes() -> None:
    budget = Budget(100)
    for _ in range(98):
        assert budget.wait_s(0.0, bulk=True) == 0
        budget.started()
        budget.finished(0.0)

    assert budget.wait_s(0.0, bulk=True) == 60
    assert budget.wait_s(0.0) == 0


def test_who_can_not_say_when_is_told_to_wait_for_one_in_flight() -> None:
    budget = Budget(1)
    budget.started()

    assert budget.wait_s(0.0) is None
    budget.finished(3.0)
    assert budget.wait_s(3.0) == 60


def test_what_was_not_sent_is_not_counted() -> None:
    budget = Budget(1)
    budget.started()
    budget.finished(0.0, spent=False)

    assert budget.wait_s(0.0) == 0


def test_without_a_limit_nothing_is_counted() -> None:
    budget = Budget(0)
    for _ in range(1000):
        budget.started()
        budget.finished(0.0)
    budget.preload(0.0, 1.0, 1000)

    assert budget.wait_s(0.0) == 0
    assert not budget.finished_s


def test_requests_of_an_earlier_process_count_until_their_window_is_over() -> None:
    budget = Budget(10)
    budget.preload(100.0, 50.0, 8)
    budget.preload(100.0, 20.0, 2)

    assert budget.wait_s(100.0) == 10
    assert budget.wait_s(110.0) == 0


def test_more_requests_of_an_earlier_process_than_the_limit_are_waited_for() -> None:
    budget = Budget(5)
    budget.preload(100.0, 30.0, 9)
    budget.preload(100.0, 10.0, 2)

    assert budget.wait_s(100.0) == 30
    assert budget.wait_s(130.0) == 0


def test_the_breaker_opens_after_a_few_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(0.0, "down")
    assert not breaker.open
    assert breaker.wait_s(0.0, 0) == 0

    breaker.failed(0.0, "down")

    assert breaker.open
    assert breaker.reason == "down"
    assert breaker.wait_s(0.0, 0) == PROBE_S


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0.0, "down")
        breaker.failed(0.0, "down")
        breaker.succeeded()

    assert not breaker.open


def test_after_a_first_failure_nothing_is_sent_beside_what_is_in_flight() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "down")

    assert breaker.wait_s(0.0, 9) is None
    assert breaker.wait_s(0.0, 0) == 0


def test_a_revoked_token_opens_it_at_once() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "revoked", at_once=True)

    assert breaker.open


def test_one_probe_at_a_time() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "revoked", at_once=True)

    assert breaker.wait_s(PROBE_S, 0) == 0
    breaker.started(PROBE_S)
    assert breaker.wait_s(PROBE_S, 1) is None
    assert breaker.wait_s(100.0, 1) is None


def test_it_closes_at_once_on_success() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "revoked", at_once=True)
    breaker.succeeded()

    assert not breaker.open
    assert breaker.wait_s(0.0, 5) == 0
    assert breaker.reason is None


@pytest.mark.parametrize(("asked_s", "wait_s"), [(0.0, PROBE_S), (2.0, PROBE_S), (37.0, 37.0), (120.0, 120.0)])
def test_the_longer_of_ours_and_of_what_was_asked_for_holds(asked_s: float, wait_s: float) -> None:
    breaker = Breaker()
    breaker.failed(0.0, "overload", asked_s=asked_s, at_once=True)

    assert breaker.wait_s(0.0, 0) == wait_s


def test_what_notion_asked_for_holds_although_another_request_succeeds() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "overload", asked_s=30.0)
    breaker.succeeded()

    assert breaker.wait_s(10.0, 0) == 20


def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    breaker = Breaker()
    breaker.pause(0.0, 30.0)
    breaker.pause(1.0, 2.0)

    assert breaker.wait_s(1.0, 0) == 29


def test_a_probe_that_was_not_sent_is_still_due() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "down", at_once=True)
    breaker.started(PROBE_S)
    breaker.unused()

    assert breaker.wait_s(PROBE_S, 0) == 0


def test_an_unused_turn_from_before_the_outage_brings_no_probe_forward() -> None:
    breaker = Breaker()
    breaker.started(0.0)
    breaker.failed(1.0, "down", at_once=True)
    breaker.unused()

    assert breaker.wait_s(1.0, 0) == PROBE_S


@given(
    outcomes=st.lists(st.sampled_from(["failed", "no news", "failed late"]), min_size=60, max_size=60),
    idle_s=st.floats(0, 3),
)
def test_while_open_at_most_ten_requests_a_minute_are_sent(outcomes: list[str], idle_s: float) -> None:
    breaker, now, sent = Breaker(), 0.0, list[float]()
    breaker.failed(now, "down", at_once=True)
    for outcome in outcomes:
        wait_s = breaker.wait_s(now, 0)
        assert wait_s is not None
        now += wait_s + idle_s
        breaker.started(now)
        sent.append(now)
        now += 70.0 if outcome == "failed late" else 0.01
        if outcome != "no news":
            breaker.failed(now, "down")

    assert most_in_a_window(sent) <= 10


async def send(
    turns: Pacer,
    priority: Priority = Priority.LIVE,
    *,
    for_s: float = 0.1,
    then: Callable[[], Awaitable[None]] | None = None,
) -> float:
    """Send one request that takes a while; return when it started."""
    async with turns.turn(priority):
        started_s = now_s()
        await asyncio.sleep(for_s)
        if then is not None:
            await then()
    return started_s


def test_live_goes_before_manual_before_bulk_and_first_come_first_served_within() -> None:
    async def main() -> list[str]:
        turns, order = pacer(1), list[str]()

        async def ask(name: str, priority: Priority) -> None:
            async with turns.turn(priority):
                order.append(name)

        async with asyncio.TaskGroup() as tasks:
            for name, priority in [
                ("first", Priority.BACKFILL), ("bulk a", Priority.BACKFILL), ("bulk b", Priority.BACKFILL),
                ("manual", Priority.MANUAL), ("live a", Priority.LIVE), ("live b", Priority.LIVE),
            ]:
                tasks.create_task(ask(name, priority))
                await asyncio.sleep(0)
        return order

    assert run(main()) == ["first", "live a", "live b", "manual", "bulk a", "bulk b"]


def test_what_goes_on_with_something_begun_goes_before_what_only_begins() -> None:
    async def main() -> list[str]:
        turns, order = pacer(1), list[str]()

        async def ask(name: str, priority: Priority, begun: bool) -> None:
            async with turns.turn(priority, begun=begun):
                order.append(name)

        async with asyncio.TaskGroup() as tasks:
            for name, priority, begun in [
                ("first", Priority.LIVE, False), ("read", Priority.LIVE, False), ("bulk", Priority.BACKFILL, True),
                ("write a", Priority.LIVE, True), ("write b", Priority.LIVE, True),
            ]:
                tasks.create_task(ask(name, priority, begun))
                await asyncio.sleep(0)
        return order

    assert run(main()) == ["first", "write a", "write b", "read", "bulk"]


def test_records_that_are_read_before_they_are_written_all_get_there_however_many_they_are() -> None:
    good_for_s, records = 5.0, 120

    async def main() -> float:
        turns = pacer(30)

        async def read_and_write() -> int:
            for reads in range(1, 30):
                await send(turns)
                async with turns.turn(Priority.LIVE, begun=True) as turn:
                    if turn.waited_s <= good_for_s:
                        await asyncio.sleep(0.1)
                        return reads
                    turn.spent = False
            raise AssertionError("what was read is always out of date when its turn to write comes")

        async with asyncio.TaskGroup() as tasks:
            each = [tasks.create_task(read_and_write()) for _ in range(records)]
        return sum(task.result() for task in each) / records

    assert run(main()) < 2


def test_a_burst_is_sent_at_once_and_the_rest_one_window_later() -> None:
    async def main() -> tuple[list[float], float]:
        turns, begun_s = pacer(30), now_s()
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(send(turns)) for _ in range(40)]
        return [task.result() - begun_s for task in sent], now_s() - begun_s

    starts_s, took_s = run(main())

    assert max(starts_s[:30]) < 0.4
    assert min(starts_s[30:]) >= 60
    assert took_s < 61


@dataclass
class Crowd:
    """Fifty who ask for a turn at the same time; how many have had one at a time."""

    now: int = 0
    most: int = 0

    def ask(self, turns: Pacer, tasks: asyncio.TaskGroup, priority: Priority, for_s: float) -> None:
        for _ in range(50):
            tasks.create_task(self._one(turns, priority, for_s))

    async def _one(self, turns: Pacer, priority: Priority, for_s: float) -> None:
        async with turns.turn(priority):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(for_s)
            self.now -= 1


def test_so_many_at_a_time_and_no_more() -> None:
    async def main() -> int:
        crowd = Crowd()
        async with asyncio.TaskGroup() as tasks:
            crowd.ask(pacer(0), tasks, Priority.LIVE, 0.1)
        return crowd.most

    assert run(main()) == MAX_IN_FLIGHT


def test_a_live_change_does_not_wait_for_an_answer_to_bulk_work() -> None:
    async def main() -> tuple[int, float]:
        turns, crowd = pacer(0), Crowd()
        async with asyncio.TaskGroup() as tasks:
            crowd.ask(turns, tasks, Priority.BACKFILL, 10.0)
            await asyncio.sleep(1)
            async with turns.turn(Priority.LIVE) as live:
                return crowd.most, live.waited_s

    assert run(main()) == (MAX_IN_FLIGHT - BULK_RESERVE, 0)


def test_a_turn_says_how_long_it_was_waited_for() -> None:
    async def main() -> tuple[float, float]:
        turns = pacer(1)
        async with turns.turn(Priority.LIVE) as first:
            pass
        async with turns.turn(Priority.LIVE) as second:
            pass
        return first.waited_s, second.waited_s

    first_s, second_s = run(main())

    assert first_s == 0
    assert second_s == pytest.approx(60, abs=0.01)


def test_a_turn_in_which_nothing_was_sent_costs_nothing() -> None:
    async def main() -> float:
        turns, begun_s = pacer(1), now_s()
        for _ in range(100):
            async with turns.turn(Priority.LIVE) as turn:
                turn.spent = False
        await send(turns)
        return now_s() - begun_s

    assert run(main()) < 1


def test_who_gives_up_waiting_takes_nothing_and_leaves_nothing_behind() -> None:
    async def main() -> tuple[int, int, float]:
        turns = pacer(1)
        await send(turns)
        blocked = asyncio.create_task(send(turns, Priority.LIVE))
        given_up = [asyncio.create_task(send(turns, Priority.BACKFILL)) for _ in range(100)]
        await asyncio.sleep(1)
        for task in given_up:
            task.cancel()
        await asyncio.wait(given_up)
        left = len(turns._waiters)  # noqa: SLF001 - a leak shows nowhere else
        return left, turns.budget.in_flight, await blocked - now_s()

    left, in_flight, started_s = run(main())

    assert (left, in_flight) == (1, 0)
    assert started_s == pytest.approx(-0.1, abs=0.01)


def test_who_is_cancelled_just_as_the_turn_is_given_gives_it_back() -> None:
    async def main() -> tuple[int, float]:
        turns = pacer(1)
        begun_s = now_s()
        async with turns.turn(Priority.LIVE) as turn:
            waiting = asyncio.create_task(send(turns))
            next_one = asyncio.create_task(send(turns))
            await asyncio.sleep(0.1)
            turn.spent = False
        # the turn is given, but the task has not run since
        waiting.cancel()
        await asyncio.wait([waiting])
        started_s = await next_one
        return turns.budget.in_flight, started_s - begun_s

    in_flight, started_s = run(main())

    assert in_flight == 0
    assert started_s < 1


def test_who_is_cancelled_while_sending_has_spent_the_turn() -> None:
    async def main() -> tuple[int, int]:
        turns = pacer(5)
        sending = asyncio.create_task(send(turns, for_s=10))
        await asyncio.sleep(1)
        sending.cancel()
        await asyncio.wait([sending])
        return turns.budget.in_flight, len(turns.budget.finished_s)

    assert run(main()) == (0, 1)


def test_those_who_wait_are_sent_away_and_who_has_a_turn_keeps_it() -> None:
    async def main() -> tuple[bool, list[bool], int]:
        turns = pacer(1)
        sending = asyncio.create_task(send(turns, for_s=1))
        waiting = [asyncio.create_task(send(turns)) for _ in range(3)]
        await asyncio.sleep(0.1)
        turns.send_away()
        await asyncio.wait([sending, *waiting])
        return sending.cancelled(), [task.cancelled() for task in waiting], turns.budget.in_flight

    assert run(main()) == (False, [True, True, True], 0)


def test_one_pause_holds_for_everybody_and_ends_for_everybody() -> None:
    async def main() -> list[float]:
        turns, begun_s = pacer(), now_s()
        turns.pause(37)
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(send(turns, priority)) for priority in Priority]
        return [task.result() - begun_s for task in sent]

    assert run(main()) == pytest.approx([37, 37, 37], abs=0.01)


@pytest.mark.parametrize("fails_after_s", [0.0, 0.3, 20.0])
def test_an_outage_is_met_by_what_is_in_flight_and_probed_seldom(fails_after_s: float) -> None:
    async def main() -> list[float]:
        turns, starts_s, begun_s = pacer(0), list[float](), now_s()

        async def ask() -> None:
            while now_s() < begun_s + 600:
                async with turns.turn(Priority.LIVE):
                    starts_s.append(now_s() - begun_s)
                    await asyncio.sleep(fails_after_s)
                    turns.failed("down")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(48):
                tasks.create_task(ask())
        return starts_s

    starts_s = run(main())

    assert sum(at_s == 0 for at_s in starts_s) <= MAX_IN_FLIGHT
    assert most_in_a_window([at_s for at_s in starts_s if at_s > 0]) <= 10


def test_after_an_outage_everybody_goes_on_at_once() -> None:
    async def main() -> tuple[float, float]:
        turns = pacer(0)
        turns.failed("down", at_once=True)

        async def answered() -> None:
            turns.succeeded()

        async with asyncio.TaskGroup() as tasks:
            probe = tasks.create_task(send(turns, then=answered))
            rest = [tasks.create_task(send(turns)) for _ in range(9)]
        return probe.result(), max(task.result() for task in rest)

    probed_s, last_s = run(main())

    assert last_s - probed_s == pytest.approx(0.1, abs=0.01)


def test_a_request_is_noted_before_it_is_sent() -> None:
    async def main() -> list[bool]:
        ledger = MemoryLedger()
        turns, enough = pacer(60, ledger=ledger), list[bool]()

        async def ask() -> None:
            async with turns.turn(Priority.LIVE):
                sent = turns.budget.in_flight + len(turns.budget.finished_s)
                enough.append(sum(requests for _, requests in ledger.notes) >= min(sent, 1))
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(60):
                tasks.create_task(ask())
        enough.append(len(ledger.notes) <= 60 / LEDGER_BLOCK + MAX_IN_FLIGHT)
        enough.append(60 <= sum(requests for _, requests in ledger.notes) <= 60 + LEDGER_BLOCK)
        return enough

    assert all(run(main()))


def test_one_change_a_minute_is_noted_as_one() -> None:
    async def main() -> list[int]:
        ledger = MemoryLedger()
        turns = pacer(60, ledger=ledger)
        for _ in range(3):
            await send(turns)
            await asyncio.sleep(60)
        return [requests for _, requests in ledger.notes]

    assert run(main()) == [1, 1, 1]


def test_where_the_note_fails_nothing_is_sent_and_nothing_is_held() -> None:
    async def main() -> tuple[int, int]:
        turns = pacer(60, ledger=MemoryLedger(fails=True))
        with pytest.raises(ConnectionError):
            await send(turns)
        return turns.budget.in_flight, len(turns.budget.finished_s)

    assert run(main()) == (0, 0)


def test_without_a_limit_nothing_is_noted() -> None:
    async def main() -> list[tuple[float, int]]:
        ledger = MemoryLedger()
        turns = pacer(0, ledger=ledger)
        await turns.open()
        await send(turns)
        return ledger.notes

    assert run(main()) == []


@given(seed=st.integers(0, 2**32), limit=st.sampled_from([20, 60, 180]), quick=st.booleans())
def test_restarts_at_any_moment_do_not_overrun_the_window(seed: int, limit: int, quick: bool) -> None:
    async def main() -> list[float]:
        chance, ledger, arrivals = random.Random(seed), MemoryLedger(), list[float]()

        async def ask(turns: Pacer) -> None:
            while True:
                async with turns.turn(chance.choice(list(Priority))):
                    took_s = chance.uniform(0.05, 0.6)
                    await asyncio.sleep(took_s / 2)
                    arrivals.append(now_s())
                    await asyncio.sleep(took_s / 2)

        for _ in range(6):
            turns = pacer(limit, ledger=ledger)
            await turns.open()
            process = [asyncio.create_task(ask(turns)) for _ in range(12)]
            await asyncio.sleep(chance.uniform(0.1, 10 if quick else 90))
            for task in process:
                task.cancel()
            await asyncio.wait(process)
        return arrivals

    assert most_in_a_window(run(main())) <= limit
