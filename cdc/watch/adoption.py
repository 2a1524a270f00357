"""Adopting pages that stand already: an entity's pages are looked through once for System IDs, a hundred a read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from sinks.base import EntityUnavailable, PageSink
from sinks.mapping.entities import SYSTEM_ID
from sinks.mapping.model import Entity
from state import audit, links, settings, work
from state.changes import ABSENT, Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.links import PageState
from state.merge import Base, Pair

log = structlog.get_logger(__name__)


async def found_pages(sink: PageSink, entity: Entity) -> Mapping[str, tuple[tuple[PageId, Base], ...]]:
    """Return the pages that carry a System ID, by it, with what they show; raises EntityUnavailable if none can."""
    if SYSTEM_ID.key in sink.paused(entity):
        raise EntityUnavailable(f"the pages of {entity.title} can't be told apart without {SYSTEM_ID.name}")
    found: dict[str, tuple[tuple[PageId, Base], ...]] = {}
    async for batch in sink.scan(entity):
        for page in batch:
            if page.system_id is not None and not page.in_trash:
                base = {field: Pair(ABSENT, value) for field, value in page.values.items()}
                found[page.system_id] = (*found.get(page.system_id, ()), (page.page_id, base))
    return found


class Adoption:
    """Looks each entity through once for as long as its data source stays the same."""

    def __init__(self, pool: Pool, sink: PageSink, directions: Mapping[str, str]) -> None:
        self._pool = pool
        self._sink = sink
        self._directions = directions
        self._done: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    def done(self, entity: Entity) -> bool:
        """Whether there is nothing left to look through, as far as is known here."""
        return entity.name in self._done

    async def ensure(self, entity: Entity) -> None:
        """Link what can be found before the first page of the entity is made, or looked at."""
        if entity.name in self._done:
            return
        async with self._one_at_a_time:
            await self._look_through(entity)

    async def _look_through(self, entity: Entity) -> None:
        async with self._pool.connection() as conn:
            source = (await settings.data_sources(conn)).get(entity.name)
        if source is not None and source.scanned_at is not None:
            self._done.add(entity.name)
            return
        adopted = 0
        found = await found_pages(self._sink, entity)
        async with self._pool.connection() as conn, conn.transaction():
            for system_id, pages in sorted(found.items()):
                adopted += await self._adopt(conn, entity, system_id, pages)
            keys: dict[Key, int | None] = {Key(entity.name, system_id): None for system_id in found}
            await work.mark(conn, keys, reason=Reason.OURS, priority=Priority.BACKFILL)
            await settings.scanned(conn, entity.name)
        self._done.add(entity.name)
        log.info("pages.adopted", entity=entity.name, found=len(found), adopted=adopted)

    async def _adopt(
        self, conn: Connection, entity: Entity, system_id: str, pages: tuple[tuple[PageId, Base], ...]
    ) -> int:
        """Link one page; of two with one System ID neither is linked, until a person decides."""
        one = len(pages) == 1
        page_id, base = pages[0] if one else (None, {})
        adopted = await links.adopt(
            conn, entity.table, system_id,
            page_id=page_id, database_id=self._sink.database_of(entity),
            direction=self._directions.get(entity.name, "both"),
            state=PageState.LIVE if one else PageState.AMBIGUOUS, base=base,
        )
        if adopted:
            action = "page.adopted" if one else "page.ambiguous"
            await audit.append(conn, audit.Entry(action, Key(entity.name, system_id), None, page_id))
        return int(adopted and one)
