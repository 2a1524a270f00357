"""Where both sides meet: a page that was read is merged with its row, and what MapAble's side gets is done.

What the page gets is left to be sent, as `Situation.left`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cdc.reconcile import crossing
from cdc.reconcile.absorbing import Absorber, update_of
from cdc.reconcile.facts import Facts, Gatherer
from cdc.reconcile.leaving import MOVED, TRASHED, Leaving
from cdc.reconcile.merging import Merged, merge
from cdc.reconcile.plan import DELETE_REJECTED
from cdc.reconcile.reading import Absorbed, Situation
from cdc.watch.comparing import as_agreed
from cdc.watch.looking import SHARED_S
from cdc.watch.mirrors import astray
from cdc.watch.schema import SchemaWatch
from sinks.base import Page, PageSink
from sinks.mapping.entities import field_of
from sinks.mapping.likeness import alike
from sinks.mapping.model import Kind
from state import audit, links, work
from state.changes import Absent, PageId, Priority, Reason
from state.database import Pool
from state.links import BACK, Link, PageState

SHARED_LOOK_LASTS_S: Final = 60.0
"""A burst takes as long as Notion's window makes it, and what is edited meanwhile is found by the next look."""
CAPTURE_BEHIND_S: Final = 2.0
"""So long a clash waits for the log to tell of MapAble's change, and of its time."""
LANDS_S: Final = 5.0
"""So long after a start, what an earlier process had on its way may still come to land, and be taken for an edit."""
NO_ROW: Final = "page.back_without_row"


class Meeting:
    """Merges one record at a time, under the lease of its key."""

    def __init__(
        self,
        pool: Pool,
        sink: PageSink,
        gatherer: Gatherer,
        absorber: Absorber,
        leaving: Leaving,
        schema: SchemaWatch,
        *,
        always_read: bool,
    ) -> None:
        self._pool = pool
        self._sink = sink
        self._gatherer = gatherer
        self._absorber = absorber
        self._leaving = leaving
        self._schema = schema
        self._landed_s = time.monotonic() + LANDS_S
        self._always_read = always_read    # manual-review: never overwrite what may have been edited a moment ago

    async def seen(self, now: Situation, page: Page) -> Situation | None:
        """Return what is left to be done about a record whose page was read; None when the key is done with."""
        assert now.link is not None
        if now.link.state == PageState.TRASHED or (
            # a row that went while its page was out of reach; one that was left to itself never was
            now.ours is None and now.link.state == PageState.UNLINKED and now.link.unlinked_because != DELETE_REJECTED
        ):
            await self._tombstone(now, page)
            return None
        if page.in_trash or not self._sink.holds(now.entity, page):
            await self._leaving.unlink(now, page.page_id, TRASHED if page.in_trash else MOVED)
            return None
        if now.ours is None and now.link.state == PageState.LIVE and now.direction != "from_notion":
            # the row is gone: what stands on the page changes nothing about that
            return replace(now, claim=replace(now.claim, reasons=int(Reason(0))))
        if page.mirrored and now.claim.reasons & Reason.THEIRS:
            # the pages on the other side may have changed with this one, and no event needs to say so
            async with self._pool.connection() as conn:
                pointing = dict.fromkeys(await astray(conn, now.entity, [page]), None)
                await work.mark(conn, pointing, reason=Reason.THEIRS, priority=Priority.LIVE)
        wait_s = self._landed_s - time.monotonic()
        if wait_s > 0 and _unanswered(now, page):
            async with self._pool.connection() as conn:
                await work.release(conn, now.claim, wait_s=wait_s, counts=False, hold_marks=True)
            return None
        return await self.merged(now, page)

    def may_share_a_look(self, now: Situation) -> bool:
        """Whether it is enough to know that nobody edited the page lately: nothing else calls for reading it."""
        link = now.link
        return (
            not self._always_read
            and link is not None
            and not now.claim.reasons & (Reason.THEIRS | Reason.RESTORE)
            and not (link.refused or link.pushing)
            and link.conflict_state != "pending"
            and now.ours is not None
            and now.ours.values.keys() <= link.base.keys()
            and _unedited(link) is not None
        )

    async def after_look(self, now: Situation, edited: Mapping[PageId, Page]) -> Situation | None:
        """Return what is left to be done after a look at what was edited lately.

        A query may show a page as it was a moment ago, and so an edit that was taken already: it tells which pages have
        to be read, and nothing is taken from it.
        """
        assert now.link is not None
        assert now.link.page_id is not None
        page = edited.get(now.link.page_id)
        if page is not None and not as_agreed(now.link.base, page, now.link.pushing or {}):
            return now
        unedited = _unedited(now.link)
        assert unedited is not None
        # what was edited since the look began, nobody saw: it may have begun so long before the link was read
        now = replace(now, seen_before_s=SHARED_S)
        then = await self.merged(now, unedited)
        if then is None or then.left is None:
            return then
        return replace(then, left=replace(then.left, good_for_s=SHARED_LOOK_LASTS_S))

    async def merged(self, now: Situation, page: Page) -> Situation | None:
        """Merge, and return what is left to be done."""
        assert now.link is not None
        if now.ours is None or now.row is None:
            async with self._pool.connection() as conn:
                await work.finish(conn, [now.claim])
            return None
        facts = await self._gatherer.of(now, page)
        found = merge(now.entity, now.row, now.ours, now.link.base, now.link.pushing or {}, page, facts.rules)
        behind_s = capture_may_be_behind_s(now) if found.decided else 0.0
        if behind_s > 0:
            # MapAble's change was read before the log told when it was made: its mark is on the way, and makes it due
            async with self._pool.connection() as conn:
                await work.release(conn, now.claim, wait_s=behind_s, counts=False)
            return None
        if _only_pushes(now, found, page, facts):
            return replace(now, left=Absorbed(update_of(now, page, found, {}), None, {}, now.link.written))
        if any(field_of(now.entity, key).kind is Kind.SELECT for key in found.refused):
            # what looks like a choice may be the loss of an option, which is put right in the schema
            self._schema.ask(now.entity.name)
        left = await self._absorber.absorb(now, page, found, facts, self._sink.database_of(now.entity))
        return replace(now, left=left) if left.update is not None else None

    async def _tombstone(self, now: Situation, page: Page) -> None:
        """The row is gone, and somebody took its page out of the trash: it is theirs. The audit log says so, once."""
        assert now.link is not None
        known = now.link.unlinked_because == BACK
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, now.claim)
            if known is page.in_trash:
                because = None if page.in_trash else BACK
                await links.set_state(conn, now.entity.table, now.claim.system_id, PageState.TRASHED, because)
            if not page.in_trash and not known:
                await audit.append(conn, audit.Entry(NO_ROW, now.claim.key, now.participant_id, page.page_id))
            await work.finish(conn, [now.claim])


