"""Carrying out what a changed schema asks for: options put back, and what is stored with what follows for the links.

Where links have to change (a property is back, an option went) nothing of the entity may be in hand meanwhile: what was
read of a link before would overwrite it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import psycopg
import structlog

from cdc.watch.pausing import Paused
from sinks.mapping.canonical import empty
from sinks.mapping.entities import field_of
from sinks.mapping.model import Entity
from sinks.notion import drift
from sinks.notion.completion import Schema
from sinks.notion.drift import Drift
from sinks.notion.schemas import Schemas
from sinks.notion.sink import NotionSink
from state import audit, marking, parking, schemas, work
from state import settings as facts
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.errors import PoisonError, TransientError
from state.merge import Json
from state.settings import DataSource

STILL_S: Final = 0.1
STILL_FOR_S: Final = 120.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One look at a data source, by what was stored of it then."""

    source: DataSource
    schema: Schema
    drift: Drift


@dataclass(frozen=True, slots=True)
class _Seen:
    """What pages show in a field that is usable again, by page id."""

    field: str
    values: Mapping[PageId, Json]


class SchemaEffects:
    """What one look asks for, done. The sink goes by what is stored as soon as it is."""

    def __init__(self, pool: Pool, notion: Schemas, sink: NotionSink, paused: Paused) -> None:
        self._pool = pool
        self._notion = notion
        self._sink = sink
        self._paused = paused
        self._refreshing = asyncio.Lock()
        self.moved_s: dict[str, float] = {}
        """When what is known of an entity's database last changed, by the loop's clock."""

    async def refresh(self) -> Mapping[str, DataSource]:
        """Have the sink go by what is stored, and return that."""
        async with self._refreshing:
            return await self._refresh()

    async def set_unavailable(self, entity: Entity, reason: str | None) -> None:
        """Store why the database can't be used, or that it can."""
        action, detail = ("entity.paused", {"reason": reason}) if reason is not None else ("entity.resumed", {})
        async with self._refreshing:
            async with self._pool.connection() as conn, conn.transaction():
                news = await schemas.set_unavailable(conn, entity.name, reason)
                if news:
                    await audit.append(conn, audit.Entry(action, Key(entity.name, ""), detail=detail))
                if news and reason is None:
                    await _try_again(conn, entity)
            if news:
                await self._refresh()

    async def put_back(self, entity: Entity, found: Found) -> Schema | None:
        """Put options that are gone back into the schema, all in one request; None when there is nothing to put back.

        The list replaces the one that is there: an option that a person adds at this very moment is lost. Notion has
        no way to add one.
        """
        lists, labels = {}, {}
        properties = {prop["id"]: prop for prop in found.schema["properties"].values()}
        for key, missing in found.drift.missing.items():
            wanted = await self._needed(entity, key, missing)
            listed = drift.with_missing(properties[found.drift.properties[key]], wanted)
            if wanted and listed is not None:
                lists[found.drift.properties[key]], labels[key] = listed, wanted
        if not lists:
            return None
        try:
            schema = await self._notion.put_options(entity, found.source, lists)
        except PoisonError as error:
            # a schema that is too large, or read-only to us: the options are made by the first writes that name them
            log.warning("schema.options_refused", entity=entity.name, fields=sorted(labels), why=str(error))
            return None
        async with self._pool.connection() as conn:
            for key, restored in labels.items():
                log.warning("schema.option_restored", entity=entity.name, field=key, options=len(restored))
                await _note(conn, entity, "schema.option_restored", key, {"labels": list(restored)})
        return schema

    async def follow(self, entity: Entity, found: Found) -> bool:
        """Store what was found with what follows from it; False when something else was stored meanwhile."""
        now = replace(
            found.source, properties=found.drift.properties, options=found.drift.options, paused=found.drift.paused,
            restored=drift.restored_now(found.source, found.drift, datetime.now(UTC)),
        )
        seen = await self._seen(entity, now, found.drift.back)
        if not found.drift.back and not found.drift.gone:
            return bool(await self._attempt(entity, found, now, seen, undisturbed=False))
        until_s = _now_s() + STILL_FOR_S
        with self._paused.stillness(entity.name):
            while _now_s() < until_s:
                stored = await self._attempt(entity, found, now, seen, undisturbed=True)
                if stored is not None:
                    return stored
                await asyncio.sleep(STILL_S)
        raise TransientError(f"work on {entity.title} does not come to rest")

    async def _needed(self, entity: Entity, key: str, labels: Sequence[str]) -> tuple[str, ...]:
        """Return those of the labels that the column is made for, and of a free column's those that pages showed."""
        declared = field_of(entity, key).options
        async with self._pool.connection() as conn:
            used = await schemas.labels_in_use(
                conn, entity.table, key, [label for label in labels if label not in declared]
            )
        return tuple(label for label in labels if label in declared or label in used)

    async def _seen(self, entity: Entity, now: DataSource, back: frozenset[str]) -> tuple[_Seen, ...]:
        """Return what the pages show in the fields that are back, a hundred pages a read."""
        if not back:
            return ()
        values: dict[str, dict[PageId, Json]] = {key: {} for key in sorted(back)}
        async for batch in self._sink.looking_at(now).scan(entity):
            for page in batch:
                for key, by_page in values.items():
                    if key in page.values:
                        by_page[page.page_id] = page.values[key]
        return tuple(_Seen(key, by_page) for key, by_page in values.items())

    async def _attempt(
        self, entity: Entity, found: Found, now: DataSource, seen: Sequence[_Seen], *, undisturbed: bool
    ) -> bool | None:
        """Store it; None when that is to be undisturbed and something of the entity is in hand."""
        async with self._refreshing:
            try:
                async with self._pool.connection() as conn, conn.transaction():
                    if undisturbed and not await schemas.undisturbed(conn, entity.name):
                        return None
                    stored = await self._store(conn, entity, found, now, seen)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                return None
            # before anything of the entity is claimed again
            await self._refresh()
            return stored

    async def _store(
        self, conn: Connection, entity: Entity, found: Found, now: DataSource, seen: Sequence[_Seen]
    ) -> bool:
        before = found.source
        held = await schemas.held(conn, entity.name)
        if held is None or replace(held, scanned_at=before.scanned_at, unavailable=before.unavailable) != before:
            return False
        await schemas.store(conn, now)
        for key in sorted(now.paused.keys() - before.paused.keys()):
            log.warning("field.paused", entity=entity.name, field=key, why=now.paused[key])
            await _note(conn, entity, "field.paused", key, {"reason": now.paused[key]})
        for one in seen:
            log.info("field.resumed", entity=entity.name, field=one.field)
            await _note(conn, entity, "field.resumed", one.field, {})
            await self._agree(conn, entity, one)
        if seen:
            await marking.start(conn, [entity.name])
        await _try_again(conn, entity)
        for key, labels in found.drift.gone.items():
            emptied = await schemas.agree_on_nothing(conn, entity.table, key, labels)
            keys: dict[Key, int | None] = {Key(entity.name, system_id): None for system_id in emptied}
            await work.mark(conn, keys, reason=Reason.OURS, priority=Priority.MANUAL)
        return True

    async def _agree(self, conn: Connection, entity: Entity, seen: _Seen) -> None:
        """Let what MapAble holds be written wherever the field shows something else; what that is goes on record.

        Retyped there and back, a property shows what is left of its values: nobody's edit, and not to be taken over.
        """
        nothing = empty(field_of(entity, seen.field).kind)
        values = {str(page_id): value for page_id, value in seen.values.items()}
        for system_id, page_id, value in await schemas.agree_on_seen(conn, entity.table, seen.field, values, nothing):
            if value != nothing:
                await audit.append(
                    conn,
                    audit.Entry(
                        "field.seen_after_pause", Key(entity.name, system_id),
                        system_id if entity.participant_column is None else None, page_id, (seen.field,),
                        detail={"notion": value},
                    ),
                )

    async def _refresh(self) -> Mapping[str, DataSource]:
        async with self._pool.connection() as conn:
            sources = await facts.data_sources(conn)
        for name, source in sources.items():
            before = self._sink.sources.get(name)
            if before is None or _known(before) != _known(source):
                self.moved_s[name] = _now_s()
        self._sink.refresh(sources)
        return sources


async def _try_again(conn: Connection, entity: Entity) -> None:
    """What was set aside may have been for what people have just mended."""
    marked = await parking.try_again(conn, entity=entity.name)
    if marked:
        log.info("parked.tried_again", entity=entity.name, keys=marked)


async def _note(conn: Connection, entity: Entity, action: str, key: str, detail: Mapping[str, object]) -> None:
    await audit.append(conn, audit.Entry(action, Key(entity.name, ""), properties=(key,), detail=detail))


def _known(source: DataSource) -> tuple[object, ...]:
    """Return what a write goes by."""
    return source.properties, source.paused, source.options


def _now_s() -> float:
    return asyncio.get_running_loop().time()
