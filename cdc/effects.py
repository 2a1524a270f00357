"""Carrying out a plan: intent before the call, base after the observed answer, both under the key's lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from cdc.plan import Create, Resolve, Restore, Settle, Trash, Update, next_interval_s
from cdc.reading import Reader, Situation
from sinks.base import OutcomeUnknown, Page, PageGone, PageSink
from state import audit, links, lookups, work
from state.changes import ABSENT, Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.errors import PoisonError, SyncError, TransientError
from state.links import PageState, Settled
from state.merge import Base, Json, Pair, observed
from state.work import Claim, WorkQueue

log = structlog.get_logger(__name__)

SYSTEM_ID: Final = "systemId"
LOOKUP_FIRST_S: Final = 1.0
LOOKUP_LONGEST_S: Final = 10.0


class Effects:
    """One effect for one key. Each method ends with the key cleared, given back or, on an error, still held."""

    def __init__(self, pool: Pool, queue: WorkQueue, sink: PageSink, reader: Reader, *, lookup_window_s: float) -> None:
        self._pool = pool
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
                database_id=self._sink.database_of(entity), direction=now.direction,
            )
        try:
            page = await self._sink.create(entity, now.ours.values)
        except OutcomeUnknown as error:
            if error.page_id is None:
                raise
            # Notion says which page it made: as good as an answer, but for what the page shows
            log.info("page.create_confirmed", entity=entity.name)
            base = observed({}, now.ours.values, {})
            await self._store(
                now, error.page_id, base, None, "page.created", now.ours.values, sent=True, edited_at=None
            )
            return
        except SyncError:
            # every other failure says that nothing was made
            await self._forget_intent(now)
            raise
        await self._settle(now, page, observed({}, now.ours.values, _got(page)), "page.created", now.ours.values)

    async def update(self, now: Situation, plan: Update) -> None:
        """Write the fields that differ; what is on its way is stored first. Raises PageTrashed, PageGone."""
        entity, claim = now.entity, now.claim
        async with self._pool.connection() as conn, conn.transaction():
            await self._queue.renew(claim, conn)
            await links.store_pushing(conn, entity.table, claim.system_id, plan.values)
        page = await self._sink.update(entity, plan.page_id, plan.values)
        base = observed(plan.base, plan.values, _got(page))
        await self._settle(now, page, base, "page.updated", plan.values)

    async def trash(self, now: Situation, plan: Trash) -> None:
        """Put the page of a deleted row into the trash; ids stay as a tombstone. Raises PageGone."""
        async with self._pool.connection() as conn:
            await self._queue.renew(now.claim, conn)
        page = await self._sink.set_trashed(now.entity, plan.page_id, trashed=True)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await links.set_state(conn, now.entity.table, now.claim.system_id, PageState.TRASHED)
            await audit.append(
                conn,
                audit.Entry(
                    "page.trashed", now.claim.key, now.participant_id, plan.page_id, request_id=page.request_id
                ),
            )
            await work.finish(conn, [now.claim])

    async def restore(self, now: Situation, plan: Restore) -> None:
        """Take the page of a row that is back out of the trash; its fields are compared next. Raises PageGone."""
        async with self._pool.connection() as conn:
            await self._queue.renew(now.claim, conn)
        page = await self._sink.set_trashed(now.entity, plan.page_id, trashed=False)
        await self._settle(now, page, _seen_ours(page), "page.restored", {}, again=True)

    async def resolve(self, now: Situation, plan: Resolve) -> None:
        """Look for the page of a create whose outcome is unknown; make it only when it stays unfound."""
        entity, claim = now.entity, now.claim
        pages = await self._sink.find(entity, claim.system_id)
        if len(pages) == 1:
            await self._settle(now, pages[0], _seen_ours(pages[0]), "page.adopted", {}, again=True)
            return
        if pages:
            async with self._pool.connection() as conn:
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

    async def settle(self, now: Situation, plan: Settle) -> None:
        """Store what is known without a call."""
        assert now.link is not None
        assert now.link.page_id is not None
        await self._store(now, now.link.page_id, plan.base, None, "page.compared", {}, sent=False, edited_at=None)

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

    async def _settle(
        self, now: Situation, page: Page, base: Base, action: str, sent: Mapping[str, Json], *, again: bool = False
    ) -> None:
        await self._store(
            now, page.page_id, base, page.request_id, action, sent,
            sent=bool(sent), edited_at=page.edited_at, again=again,
        )

    async def _store(
        self,
        now: Situation,
        page_id: PageId,
        base: Base,
        request_id: str | None,
        action: str,
        properties: Mapping[str, Json],
        *,
        sent: bool,
        edited_at: datetime | None,
        again: bool = False,
    ) -> None:
        """Store the new base and the audit line and clear the key, in one transaction under the lease.

        `again`: the page was only found; the key goes back at once, to be compared.
        """
        entity, claim = now.entity, now.claim
        waiting = now.waiting
        left_out = now.ours.left_out if now.ours is not None else {}
        newly_live = now.link is None or now.link.state != PageState.LIVE
        settled = Settled(
            page_id, self._sink.database_of(entity), now.direction, base, left_out, sent,
            next_interval_s(now.link) if sent else (now.link.send_interval_s if now.link else 0.0), edited_at,
        )
        async with self._pool.connection() as conn:
            async with conn.transaction():
                # before the work row: whoever delivers the awaited page holds this lock while it marks us
                await lookups.lock_targets(conn, waiting)
                await work.hold(conn, claim)
                await links.settle(conn, entity.table, claim.system_id, settled)
                detail = {"left_out": dict(left_out)} if left_out else {}
                await audit.append(
                    conn,
                    audit.Entry(
                        action, claim.key, now.participant_id, page_id, tuple(properties),
                        request_id=request_id, detail=detail,
                    ),
                )
                await lookups.wait_for(conn, claim.key, waiting)
                arrived = await self._reader.pages(conn, set(waiting))
                if arrived or again:
                    await work.release(conn, claim, wait_s=0, counts=False)
                elif not newly_live:
                    await work.finish(conn, [claim])
            if newly_live:
                await _hand_over(conn, claim.key)
                if not (arrived or again):
                    await work.finish(conn, [claim])
        log.debug(action, entity=entity.name, properties=len(properties), took_s=_age_s(claim))

    async def _unlink(self, now: Situation, page_id: PageId, action: str) -> None:
        """The page is out of our reach, whoever took it away: the row is untouched and its edits wait."""
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await links.set_state(conn, now.entity.table, now.claim.system_id, PageState.UNLINKED)
            await audit.append(conn, audit.Entry(action, now.claim.key, now.participant_id, page_id))
            await work.finish(conn, [now.claim])
        log.warning("page.unlinked", entity=now.entity.name, why=action)

    async def unlink_gone(self, now: Situation) -> None:
        """Notion knows no such page, though it knows the database: it was purged, or is not shared by itself."""
        assert now.link is not None
        assert now.link.page_id is not None
        await self._unlink(now, now.link.page_id, "page.gone")

    async def find_out_trashed(self, now: Situation) -> None:
        """Notion says something is in the trash: the page itself (a person did it) or the database around it."""
        page_id = now.link.page_id if now.link is not None else None
        assert page_id is not None
        try:
            async with self._sink.turn(Priority(now.claim.priority)):
                page = await self._sink.read(now.entity, page_id)
        except PageGone:
            await self._unlink(now, page_id, "page.gone")
            return
        if page.in_trash:
            await self._unlink(now, page_id, "page.trashed_by_person")
            return
        raise DatabaseTrashed(f"the database {now.entity.title} is in Notion's trash")

    async def _forget_intent(self, now: Situation) -> None:
        async with self._pool.connection() as conn:
            await links.drop_intent(conn, now.entity.table, now.claim.system_id)

    def _intent_age_s(self, now: Situation) -> float:
        assert now.link is not None
        if now.link.intended_at is None:
            return self._lookup_window_s
        return (now.link.read_at - now.link.intended_at).total_seconds()


class DatabaseTrashed(TransientError):
    """The database around the page is in the trash: the entity waits until it is restored."""


async def deliver(conn: Connection, targets: Sequence[Key]) -> None:
    """Mark the records whose relations wait for the pages of `targets`, which stand for some time."""
    for target in await lookups.awaited(conn, targets):
        await _hand_over(conn, target)


async def _hand_over(conn: Connection, target: Key) -> None:
    """Mark the records whose relations wait for the page of `target`, also if they say so at this very moment."""
    async with conn.transaction():
        # the look comes after the lock: a record that saw no page yet holds it until its wait can be seen
        await lookups.lock_targets(conn, [target])
        waiting = await lookups.take_waiting(conn, target)
        await work.mark(conn, dict.fromkeys(waiting, None), reason=Reason.OURS, priority=Priority.BACKFILL)


def _got(page: Page) -> dict[str, Json]:
    return dict(page.values)


def _seen_ours(page: Page) -> Base:
    """Return the base of a page that we made ourselves but know only from reading it.

    Its System ID counts as sent: should the row go, the page may go with it (see `plan.decide`).
    """
    base = {field: Pair(ABSENT, value) for field, value in page.values.items()}
    return {**base, SYSTEM_ID: Pair(page.system_id, page.system_id)}


def _age_s(claim: Claim) -> float:
    return (datetime.now(UTC) - claim.marked_at).total_seconds()
