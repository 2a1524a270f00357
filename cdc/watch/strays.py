"""Working off pages that no row is linked to: adopted, flagged, put into the trash, or made into a row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from cdc.reconcile.delivery import hand_over, repoint
from cdc.watch.comparing import facts_of
from cdc.watch.newcomers import Newcomers
from cdc.watch.noticing import key_of_link
from cdc.watch.verdicts import Adopt, Ask, Flag, Forget, Make, Owner, Trash, Unreadable, judge
from sinks.base import Page, PageGone, PageSink, PageTrashed
from sinks.mapable.rows import Rows
from sinks.mapping.model import Entity
from state import audit, links, looks, settings, strays, work
from state.changes import ABSENT, Key, PageId, Priority, Reason
from state.database import Pool
from state.errors import RateLimited, TransientError
from state.links import PageState
from state.merge import Base, Pair
from state.strays import Stray
from state.work import Claim, WorkQueue

TWO_PAGES = "Two pages carry this System ID, and its row has none: keep one, and clear the other's System ID."
UNREADABLE = "Its System ID can't be read: bring the property back."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Case:
    """One page in hand: what it shows, the row that its System ID names, and the participant concerned."""

    claim: Claim
    entity: Entity
    page: Page
    owner: Owner | None
    participant: str | None

    def line(self, action: str) -> audit.Entry:
        """Return an audit line about it; by whom it was made is who did it."""
        key = self.owner.key if self.owner is not None else Key(self.entity.name, "")
        return audit.Entry(
            action, key, self.participant, self.page.page_id,
            actor=self.page.created_by or "sync", request_id=self.page.request_id,
        )


class Strays:
    """Judges one page at a time. Each ends with its key cleared, given back or, on an error, still held."""

    def __init__(
        self,
        pool: Pool,
        queue: WorkQueue,
        sink: PageSink,
        rows: Rows,
        newcomers: Newcomers,
        entities: Sequence[Entity],
        *,
        create_rows: Collection[str],
        directions: Mapping[str, str],
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._sink = sink
        self._rows = rows
        self._newcomers = newcomers
        self._entities = {entity.name: entity for entity in entities}
        self._create_rows = create_rows
        self._directions = directions

    async def work(self, claim: Claim) -> None:
        """Find out whose page it is and do what is due."""
        page_id = PageId(claim.system_id)
        async with self._pool.connection() as conn:
            link = (await looks.linked(conn, [page_id])).get(page_id)
            bot = (await settings.get(conn, settings.BOT) or {}).get("id")
        if link is not None:
            await self._close(claim, key_of_link(link))
            return
        case = await self._look_at(claim)
        if case is None:
            await self._close(claim)
            return
        may_make = case.entity.name in self._create_rows and self._direction(case.entity) != "to_notion"
        verdict = judge(case.page, case.owner, bot=bot, may_make=may_make)
        log.debug("page.judged", entity=case.entity.name, verdict=type(verdict).__name__)
        match verdict:
            case Forget():
                await self._close(claim)
            case Unreadable():
                await self._flag(case, "other", None, note=UNREADABLE)
            case Ask(key):
                await self._flag(case, "other", None, ask=key)
            case Adopt(key, instead):
                await self._adopt(case, key, instead=instead)
            case Trash(key, original):
                await self._trash(case, key, original)
            case Flag(kind, action):
                await self._flag(case, kind, case.line(action))
            case Make():
                await self._newcomers.make(claim, case.entity, case.page)

    async def _look_at(self, claim: Claim) -> Case | None:
        """Read the page, and what is known of the row that it names; None when it is in none of our databases."""
        try:
            async with self._turn(claim):
                name, page = await self._sink.identify(PageId(claim.system_id))
        except PageGone:
            return None
        entity = self._entities.get(name) if name is not None else None
        if entity is None:
            return None
        if page.system_id is None:
            return Case(claim, entity, page, None, await self._newcomers.participant(entity, page))
        key = Key(entity.name, page.system_id)
        read = (await self._rows.read(entity, {page.system_id: None}))[page.system_id]
        async with self._pool.connection() as conn:
            link = (await links.load(conn, entity.table, [page.system_id])).get(page.system_id)
            was_its = await audit.was_its_page(conn, key, page.page_id)
        due = entity.is_due(read.row)
        owner = Owner(key, due, link.state, link.page_id, was_its) if link is not None else Owner(key, due)
        participant = (
            await self._newcomers.participant(entity, page) if read.row is None
            else entity.participant_of(page.system_id, read.row)
        )
        return Case(claim, entity, page, owner, participant)

    async def _adopt(self, case: Case, key: Key, *, instead: bool) -> None:
        """Link the page to the row that has none, unless another one claims the same."""
        others = await self._rivals(case, key)
        page, entity = case.page, case.entity
        base: Base = {field: Pair(ABSENT, value) for field, value in page.values.items()}
        database_id, direction = self._sink.database_of(entity), self._direction(entity)
        if others:
            async with self._pool.connection() as conn:
                if not instead:
                    await links.adopt(
                        conn, entity.table, key.system_id, page_id=None, database_id=database_id, direction=direction,
                        state=PageState.AMBIGUOUS, base={},
                    )
            await self._flag(case, "other", case.line("page.ambiguous"), note=TWO_PAGES, ask=key)
            return
        replaced = case.owner.page_id if instead and case.owner is not None else None
        if replaced is not None:
            # they wait for a page as long as there is none
            async with self._pool.connection() as conn:
                await repoint(conn, entity.name, replaced)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, case.claim)
            if instead:
                adopted = await strays.relink(conn, entity.table, key.system_id, page.page_id, database_id, base)
            else:
                adopted = await links.adopt(
                    conn, entity.table, key.system_id, page_id=page.page_id, database_id=database_id,
                    direction=direction, state=PageState.LIVE, base=base,
                )
            if not adopted:
                raise TransientError("the row or the page was linked meanwhile")
            await audit.append(conn, case.line("page.adopted"))
        async with self._pool.connection() as conn:
            await hand_over(conn, key)
        await self._close(case.claim, key)

    async def _rivals(self, case: Case, key: Key) -> frozenset[PageId]:
        """Return the other pages that carry the System ID and belong to no row either."""
        found = {page.page_id for page in await self._sink.find(case.entity, key.system_id)} - {case.page.page_id}
        async with self._pool.connection() as conn:
            return frozenset(found - (await looks.linked(conn, sorted(found))).keys())

    async def _trash(self, case: Case, key: Key, original: PageId) -> None:
        """Put our own duplicate into the trash, once the row's page is known to stand."""
        try:
            async with self._turn(case.claim):
                standing = await self._sink.read(case.entity, original)
        except PageGone:
            standing = None
        if standing is None or standing.in_trash or standing.archived:
            await self._mark(key, case.claim)
            raise TransientError("the row's own page is not there: what became of it has to be found out first")
        try:
            async with self._turn(case.claim):
                answer = await self._sink.set_trashed(case.entity, case.page.page_id, trashed=True)
        except (PageGone, PageTrashed):
            await self._close(case.claim)
            return
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, case.claim)
            line = audit.Entry(
                "page.duplicate_trashed", key, case.participant, case.page.page_id, request_id=answer.request_id,
            )
            await audit.append(conn, line)
            await strays.resolve(conn, case.page.page_id)
            await work.finish(conn, [case.claim])
        log.info("page.duplicate_trashed", entity=case.entity.name)

    async def _flag(
        self, case: Case, kind: str, line: audit.Entry | None, *, note: str | None = None, ask: Key | None = None
    ) -> None:
        """Remember the page for a person. It is told once, however often it is edited; `ask` is marked as well."""
        page = case.page
        if ask is not None:
            await self._mark(ask, case.claim)
        stray = Stray(page.page_id, case.entity.name, page.system_id, kind, note, facts_of(page), page.edited_at)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, case.claim)
            before = (await strays.load(conn, [page.page_id])).get(page.page_id)
            news = before is None or before.resolved_at is not None or before.kind != kind
            await strays.flag(conn, stray)
            if news and line is not None:
                await audit.append(conn, line)
            await work.finish(conn, [case.claim])
        if news:
            log.info("page.flagged", entity=case.entity.name, kind=kind)

    async def _close(self, claim: Claim, key: Key | None = None) -> None:
        """It is no stray; `key`: it belongs to a row, whose turn it is."""
        if key is not None:
            await self._mark(key, claim)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, claim)
            await strays.resolve(conn, PageId(claim.system_id))
            await work.finish(conn, [claim])

    async def _mark(self, key: Key, claim: Claim) -> None:
        """Mark a row's key, and not while we hold our own: who marks many takes their locks in another order."""
        async with self._pool.connection() as conn:
            await work.mark(conn, {key: None}, reason=Reason.THEIRS, priority=Priority(claim.priority))

    @asynccontextmanager
    async def _turn(self, claim: Claim) -> AsyncIterator[None]:
        """Wait for the turn to send one request, for no longer than the lease allows, and renew that."""
        try:
            async with (
                asyncio.timeout(self._queue.lease_s / 2) as patience, self._sink.turn(Priority(claim.priority))
            ):
                patience.reschedule(None)
                await self._queue.renew(claim)
                yield
        except TimeoutError:
            raise RateLimited("no turn came while the key was held", 0.5) from None

    def _direction(self, entity: Entity) -> str:
        return self._directions.get(entity.name, "both")
