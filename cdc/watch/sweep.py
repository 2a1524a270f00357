"""The sweep: every page and every row is compared, whatever was told or seen before; a hundred pages a read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from cdc.operate.marker import Marker
from cdc.watch.adoption import Adoption
from cdc.watch.noticing import Noticed, notice
from cdc.watch.polling import Troubles
from sinks.base import PageSink
from sinks.mapping.model import Entity
from state import looks, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Pool
from state.looks import Sweep

TICK_S: Final = 1.0
AGAIN_S: Final = 60.0
"""What could not be swept is tried again after this long."""

MISSING: Final = 1_000
Observer = Callable[[Sweep], None]

log = structlog.get_logger(__name__)


class Sweeping:
    """Sweeps entities when they are due or asked for. It only marks: what to do is decided where it always is."""

    def __init__(
        self,
        pool: Pool,
        sink: PageSink,
        adoption: Adoption,
        marker: Marker,
        entities: Sequence[Entity],
        *,
        every_s: float,
        observer: Observer = lambda _: None,
    ) -> None:
        self._pool = pool
        self._sink = sink
        self._adoption = adoption
        self._marker = marker
        self._entities = entities
        self._every_s = every_s
        self._observer = observer
        self._troubles = Troubles("sweep")
        self._not_before_s: dict[str, float] = {}

    async def run(self, on_marked: Callable[[], None]) -> None:
        """Sweep what is due, until cancelled. With no interval only what is asked for."""
        async with self._pool.connection() as conn:
            await looks.begin(conn, [entity.name for entity in self._entities])
        while True:
            async with self._pool.connection() as conn:
                due = await looks.due(conn, self._every_s)
            for entity in self._entities:
                if entity.name in due and self._not_before_s.get(entity.name, 0.0) <= _now_s():
                    await self.attempt(entity)
                    on_marked()
            await asyncio.sleep(TICK_S)

    async def sweep(self, entity: Entity) -> Sweep:
        """Compare every page of an entity with what was agreed, and mark every row; return what was found."""
        await self._adoption.ensure(entity)
        database_id = self._sink.database_of(entity)
        async with self._pool.connection() as conn:
            began_at = await looks.now(conn)
            # before the first page is read: one that is made meanwhile may stand behind us
            missing = {*await looks.pages(conn, entity.table), *await strays.open_pages(conn, entity.name)}
        read, noticed = 0, Noticed()
        async for pages in self._sink.scan(entity, priority=Priority.BACKFILL):
            read += len(pages)
            missing -= {page.page_id for page in pages}
            async with self._pool.connection() as conn, conn.transaction():
                noticed |= await notice(conn, entity, pages, priority=Priority.BACKFILL, again=True)
        gone = await self._mark_missing(entity, sorted(missing))
        await self._marker.start([entity])
        found = Sweep(
            entity.name, began_at, False, read, len(noticed.differing), gone, len(noticed.unknown)
        )
        async with self._pool.connection() as conn:
            await looks.swept(conn, found, database_id)
        log.info(
            "entity.swept", entity=entity.name, pages=found.pages, differing=found.differing, missing=found.missing,
            unknown=found.unknown,
        )
        self._observer(found)
        return found

    async def attempt(self, entity: Entity) -> None:
        """Sweep an entity, and note it when that can't be done now."""
        try:
            await self.sweep(entity)
        except Exception as error:  # noqa: BLE001 - see cdc.watch.polling
            why = self._troubles.met(entity, error)
            async with self._pool.connection() as conn:
                await looks.troubled(conn, entity.name, why)
            self._not_before_s[entity.name] = _now_s() + AGAIN_S
        else:
            self._troubles.over(entity)
            self._not_before_s.pop(entity.name, None)

    async def _mark_missing(self, entity: Entity, page_ids: Sequence[PageId]) -> int:
        """Mark what belongs to pages that did not show up: only a look at the page itself tells what became of it."""
        for start in range(0, len(page_ids), MISSING):
            ids = page_ids[start : start + MISSING]
            async with self._pool.connection() as conn, conn.transaction():
                rows = await looks.rows_of(conn, entity.table, ids)
                keys = [
                    Key(entity.name, rows[page_id]) if page_id in rows else strays.key_of(page_id) for page_id in ids
                ]
                await work.mark(conn, dict.fromkeys(keys, None), reason=Reason.THEIRS, priority=Priority.BACKFILL)
        return len(page_ids)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
