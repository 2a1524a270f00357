"""Pages that go: into the trash because their row is gone, or out of our reach because people took them away."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from cdc.reconcile.delivery import repoint
from cdc.reconcile.holding import Holding, nothing_to_decide
from cdc.reconcile.plan import Restore, Trash
from cdc.reconcile.reading import Situation
from cdc.reconcile.settling import edited_of
from sinks.base import Page, PageGone, PageSink
from sinks.mapping.entities import columns_of
from state import audit, links, stamps, work
from state.changes import PageId, Priority
from state.database import Connection, Pool
from state.errors import TransientError
from state.links import PageState
from state.work import WorkQueue

GONE: Final = "gone"            # purged, or no longer shared: the two look alike
TRASHED: Final = "trashed_by_person"
MOVED: Final = "moved"

log = structlog.get_logger(__name__)


class DatabaseTrashed(TransientError):
    """The database around the page is in the trash: the entity waits until it is restored."""


class Leaving:
    """Takes leave of one page at a time. Each method ends with the key cleared, given back or, on an error, held."""

    def __init__(self, pool: Pool, queue: WorkQueue, sink: PageSink, holding: Holding) -> None:
        self._pool = pool
        self._queue = queue
        self._sink = sink
        self._holding = holding

    async def trash(self, now: Situation, plan: Trash) -> bool:
        """Put the page of a deleted row into the trash; ids stay as a tombstone. False: it is held, nothing is sent."""
        assert now.link is not None
        key = now.claim.key
        group = await self._holding.group(now.entity, key, now.link)
        async with self._pool.connection() as conn, conn.transaction():
            deleted_at = await _deleted_at(conn, now)
            await self._queue.renew(now.claim, conn)
            if not await self._holding.allows(conn, now.entity, key, plan.page_id, group, deleted_at):
                await work.finish(conn, [now.claim])
                return False
        page = await self._sink.set_trashed(now.entity, plan.page_id, trashed=True)
        await self._bury(now, plan.page_id, "trashed", page)
        return True

    async def bury(self, now: Situation, page_id: PageId) -> None:
        """The row of a page that a person took away is gone, too: what was agreed on is forgotten."""
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await nothing_to_decide(conn, now.entity, now.claim.key, now.participant_id)
            await links.forget_values(conn, now.entity.table, now.claim.system_id)
            await audit.append(conn, audit.Entry("row.gone", now.claim.key, now.participant_id, page_id))
            await work.finish(conn, [now.claim])

    async def unlink(self, now: Situation, page_id: PageId, because: str) -> None:
        """The page is out of our reach, whoever took it away: the row is untouched and its edits wait."""
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            if now.link is None or now.link.unlinked_because != because:
                await links.set_state(conn, now.entity.table, now.claim.system_id, PageState.UNLINKED, because)
                await audit.append(conn, audit.Entry(f"page.{because}", now.claim.key, now.participant_id, page_id))
                log.warning("page.unlinked", entity=now.entity.name, why=because)
            await work.finish(conn, [now.claim])

    async def gone(self, now: Situation) -> None:
        """Notion knows no such page, though it knows the database: it was purged, or is not shared by itself.

        Where a page is wanted back, another is looked for by its System ID, and made where there is none.
        """
        assert now.link is not None
        assert now.link.page_id is not None
        if isinstance(now.plan, Trash):
            await self._bury(now, now.link.page_id, GONE)
            return
        if not isinstance(now.plan, Restore):
            await self.unlink(now, now.link.page_id, GONE)
            return
        async with self._pool.connection() as conn:
            await repoint(conn, now.entity.name, now.link.page_id)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await links.forget_page(conn, now.entity.table, now.claim.system_id)
            await audit.append(conn, audit.Entry("page.given_up", now.claim.key, now.participant_id, now.link.page_id))
            await work.release(conn, now.claim, wait_s=0, counts=False)

    async def find_out_trashed(self, now: Situation) -> None:
        """Notion says something is in the trash: the page itself, or the database around it.

        Whose row is gone may have put there ourselves, by a request whose answer was lost; a person did it otherwise.
        """
        page_id = now.link.page_id if now.link is not None else None
        assert page_id is not None
        try:
            async with self._sink.turn(Priority(now.claim.priority)):
                page = await self._sink.read(now.entity, page_id)
        except PageGone:
            await self.gone(now)
            return
        if not page.in_trash:
            raise DatabaseTrashed(f"the database {now.entity.title} is in Notion's trash")
        if isinstance(now.plan, Trash):
            await self._bury(now, page_id, "trashed", page)
        else:
            await self.unlink(now, page_id, TRASHED)

    async def find_out_moved(self, now: Situation) -> bool:
        """Notion refused a write: whether that is because the page is in its place no more. It is unlinked then."""
        page_id = now.link.page_id if now.link is not None else None
        assert page_id is not None
        try:
            async with self._sink.turn(Priority(now.claim.priority)):
                page = await self._sink.read(now.entity, page_id)
        except PageGone:
            await self.gone(now)
            return True
        if self._sink.holds(now.entity, page):
            return False
        await self.unlink(now, page_id, MOVED)
        return True

    async def _bury(self, now: Situation, page_id: PageId, what: str, page: Page | None = None) -> None:
        """Neither row nor page are there any more: a tombstone stays, which knows ids only."""
        edited = edited_of(now.link.base, page, ()) if page is not None and now.link is not None else ()
        # edits that never reached the row, which is gone
        lost = {key: page.values[key] for key in edited} if page is not None else {}
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            await _unanswered(conn, now, page_id)
            await nothing_to_decide(conn, now.entity, now.claim.key, now.participant_id)
            await links.set_state(conn, now.entity.table, now.claim.system_id, PageState.TRASHED)
            await audit.append(
                conn,
                audit.Entry(
                    f"page.{what}", now.claim.key, now.participant_id, page_id, edited,
                    request_id=page.request_id if page is not None else None, detail={"lost": lost} if lost else {},
                ),
            )
            await work.finish(conn, [now.claim])


async def _unanswered(conn: Connection, now: Situation, page_id: PageId) -> None:
    """A write before this was not answered, and nobody will look what became of it: what it named is on record."""
    if now.link is not None and now.link.pushing:
        await audit.append(
            conn,
            audit.Entry("page.unanswered", now.claim.key, now.participant_id, page_id, tuple(now.link.pushing)),
        )


async def _deleted_at(conn: Connection, now: Situation) -> datetime:
    """Return when the row was deleted: the commit's time, else that of the mark."""
    system_id = now.claim.system_id
    found = await stamps.load(conn, now.entity.name, columns_of(now.entity), [system_id])
    deleted_at = found[system_id].deleted_at if system_id in found else None
    return deleted_at if deleted_at is not None else now.claim.marked_at
