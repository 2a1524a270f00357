"""Carrying out a plan: intent before the call, base after the observed answer, both under the key's lease."""

from __future__ import annotations

from typing import Final

import structlog

from cdc.reconcile.delivery import deliver
from cdc.reconcile.plan import Create, Resolve, Restore, Settle, Update
from cdc.reconcile.reading import Reader, Situation
from cdc.reconcile.settling import Settling
from sinks.base import OutcomeUnknown, Page, PageSink
from sinks.mapping.entities import field_of
from sinks.mapping.likeness import alike
from state import links, lookups, settings, work
from state.changes import ABSENT
from state.database import Pool
from state.errors import PoisonError, SyncError
from state.links import PageState
from state.merge import Base, Json, Pair, observed
from state.work import WorkQueue

log = structlog.get_logger(__name__)

SYSTEM_ID: Final = "systemId"
LOOKUP_FIRST_S: Final = 1.0
LOOKUP_LONGEST_S: Final = 10.0


class Effects:
    """One effect for one key. Each method ends with the key cleared, given back or, on an error, still held."""

    def __init__(
        self,
        pool: Pool,
        queue: WorkQueue,
        sink: PageSink,
        reader: Reader,
        settling: Settling,
        *,
        lookup_window_s: float,
    ) -> None:
        self._pool = pool
        self._settling = settling
        self._queue = queue
        self._sink = sink
        self._reader = reader
        self._lookup_window_s = lookup_window_s

    async def create(self, now: Situation, _: Create) -> None:
        """Make the page. Intent first: should we die now, the next worker looks before it makes another."""
        entity, claim = now.entity, now.claim
        assert now.ours is not None
        async with self._pool.connection() as conn, conn.transaction():
            await self._queue.renew(claim, conn)
            await links.intend(
                conn, entity.table, claim.system_id,
                database_id=self._sink.database_of(entity), direction=now.direction, pushing=now.ours.values,
            )
        try:
            page = await self._sink.create(entity, now.ours.values)
        except OutcomeUnknown as error:
            if error.page_id is None:
                raise
            # Notion says which page it made: as good as an answer, but for what the page shows
            log.info("page.create_confirmed", entity=entity.name)
            unseen = observed({}, now.ours.values, {})
            await self._settling.store(now, error.page_id, unseen, "page.created", now.ours.values)
            return
        except SyncError:
            # every other failure says that nothing was made
            await self._forget_intent(now)
            raise
        base = await self._settling.base_after(now, {}, now.ours.values, page)
        await self._settling.store(now, page.page_id, base, "page.created", now.ours.values, page=page)

    async def update(self, now: Situation, plan: Update) -> None:
        """Write the fields that differ; what is on its way is stored first. Raises PageTrashed, PageGone."""
        entity, claim = now.entity, now.claim
        async with self._pool.connection() as conn, conn.transaction():
            await self._queue.renew(claim, conn)
            await links.store_pushing(conn, entity.table, claim.system_id, plan.values)
        page = await self._sink.update(entity, plan.page_id, plan.values)
        base = await self._settling.base_after(now, plan.base, plan.values, page)
        await self._settling.store(now, page.page_id, base, "page.updated", plan.values, page=page, plan=plan)

    async def restore(self, now: Situation, plan: Restore) -> None:
        """Take the page of a row that is back out of the trash; its fields are compared next. Raises PageGone."""
        async with self._pool.connection() as conn:
            await self._queue.renew(now.claim, conn)
        page = await self._sink.set_trashed(now.entity, plan.page_id, trashed=False)
        # a page that a person took away is merged with what was agreed before; a tombstone has nothing of that
        kept = now.link.base if now.link is not None and now.link.state == PageState.UNLINKED else None
        await self._settling.store(
            now, page.page_id, kept or _seen_ours(page), "page.restored", {}, page=page, again=True, theirs=bool(kept)
        )

    async def resolve(self, now: Situation, plan: Resolve) -> None:
        """Look for the page of a create whose outcome is unknown; make it only when it stays unfound."""
        entity, claim = now.entity, now.claim
        pages = await self._sink.find(entity, claim.system_id)
        if len(pages) == 1:
            page = pages[0]
            base = await self._base_of_found(now, page)
            # should we have made it, this line is the only one that says what went there
            await self._settling.store(
                now, page.page_id, base, "page.adopted", {}, page=page, again=True, read=page.values
            )
            return
        if pages:
            async with self._pool.connection() as conn, conn.transaction():
                # the search may have outlasted the lease: somebody else may have found, or made, the page by now
                await work.hold(conn, claim)
                await links.set_state(conn, entity.table, claim.system_id, PageState.AMBIGUOUS)
            raise PoisonError("ambiguous", f"{len(pages)} pages carry this System ID")
        age_s = self._intent_age_s(now)
        if age_s < self._lookup_window_s:
            wait_s = min(max(LOOKUP_FIRST_S, age_s), LOOKUP_LONGEST_S, self._lookup_window_s - age_s)
            async with self._pool.connection() as conn:
                await work.release(conn, claim, wait_s=wait_s, counts=False)
            return
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, claim)
            await links.drop_intent(conn, entity.table, claim.system_id)
            await work.release(conn, claim, wait_s=0, counts=False)
        log.info("page.create_refuted", entity=entity.name, wanted=plan.wanted)

    async def _base_of_found(self, now: Situation, page: Page) -> Base:
        """Return what was agreed by a create that was not answered: all that it said, if it was ours that made it.

        What shows something else by now was edited by a person; what MapAble says otherwise changed there since.
        """
        sent = now.link.pushing if now.link is not None else None
        if not sent or not await self._made_by_us(page):
            return _seen_ours(page)
        made = {key: Pair(value, _got(now, key, value, page)) for key, value in sent.items() if key in page.values}
        return {**_seen_ours(page), **made}

    async def _made_by_us(self, page: Page) -> bool:
        async with self._pool.connection() as conn:
            bot = (await settings.get(conn, settings.BOT) or {}).get("id")
        return bot is not None and page.created_by == bot

    async def settle(self, now: Situation, plan: Settle) -> None:
        """Store what is known without a call."""
        assert now.link is not None
        assert now.link.page_id is not None
        await self._settling.store(now, now.link.page_id, plan.base, "page.compared", {})

    async def wait(self, now: Situation) -> None:
        """Nothing to send yet, but a relation points at a row without a page: note it, so that the page marks us."""
        claim = now.claim
        waiting = now.waiting
        async with self._pool.connection() as conn:
            await deliver(conn, (claim.key,))
            async with conn.transaction():
                await lookups.lock_targets(conn, waiting)
                await work.hold(conn, claim)
                await lookups.wait_for(conn, claim.key, waiting)
                if await self._reader.pages(conn, set(waiting)):
                    await work.release(conn, claim, wait_s=0, counts=False)
                else:
                    await work.finish(conn, [claim])

    async def _forget_intent(self, now: Situation) -> None:
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await links.drop_intent(conn, now.entity.table, now.claim.system_id)

    def _intent_age_s(self, now: Situation) -> float:
        assert now.link is not None
        if now.link.intended_at is None:
            return self._lookup_window_s
        return (now.link.read_at - now.link.intended_at).total_seconds()


def _got(now: Situation, key: str, sent: Json, page: Page) -> Json:
    """Return what Notion made of a value: what the page shows, if that is but another way of writing it."""
    shown = page.values[key]
    return shown if alike(field_of(now.entity, key).kind)(sent, shown) else sent


def _seen_ours(page: Page) -> Base:
    """Return the base of a page that we made ourselves but know only from reading it.

    Its System ID counts as sent: should the row go, the page may go with it (see `plan.decide`).
    """
    base = {field: Pair(ABSENT, value) for field, value in page.values.items()}
    return {**base, SYSTEM_ID: Pair(page.system_id, page.system_id)}
