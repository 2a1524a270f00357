"""Looking at what was edited in Notion since the last look, for edits that no webhook told of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from cdc.shared import Shared
from cdc.watch.noticing import Noticed, notice
from sinks.base import Page, PageSink
from sinks.mapping.model import Entity
from state import looks
from state.changes import PageId, Priority
from state.database import Pool

OVERLAP: Final = timedelta(minutes=2)
"""Edit times are floored to the minute, and a query may show a page as it was a moment ago."""
BEHIND: Final = timedelta(minutes=1)
"""Nothing younger than this counts as seen."""

SHARED_S: Final = 2.0
"""So old may a look be for those who come after it: a burst whose keys are due one by one shares it, too."""

Observer = Callable[[str, int, Noticed], None]
"""Called with (entity, pages read, what was marked) after each look."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class NotionTime:
    """The time that Notion's clock has reached at least: that of the newest edit seen, and what went by since.

    Neither this machine's clock nor the database's is Notion's, and a stopwatch needs no clock to be right.
    """

    newest: datetime | None = None
    at_s: float = 0.0

    def saw(self, edited_at: datetime, now_s: float) -> None:
        """A page shows this time of its last edit now."""
        reached = self.at(now_s)
        if reached is None or edited_at > reached:
            self.newest, self.at_s = edited_at, now_s

    def at(self, moment_s: float) -> datetime | None:
        """Return the least that Notion's clock showed at a moment of the stopwatch; None: nothing is known."""
        return self.newest + timedelta(seconds=moment_s - self.at_s) if self.newest is not None else None


class Looks:
    """Reads the pages edited since the last look, and marks those that are not as agreed."""

    def __init__(
        self,
        pool: Pool,
        sink: PageSink,
        *,
        stopwatch: Callable[[], float] = time.monotonic,
        observer: Observer = lambda *_: None,
    ) -> None:
        self._pool = pool
        self._sink = sink
        self._stopwatch = stopwatch
        self._observer = observer
        self._notion_time = NotionTime()
        self._shared: dict[str, Shared[Mapping[PageId, Page]]] = {}

    def lately(self, entity: Entity) -> bool:
        """Whether somebody has just looked, so that `shared` costs nothing and keeps nobody waiting."""
        return entity.name in self._shared and self._shared[entity.name].has(SHARED_S)

    async def shared(self, entity: Entity) -> Mapping[PageId, Page]:
        """Return what `edited` finds for live changes, or has found for somebody else since `SHARED_S` ago."""
        if entity.name not in self._shared:
            self._shared[entity.name] = Shared(partial(self.edited, entity, Priority.LIVE), self._stopwatch)
        shared = self._shared[entity.name]
        found = await shared.younger_than(SHARED_S)
        # the first look of all holds every page there is
        asyncio.get_running_loop().call_later(SHARED_S, shared.forget, SHARED_S)
        return found

    async def edited(self, entity: Entity, priority: Priority) -> Mapping[PageId, Page]:
        """Return the pages edited since the last look, and some more, as they are now.

        What they call for is marked before the time of the last look moves. The first look of all sees every page.
        """
        database_id = self._sink.database_of(entity)
        async with self._pool.connection() as conn:
            until = await looks.edited_until(conn, entity.name, database_id)
        began_s = self._stopwatch()
        found: dict[PageId, Page] = {}
        noticed = Noticed()
        since = until - OVERLAP if until is not None else None
        async for pages in self._sink.edited_since(entity, since, priority=priority):
            found.update((page.page_id, page) for page in pages)
            for page in pages:
                if page.edited_at is not None:
                    self._notion_time.saw(page.edited_at, self._stopwatch())
            async with self._pool.connection() as conn, conn.transaction():
                noticed |= await notice(conn, entity, pages, priority=Priority.LIVE)
        # not before the last batch is marked: the newest edits come first
        reached = self._notion_time.at(began_s)
        if reached is not None:
            async with self._pool.connection() as conn:
                await looks.move(conn, entity.name, database_id, reached - BEHIND)
        self._observer(entity.name, len(found), noticed)
        log.debug(
            "edits.looked_for", entity=entity.name, pages=len(found), differing=len(noticed.differing),
            unknown=len(noticed.unknown),
        )
        return found
