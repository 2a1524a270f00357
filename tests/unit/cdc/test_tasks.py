"""Attempts that fail and are made again, and tasks that end when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from cdc.tasks import attempt, end


async def failing() -> None:
    raise ValueError("of the child")


async def group_that_fails(*, at: asyncio.Event | None = None) -> None:
    """Fail as a stream does: a child of a TaskGroup raises while the group waits for its children."""

    async def child() -> None:
        if at is not None:
            await at.wait()
        await failing()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(child())
        tasks.create_task(asyncio.Event().wait())


async def test_an_attempt_gives_its_result() -> None:
    async def seven() -> int:
        return 7

    assert await attempt(seven(), "seven") == 7


async def test_a_timeout_works_after_a_failed_attempt() -> None:
    for _ in range(3):
        with pytest.raises(ExceptionGroup):
            await attempt(group_that_fails(), "group")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()


async def test_a_failure_at_the_moment_of_the_cancellation_does_not_undo_it() -> None:
    at = asyncio.Event()

    async def trying_again() -> None:
        while True:
            try:
                await attempt(group_that_fails(at=at), "group")
            except* ValueError:
                await asyncio.sleep(0)

    task = asyncio.create_task(trying_again())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    at.set()
    await asyncio.sleep(0)
    task.cancel()

    async with asyncio.timeout(1):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_task_that_takes_a_cancellation_for_something_else_is_cancelled_again() -> None:
    missed = 0

    async def stubborn() -> None:
        nonlocal missed
        while missed < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                missed += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)

    async with asyncio.timeout(1):
        await end([task], again_s=0.001)

    assert (task.cancelled(), missed) == (True, 3)


async def test_being_cancelled_while_ending_others_does_not_leave_them_alone() -> None:
    ended = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.sleep(0.02)
            finally:
                ended.set()

    outer = asyncio.create_task(attempt(slow_to_end(), "inner"))
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.sleep(0)
    outer.cancel()

    await asyncio.wait([outer])
    assert outer.cancelled()
    assert ended.is_set()


async def test_what_is_being_cancelled_already_may_end_in_its_own_way() -> None:
    told = asyncio.Event()

    async def tells_the_server() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            told.set()
            raise

    async def active() -> None:
        async with asyncio.TaskGroup() as tasks:
            children = [tasks.create_task(tells_the_server()), tasks.create_task(failing())]
            try:
                await asyncio.Event().wait()
            finally:
                await end(children)

    with pytest.raises(ExceptionGroup):
        await attempt(active(), "active")

    assert told.is_set()