def _unanswered(now: Situation, page: Page) -> bool:
    """Whether a write of ours that nobody saw answered does not show on the page."""
    assert now.link is not None
    return any(
        key in page.values and not alike(field_of(now.entity, key).kind)(value, page.values[key])
        for key, value in (now.link.pushing or {}).items()
    )


def _unedited(link: Link) -> Page | None:
    """Return the page as it must look when nobody edited it since it was last seen; None when that is not known."""
    if link.page_id is None or any(isinstance(pair.got, Absent) for pair in link.base.values()):
        return None
    values = {key: pair.got for key, pair in link.base.items() if not isinstance(pair.got, Absent)}
    return Page(link.page_id, None, link.system_id, values, False, None, None, None)


def capture_may_be_behind_s(now: Situation) -> float:
    """Return how long the log may still take to tell of a change that was read; 0 where that decides nothing.

    Both times are of the database's clock.
    """
    assert now.link is not None
    if now.claim.reasons & Reason.OURS or now.direction == "from_notion":
        return 0.0
    return max(0.0, CAPTURE_BEHIND_S - (now.link.read_at - now.claim.marked_at).total_seconds())


def _only_pushes(now: Situation, found: Merged, page: Page, facts: Facts) -> bool:
    """Whether nothing has to be stored before ours goes to the page, which most changes amount to."""
    link = now.link
    assert link is not None
    assert now.ours is not None
    return (
        bool(found.push)
        and found.base == dict(link.base)
        and not (found.pull or found.refused or found.left_as_is or found.frozen or found.closed)
        and not (link.refused or link.pushing or now.waiting)
        and link.state == PageState.LIVE
        and not (link.written and crossing.crossed(link.written, facts.edits, facts.property_ids, page))
    )
