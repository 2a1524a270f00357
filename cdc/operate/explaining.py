"""Saying what there is to explain: the outbox of comments, worked off one by one, after everything that moves pages.

A connection that may not comment is no failure: that is audited once, and tried again after an hour or at the next
start.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from cdc.reconcile.plan import backoff_s
from sinks.base import (
    COMMENT_UNITS,
    Comment,
    CommentsForbidden,
    CommentSink,
    OutcomeUnknown,
    PageGone,
    PageTrashed,
)
from sinks.mapping.wording import fitted
from state import audit, explanations, settings
from state.changes import Key, Priority
from state.database import Pool
from state.errors import PoisonError, TransientError
from state.explanations import Explanation

IDLE_S: Final = 1.0
QUIET_S: Final = 3600.0
LATEST_S: Final = 3 * 86400.0
"""An explanation that is older helps nobody any more: were comments allowed after a year, all of it would pour out."""
CLOCKS: Final = timedelta(minutes=10)
"""Notion's clock may differ from the database's by as much: what is asked is only whether it was said lately."""
COMMENTS: Final = Key("notion", "comments")

log = structlog.get_logger(__name__)


class Explaining:
    """Sends what is due. One instance is active per sidecar."""

    def __init__(self, pool: Pool, sink: CommentSink, *, idle_s: float = IDLE_S) -> None:
        self._pool = pool
        self._sink = sink
        self._idle_s = idle_s
        self._wake = asyncio.Event()
        self._allowed: bool | None = None
        self._quiet_until_s = 0.0

    def wake(self) -> None:
        """Say that there may be something to say."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with self._pool.connection() as conn:
            await explanations.take_over(conn)
        while True:
            self._wake.clear()
            await self.round()
            with suppress(TimeoutError):
                async with asyncio.timeout(await self._rest_s()):
                    await self._wake.wait()

    async def round(self) -> None:
        """Say what is due now."""
        while not self._quiet:
            async with self._pool.connection() as conn:
                items = await explanations.due(conn)
            if not items:
                return
            for item in items:
                if not self._quiet:
                    await self._say(item)

    @property
    def _quiet(self) -> bool:
        return asyncio.get_running_loop().time() < self._quiet_until_s

    async def _rest_s(self) -> float:
        if self._quiet:
            return self._idle_s
        async with self._pool.connection() as conn:
            due_s = await explanations.next_due_s(conn)
        return self._idle_s if due_s is None else min(self._idle_s, max(0.0, due_s))

    async def _say(self, item: Explanation) -> None:
        if item.age_s > LATEST_S:
            await self._drop(item, "too_late")
            return
        text = fitted(item.text, COMMENT_UNITS)
        try:
            if item.begun_at is not None and await self._stands(item, text):
                await self._said(item, None)
                return
        except CommentsForbidden:
            # it may stand there or not: better unsaid than said twice, the audit log tells what was done
            await self._drop(item, "unknown_whether_sent")
            return
        except (PageGone, PoisonError) as error:
            await self._drop(item, _why(error))
            return
        except TransientError:
            await self._later(item, unsent=False)
            return
        try:
            async with self._sink.turn(Priority.BACKFILL) as turn:
                async with self._pool.connection() as conn:
                    turn.spent = await explanations.sending(conn, item)
                if not turn.spent:
                    return
                request_id = await self._sink.comment(item.page_id, text)
        except CommentsForbidden:
            await self._forbidden(item)
        except (PageGone, PageTrashed, PoisonError) as error:
            await self._drop(item, _why(error))
        except TransientError as error:
            await self._later(item, unsent=not isinstance(error, OutcomeUnknown))
        else:
            await self._said(item, request_id)

    async def _stands(self, item: Explanation, text: str) -> bool:
        """Whether the comment of an attempt whose end nobody saw is on the page."""
        async with self._pool.connection() as conn:
            bot = await settings.get(conn, settings.BOT)
        ours = bot.get("id") if isinstance(bot, dict) else None
        comments = await self._sink.comments(item.page_id, Priority.BACKFILL)
        return any(_is(comment, item, text, ours) for comment in comments)

    async def _said(self, item: Explanation, request_id: str | None) -> None:
        async with self._pool.connection() as conn, conn.transaction():
            await explanations.sent(conn, item)
            await audit.append(
                conn,
                audit.Entry(
                    "comment.written", item.key, item.participant_id, item.page_id, (item.field,),
                    request_id=request_id,
                ),
            )
            if self._allowed is not True:
                await settings.put(conn, settings.COMMENTS, {"allowed": True})
        self._allowed = True
        log.debug("comment.written", entity=item.entity, took_s=round(item.age_s, 3))

    async def _drop(self, item: Explanation, why: str) -> None:
        async with self._pool.connection() as conn, conn.transaction():
            await explanations.dropped(conn, item)
            await audit.append(
                conn,
                audit.Entry(
                    "comment.dropped", item.key, item.participant_id, item.page_id, (item.field,), detail={"why": why}
                ),
            )
        log.info("comment.dropped", entity=item.entity, why=why)

    async def _later(self, item: Explanation, *, unsent: bool) -> None:
        async with self._pool.connection() as conn:
            await explanations.later(conn, item, wait_s=backoff_s(item.attempts + 1), unsent=unsent)

    async def _forbidden(self, item: Explanation) -> None:
        """Keep quiet for a while; the comment stays due."""
        self._quiet_until_s = asyncio.get_running_loop().time() + QUIET_S
        self._allowed = False
        async with self._pool.connection() as conn, conn.transaction():
            await explanations.later(conn, item, wait_s=0, unsent=True)
            if await settings.get(conn, settings.COMMENTS) != {"allowed": False}:
                await settings.put(conn, settings.COMMENTS, {"allowed": False})
                await audit.append(conn, audit.Entry("comment.forbidden", COMMENTS))
                log.warning(
                    "comment.forbidden",
                    hint="Give the connection the capabilities to read and insert comments, so that it can explain.",
                )


def _is(comment: Comment, item: Explanation, text: str, ours: str | None) -> bool:
    assert item.begun_at is not None
    return (
        (ours is None or comment.author == ours)
        and (comment.made_at is None or comment.made_at >= item.begun_at - CLOCKS)
        # outer and doubled spaces may not survive
        and comment.text.split() == text.split()
    )


def _why(error: Exception) -> str:
    match error:
        case PageGone():
            return "page_gone"
        case PageTrashed():
            return "page_trashed"
        case PoisonError():
            return error.reason
    return "unknown"
