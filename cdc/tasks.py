"""Tasks that end when they are told to, on every Python from 3.11 on.

A TaskGroup cancels the task that it is in when a child fails. Before Python 3.13 that task's count of cancellations
can stay wrong afterwards, which breaks every `asyncio.timeout` that it opens later (with Debian 12's Python); and when
it was cancelled from outside at the same moment, that is forgotten. So whoever tries again after a failure runs each
attempt in a task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from state.errors import FatalError

CANCEL_AGAIN_S: Final = 2.5
"""Longer than a stream takes to say goodbye."""

T = TypeVar("T")


async def attempt(work: Coroutine[Any, Any, T], name: str) -> T:
    """Await `work` in a task of its own; being cancelled meanwhile ends both, whatever else goes wrong then."""
    task = asyncio.create_task(work, name=name)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await end([task])
        raise
    return task.result()


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group to tell about: one that a person must act on goes first."""
    fatal = group.subgroup(FatalError)
    error: BaseException = fatal if fatal is not None else group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def end(tasks: Sequence[asyncio.Task[Any]], *, again_s: float = CANCEL_AGAIN_S) -> None:
    """Cancel tasks, again and again until they have ended: a cancellation can be lost, see above.

    What is being cancelled already is given as long. Cancelled twice at once, psycopg would break off telling the
    server to give up a statement, and leave a connection behind that says nothing: the statement goes on there, and a
    server that is shut down waits for it until `authentication_timeout`.
    """
    loop = asyncio.get_running_loop()
    for task in tasks:
        if not task.done() and not task.cancelling():
            task.cancel()
    again_at_s = loop.time() + again_s
    while pending := [task for task in tasks if not task.done()]:
        # being cancelled here asks for what is being done already
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=max(0.0, again_at_s - loop.time()))
        if loop.time() >= again_at_s:
            for task in pending:
                task.cancel()
            again_at_s = loop.time() + again_s
    for task in tasks:
        if not task.cancelled():
            # what it failed with at the very end is nobody's concern any more
            task.exception()
