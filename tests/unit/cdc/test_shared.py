"""Many ask at once, and again and again; what they are told is made as seldom as they allow."""

from __future__ import annotations

import asyncio

import pytest

from cdc.shared import Shared


class Made:
    """Answers how often it was asked, once it may. The time is what the test says."""

    def __init__(self) -> None:
        self.count = 0
        self.now_s = 100.0
        self.may = asyncio.Event()
        self.may.set()
        self.fails = False
        self.shared = Shared(self._make, lambda: self.now_s)

    async def _make(self) -> int:
        self.count += 1
        answer = self.count
        await self.may.wait()
        if self.fails:
            raise TimeoutError
        return answer


async def test_who_allows_an_age_is_told_what_was_made_within_it() -> None:
    made = Made()
    await made.shared.younger_than(2.0)

    made.now_s = 102.0
    told = await made.shared.younger_than(2.0)
    made.now_s = 102.1
    later = await made.shared.younger_than(2.0)

    assert (told, later) == (1, 2)


async def test_who_allows_none_is_told_nothing_that_was_begun_before() -> None:
    made = Made()
    await made.shared.younger_than(2.0)
    made.now_s += 0.1

    told = await made.shared.younger_than(0.0)

    assert told == 2


async def test_all_who_come_while_it_is_made_are_told_the_next_one() -> None:
    made = Made()
    made.may.clear()

    first = asyncio.create_task(made.shared.younger_than(0.0))
    await asyncio.sleep(0)
    made.now_s += 1.0
    others = [asyncio.create_task(made.shared.younger_than(age_s)) for age_s in (0.0, 0.0, 0.0, 2.0)]
    await asyncio.sleep(0)
    made.may.set()

    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, 2, 2]
    assert made.count == 2


async def test_a_failure_is_nobody_else_s() -> None:
    made = Made()
    made.fails = True
    with pytest.raises(TimeoutError):
        await made.shared.younger_than(2.0)
    made.fails = False

    assert await made.shared.younger_than(2.0) == 2


async def test_who_goes_away_keeps_nobody_waiting() -> None:
    made = Made()
    made.may.clear()
    first = asyncio.create_task(made.shared.younger_than(0.0))
    await asyncio.sleep(0)
    other = asyncio.create_task(made.shared.younger_than(0.0))
    await asyncio.sleep(0)

    first.cancel()
    made.may.set()

    assert await other == 2


async def test_what_is_too_old_is_let_go_of_and_nothing_else() -> None:
    made = Made()
    before = made.shared.has(2.0)
    await made.shared.younger_than(2.0)
    made.shared.forget(2.0)
    fresh = made.shared.has(2.0)
    made.now_s += 2.1

    made.shared.forget(2.0)

    assert (before, fresh, made.shared.has(10.0)) == (False, True, False)
