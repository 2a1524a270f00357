"""The initial sync by command: mark everything, then see it through; or only say what it would do."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, LiteralString

from cdc.adoption import found_pages
from cdc.app import Parts, reader_of, reconciler_of, sink_of
from cdc.plan import Create, Nothing, Settle, Update
from cdc.reading import Reader, Situation
from sinks.mapping.model import Entity
from state import settings as facts
from state.changes import PageId
from state.links import Link, PageState
from state.merge import Base, base_to_json
from state.work import Claim, Parked

POLL_S: Final = 0.5
WATCH_S: Final = 3.0
DRY_RUN_PAGE: Final = 500

WAITING: Final[LiteralString] = """
select
    exists (select 1 from marking where entity = any (%(entities)s)),
    (select count(*) from work where entity = any (%(entities)s) and priority >= 2)
"""

Progress = Callable[[int, int], None]
"""Called with (keys through, keys in all)."""


@dataclass(slots=True)
class Forecast:
    """What a backfill of one entity would do."""

    entity: str
    create: int = 0
    update: int = 0
    unchanged: int = 0
    invalid: int = 0                                   # rows with a value that Notion can't hold
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)   # (field, reason) -> rows


class Backfill:
    """One backfill of some entities."""

    def __init__(self, parts: Parts, entities: Sequence[Entity]) -> None:
        self._parts = parts
        self._entities = entities
        self._total = 0

    async def run(self, progress: Progress) -> tuple[Parked, ...]:
        """Mark every row and see all of it through; return what ended parked.

        Works the queue off itself when no `run` is active, else watches the active one do it.
        """
        started_at = datetime.now(UTC)
        await self._parts.marker.start(self._entities)
        done = False
        while not done:
            # asked again while watching: should the active process end, the rest is ours to do
            async with self._parts.leadership().attempt() as lock:
                done = await (self._watch(progress, WATCH_S) if lock is None else self._work(progress))
        parked = await self._parts.queue.parked()
        names = {entity.name for entity in self._entities}
        return tuple(item for item in parked if item.entity in names and item.parked_at >= started_at)

    async def _work(self, progress: Progress) -> bool:
        sink = await sink_of(self._parts)
        await self._parts.queue.take_over()
        reconciler = reconciler_of(self._parts, sink)
        async with asyncio.TaskGroup() as tasks:
            marking = tasks.create_task(self._parts.marker.finish(), name="marker")
            working = tasks.create_task(reconciler.run(), name="reconcile")
            await marking
            done = await self._watch(progress)
            working.cancel()
        return done

    async def _watch(self, progress: Progress, for_s: float = math.inf) -> bool:
        """Watch until nothing of these entities waits at backfill priority any more; False when `for_s` ended first."""
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            marking, waiting = await self._waiting()
            self._total = max(self._total, waiting)
            progress(self._total - waiting, self._total)
            if not marking and not waiting:
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def _waiting(self) -> tuple[bool, int]:
        names = [entity.name for entity in self._entities]
        async with self._parts.pool.connection() as conn:
            row = await (await conn.execute(WAITING, {"entities": names})).fetchone()
        assert row is not None
        return bool(row[0]), int(row[1])

    async def forecast(self) -> tuple[Forecast, ...]:
        """Return what would be done, without a call that writes on either side."""
        sink = await sink_of(self._parts)
        reader = reader_of(self._parts)
        forecasts = []
        for entity in self._entities:
            async with self._parts.pool.connection() as conn:
                scanned = (await facts.data_sources(conn))[entity.name].scanned_at is not None
            adoptable = {} if scanned else await found_pages(sink, entity)
            forecasts.append(await self._forecast(entity, reader, adoptable))
        return tuple(forecasts)

    async def _forecast(
        self, entity: Entity, reader: Reader, adoptable: Mapping[str, tuple[tuple[PageId, Base], ...]]
    ) -> Forecast:
        forecast = Forecast(entity.name)
        after = ""
        while ids := await self._parts.rows.page_of_ids(entity, after, DRY_RUN_PAGE):
            after = ids[-1]
            for now in await reader.read(entity, [_unclaimed(entity, system_id) for system_id in ids]):
                _count(forecast, _adopted(now, adoptable.get(now.claim.system_id, ())))
        return forecast


def _count(forecast: Forecast, now: Situation) -> None:
    match now.plan:
        case Create():
            forecast.create += 1
        case Update():
            forecast.update += 1
        case Nothing() | Settle():
            forecast.unchanged += 1
        case _:
            forecast.update += 1
    left_out = now.ours.left_out if now.ours is not None else {}
    forecast.invalid += bool(left_out)
    forecast.reasons.update(left_out.items())


def _adopted(now: Situation, pages: Sequence[tuple[PageId, Base]]) -> Situation:
    """Return the situation as it would be once a page that stands already was adopted."""
    if now.link is not None or len(pages) != 1:
        return now
    page_id, base = pages[0]
    link = Link(
        now.entity.table, now.claim.system_id, page_id, PageState.LIVE.value, now.direction, None,
        base_to_json(base), None, {}, None, 0.0, datetime.now(UTC),
    )
    return Situation(now.claim, now.entity, now.ours, link, now.visible, now.direction, now.participant_id)


def _unclaimed(entity: Entity, system_id: str) -> Claim:
    return Claim(entity.name, system_id, 0, 0, 2, 0, 0, None, datetime.now(UTC))
