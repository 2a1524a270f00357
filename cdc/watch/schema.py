"""Watching what people do to the databases: what is renamed goes on, what is removed pauses, what is back is filled."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from cdc.watch.pausing import Paused
from cdc.watch.schema_effects import Found, SchemaEffects
from sinks.base import EntityUnavailable
from sinks.mapping.model import Entity
from sinks.notion import drift
from sinks.notion.completion import Schema
from sinks.notion.schemas import Schemas
from sinks.notion.sink import NotionSink
from state import settings as facts
from state.database import Pool
from state.errors import SyncError, TransientError
from state.settings import DataSource

EVERY_S: Final = 600.0
TROUBLED_S: Final = 15.0
"""Where something is paused, or could not be asked, this is how soon it is looked at again."""
LOOK_S: Final = 1.0
RECENT_S: Final = 90.0
"""A write that was refused may have begun this long ago, by what was known then."""
ATTEMPTS: Final = 5

log = structlog.get_logger(__name__)


class SchemaWatch:
    """Knows how the entities' databases stand. `run` acts on what it finds; everybody else asks."""

    def __init__(
        self, pool: Pool, notion: Schemas, sink: NotionSink, entities: Sequence[Entity], paused: Paused
    ) -> None:
        self._pool = pool
        self._notion = notion
        self._sink = sink
        self._entities: Mapping[str, Entity] = {entity.name: entity for entity in entities}
        self._effects = SchemaEffects(pool, notion, sink, paused)
        self._asked: set[str] = set()
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looks: dict[str, int] = {}
        self._failed: dict[str, SyncError | None] = {}
        self.paused = paused

    @property
    def paused_fields(self) -> Mapping[str, str]:
        """Why fields are left alone, by entity and field."""
        return {
            f"{name}.{key}": why
            for name, source in sorted(self._sink.sources.items())
            if name in self._entities
            for key, why in sorted(source.paused.items())
        }

    def ask(self, name: str) -> None:
        """Have the entity's database looked at soon."""
        self._asked.add(name)
        self._wake.set()

    def was_restored(self, name: str, key: str, label: object) -> bool:
        """Whether a page that showed this label shows nothing since its option went, which was no person's edit."""
        source = self._sink.sources.get(name)
        now = datetime.now(UTC)
        return source is not None and isinstance(label, str) and drift.was_restored(source, key, label, now)

    async def refresh(self) -> Mapping[str, DataSource]:
        """Have the sink go by what is stored, and return that."""
        return await self._effects.refresh()

    async def check_now(self, entity: Entity) -> bool:
        """Return whether a write that was refused may succeed when it is made again: something was moved under it.

        Raises EntityUnavailable when the database is out of reach. Those who ask at the same time share one look; what
        follows from it is left to `run`, since the asker holds a key. Never called within a turn.
        """
        asked = self._looks.get(entity.name, 0)
        async with self._looking:
            if self._looks.get(entity.name, 0) == asked:
                self._looks[entity.name] = asked + 1
                self._failed[entity.name] = await self._looked(entity)
            failed = self._failed[entity.name]
        if failed is not None:
            raise failed
        return _now_s() - self._effects.moved_s.get(entity.name, -math.inf) < RECENT_S

    async def run(self, *, everything: bool = True) -> None:
        """Look at every database now and then, and when asked; with `everything` off at first where it is paused only.

        Never returns. What can't be looked at, or changed, now is tried again.
        """
        stored = await self.refresh()
        due_s = {
            name: 0.0 if everything or _troubled(stored.get(name)) else _now_s() + EVERY_S for name in self._entities
        }
        while True:
            async with self._pool.connection() as conn:
                if await facts.take(conn, facts.SCHEMA_DUE) is not None:
                    self._asked |= set(self._entities)
            for name, entity in self._entities.items():
                if name in self._asked or due_s[name] <= _now_s():
                    self._asked.discard(name)
                    due_s[name] = _now_s() + await self._checked(entity)
            await self._rest()

    async def check(self, entity: Entity) -> None:
        """Look at the entity's database, and do and store what follows."""
        for _ in range(ATTEMPTS):
            try:
                found = await self._look(entity)
                schema = await self._effects.put_back(entity, found)
                if schema is not None:
                    found = await self._judged(entity, schema)
            except EntityUnavailable as error:
                await self._effects.set_unavailable(entity, str(error))
                self.paused.hold(entity.name, str(error))
                return
            if not found.drift.moved(found.source) or await self._effects.follow(entity, found):
                await self._effects.set_unavailable(entity, None)
                self.paused.let_go(entity.name)
                return
        raise TransientError(f"what is known of {entity.title} is changed again and again")

    async def _checked(self, entity: Entity) -> float:
        """Check, and return after how many seconds to do so again."""
        try:
            await self.check(entity)
        except TransientError as error:
            log.warning("schema.unchecked", entity=entity.name, why=str(error))
            return TROUBLED_S
        return TROUBLED_S if _troubled(self._sink.sources.get(entity.name)) else EVERY_S

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _looked(self, entity: Entity) -> SyncError | None:
        """Look, and have `run` do what follows; return why that was not possible."""
        try:
            await self.refresh()
            found = await self._look(entity)
        except SyncError as error:
            if isinstance(error, EntityUnavailable):
                self.ask(entity.name)
            return error
        if found.drift.moved(found.source) or found.drift.missing:
            self._effects.moved_s[entity.name] = _now_s()
            self.ask(entity.name)
        return None

    async def _look(self, entity: Entity) -> Found:
        source = (await self._sources()).get(entity.name)
        if source is None:
            raise EntityUnavailable(f"no database is known for {entity.title}: run `mapable-cdc setup`")
        return await self._judged(entity, await self._notion.read(entity, source))

    async def _judged(self, entity: Entity, schema: Schema) -> Found:
        """Return how a schema stands against what is stored now."""
        sources = await self._sources()
        source = sources[entity.name]
        targets = {name: known.data_source_id for name, known in sources.items()}
        return Found(source, schema, drift.found(entity, schema, source, targets))

    async def _sources(self) -> Mapping[str, DataSource]:
        async with self._pool.connection() as conn:
            return await facts.data_sources(conn)


def _troubled(source: DataSource | None) -> bool:
    return source is not None and (bool(source.paused) or source.unavailable is not None)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
