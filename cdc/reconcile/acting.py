"""Acting on one claimed key: look at its page, write to it, or give it back, as its plan says."""

from __future__ import annotations

import asyncio
from typing import Final

from cdc.reconcile.effects import Effects
from cdc.reconcile.leaving import Leaving
from cdc.reconcile.meeting import Meeting
from cdc.reconcile.plan import (
    Bury,
    Create,
    Later,
    Look,
    Nothing,
    NotVisible,
    Resolve,
    Restore,
    Settle,
    Trash,
    Update,
    cooling_s,
)
from cdc.reconcile.reading import Reader, Situation
from cdc.reconcile.returning import Returning, not_visible_wait_s
from cdc.watch.schema import SchemaWatch
from sinks.base import PageGone, PageSink, PageTrashed
from state.changes import Priority
from state.errors import PoisonError
from state.work import WorkQueue

REFUSED: Final = "notion_validation_error"
STALE_AFTER_S: Final = 0.05
"""What was read longer ago than this before its turn came is read again."""


class Acting:
    """Carries out one plan at a time; what it returns is what was done, in a word."""

    def __init__(
        self,
        queue: WorkQueue,
        reader: Reader,
        effects: Effects,
        leaving: Leaving,
        meeting: Meeting,
        schema: SchemaWatch,
        returning: Returning,
        sink: PageSink,
    ) -> None:
        self._queue = queue
        self._reader = reader
        self._effects = effects
        self._leaving = leaving
        self._meeting = meeting
        self._schema = schema
        self._returning = returning
        self._sink = sink

    async def act(self, now: Situation) -> str:
        """Do what is due about the key."""
        match now.plan:
            case Create() | Update() | Trash() | Restore():
                return await self._send(now)
            case Look():
                return await self._look(now)
            case Resolve() as plan:
                await self._effects.resolve(now, plan)
                return "resolved"
            case Settle() as plan:
                await self._effects.settle(now, plan)
                return "compared"
            case Bury(page_id):
                await self._leaving.bury(now, page_id)
                return "unlinked"
            case Later(wait_s):
                await self._returning.release(now.claim, wait_s, hold_marks=True)
                return "later"
            case NotVisible():
                await self._returning.release(now.claim, not_visible_wait_s(now.claim))
                return "not_visible"
            case Nothing() if now.waiting:
                await self._effects.wait(now)
                return "unchanged"
            case Nothing():
                await self._returning.finish([now.claim])
                return "unchanged"

    async def _look(self, now: Situation) -> str:
        """Wait for the turn, read the page, merge, and do what is left."""
        try:
            async with asyncio.timeout(self._queue.lease_s / 2) as patience, self._sink.turn(
                Priority(now.claim.priority)
            ) as turn:
                patience.reschedule(None)
                if turn.waited_s > STALE_AFTER_S:
                    claim = await self._queue.renew(now.claim)
                    (now,) = await self._reader.read(now.entity, [claim])
                # what was read again may call for another page, or for none
                plan = now.plan
                turn.spent = isinstance(plan, Look)
                page = await self._sink.read(now.entity, plan.page_id) if isinstance(plan, Look) else None
        except TimeoutError:
            await self._returning.release(now.claim, 0)
            return "no_turn"
        except PageGone:
            await self._gone(now)
            return "unlinked"
        if page is None:
            return await self.act(now)
        return await self.go_on(await self._meeting.seen(now, page))

    async def go_on(self, now: Situation | None) -> str:
        """Send what a look at the page left to be sent."""
        if now is None:
            return "merged"
        wait_s = cooling_s(now.link) if now.link is not None and now.left is not None else 0.0
        if wait_s > 0:
            await self._returning.release(now.claim, wait_s, hold_marks=True)
            return "later"
        return await self.act(now)

    async def _send(self, now: Situation) -> str:
        """Wait for the turn, look once more if that took long, and send."""
        try:
            async with asyncio.timeout(self._queue.lease_s / 2) as patience, self._sink.turn(
                Priority(now.claim.priority), begun=now.left is not None
            ) as turn:
                patience.reschedule(None)
                if turn.waited_s > (STALE_AFTER_S if now.left is None else now.left.good_for_s):
                    claim = await self._queue.renew(now.claim)
                    (now,) = await self._reader.read(now.entity, [claim])
                match now.plan:
                    case Create() as plan:
                        await self._effects.create(now, plan)
                        return "created"
                    case Update() as plan:
                        await self._effects.update(now, plan)
                        return "updated"
                    case Trash() as plan:
                        turn.spent = await self._leaving.trash(now, plan)
                        return "trashed" if turn.spent else "held"
                    case Restore() as plan:
                        await self._effects.restore(now, plan)
                        return "restored"
                turn.spent = False
        except TimeoutError:
            await self._returning.release(now.claim, 0)
            return "no_turn"
        except PageTrashed:
            # outside of the turn: reading the page takes a turn of its own
            await self._leaving.find_out_trashed(now)
            return "unlinked"
        except PageGone:
            await self._gone(now)
            return "unlinked"
        except PoisonError as error:
            # the properties of another database have other ids
            refused = error.reason == REFUSED and isinstance(now.plan, Update)
            if refused and await self._leaving.find_out_moved(now):
                return "unlinked"
            raise
        return await self.act(now)

    async def _gone(self, now: Situation) -> None:
        """Ask for the database first: what is out of reach with all its pages was taken from none of them."""
        await self._schema.check_now(now.entity)
        await self._leaving.gone(now)
