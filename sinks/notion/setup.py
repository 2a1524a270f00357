"""Setting up Notion: the seven databases under a parent page, found, made or completed; nothing of people's removed.

Idempotent and resumable: each database is stored as soon as it stands, and one whose answer was lost is found again
under the parent page by its title and its `System ID` property. A write that failed is never repeated blindly: what
it did is looked up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from sinks.base import PageGone, PageTrashed
from sinks.mapping.model import Entity, Field, Mirror
from sinks.notion import completion
from sinks.notion.discovery import SHARE, Calls, Finder, Found
from sinks.notion.failures import BLOCK_LIMIT, ConflictOnSave, NotionOutage
from state.database import Connection
from state.errors import FatalError, PoisonError, RateLimited, TransientError
from state.settings import DataSource, data_sources, save_data_source

ATTEMPTS: Final = 6
SETTLE_S: Final = 3.0
"""A database whose answer was lost may show under its parent only a moment later."""

log = structlog.get_logger(__name__)

MadeAgain = Callable[[Connection, Entity, Sequence[str]], Awaitable[None]]
"""Told, in the transaction that stores the new property ids, of fields whose property had been removed."""


@dataclass(frozen=True, slots=True)
class Done:
    """What setup did for one database: made, adopted (found under the parent), completed or left as it was."""

    entity: Entity
    source: DataSource
    outcome: str


@dataclass(slots=True)
class _Standing:
    """One database of this run."""

    schema: dict[str, Any]
    ours: bool           # made, or given its relation, in this very run: names that Notion made up are ours to set


async def _nothing(_: Connection, __: Entity, ___: Sequence[str]) -> None:
    """Do nothing about properties that were made again."""


class Setup:
    """One run of setup over a connection to the sidecar and the client."""

    def __init__(
        self,
        client: Calls,
        conn: Connection,
        entities: Sequence[Entity],
        *,
        configured: Mapping[str, str],
        parent_page_id: str | None,
        progress: Callable[[Done], None] = lambda _: None,
        made_again: MadeAgain = _nothing,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._client = client
        self._conn = conn
        self._entities = entities
        self._parent = parent_page_id
        self._progress = progress
        self._made_again = made_again
        self._settle_s = settle_s
        self._finder = Finder(client, entities, configured=configured, parent_page_id=parent_page_id)
        self._known: dict[str, DataSource] = {}
        self._standing: dict[str, _Standing] = {}

    async def run(self) -> tuple[Done, ...]:
        """Bring every database up to the mapping; raises FatalError when a person must act first."""
        self._known = dict(await data_sources(self._conn))
        done = [await self._one(entity) for entity in self._entities]
        return tuple([await self._mirrored(item) for item in done])

    async def _one(self, entity: Entity) -> Done:
        found = await self._find(entity)
        outcome = found.outcome if found is not None else "made"
        if found is None:
            found = await self._make(entity)
        known = self._known[entity.name] if self._is_known(entity, found) else None
        stored = known.properties if known is not None else {}
        options = known.options if known is not None else {}
        schema, completed = await self._complete(entity, found.schema, stored, options)
        self._standing[entity.name] = _Standing(schema, ours=completed or outcome == "made")
        if completed and outcome == "unchanged":
            outcome = "completed"
        properties = completion.property_ids(entity, schema, stored)
        again = completion.made_again(stored, properties)
        # the options of a property that was made again went with the old one
        kept = {key: labels for key, labels in options.items() if key not in again}
        labels = completion.labels(entity, schema, properties, kept)
        source = DataSource(entity.name, found.database_id, found.data_source_id, properties, options=labels)
        await self._save(entity, source, again)
        done = Done(entity, source, outcome)
        self._progress(done)
        return done

    async def _find(self, entity: Entity) -> Found | None:
        """Return the entity's database if it stands; one that serves another entity is a mistake in the settings."""
        try:
            found = await self._finder.find(entity, self._known)
        except PageTrashed as error:
            raise _trashed(entity, error) from None
        if found is None:
            return None
        other = next(
            (name for name, source in self._known.items()
             if name != entity.name and found.data_source_id == source.data_source_id),
            None,
        )
        if other is not None:
            raise FatalError(
                f"the database {found.database_id} can't serve {entity.name}: it serves {other} already",
                f"Set NOTION_{entity.setting}_DB_ID to a database of its own.",
            )
        return found

    def _is_known(self, entity: Entity, found: Found) -> bool:
        return entity.name in self._known and self._known[entity.name].data_source_id == found.data_source_id

    async def _make(self, entity: Entity) -> Found:
        """Make the database; when the answer is lost, what stands under the parent decides."""
        body = {
            "parent": {"type": "page_id", "page_id": self._parent},
            "title": [{"text": {"content": entity.title}}],
            "initial_data_source": {"properties": completion.initial(entity, self._targets())},
        }
        for attempt in range(ATTEMPTS):
            try:
                database = await self._client.call("POST", "databases", body=body, attempts=1)
            except RateLimited:
                continue    # nothing was made, and the client waits as long as it was told to
            except (NotionOutage, ConflictOnSave) as error:
                log.warning("setup.create_failed", entity=entity.name, attempt=attempt, why=str(error))
                made = await self._made_all_the_same(entity, error)
            except PageGone:
                raise FatalError(
                    "the parent page is not there, or not shared with the connection",
                    f"Check the id; if it is right, {SHARE}.",
                ) from None
            except PageTrashed as error:
                raise _trashed(entity, error) from None
            except PoisonError as error:
                raise _refused(entity, error, "make") from None
            else:
                made = await self._finder.opened_as(database, "made")
            if made is not None:
                return made
        raise TransientError(f"Notion failed to make the database {entity.title}")

    async def _made_all_the_same(self, entity: Entity, error: TransientError) -> Found | None:
        """Return the database of a create whose answer was lost, if there is one."""
        if isinstance(error, NotionOutage) and not error.sent:
            return None
        if isinstance(error, NotionOutage) and error.page_id is not None:
            return await self._finder.opened(error.page_id)
        for wait_s in (0.0, self._settle_s):
            await asyncio.sleep(wait_s)
            self._finder.forget_listing()
            made = await self._finder.under_parent(entity, self._known)
            if made is not None:
                return made
        return None

    async def _complete(
        self, entity: Entity, schema: dict[str, Any], stored: Mapping[str, str], options: completion.Options
    ) -> tuple[dict[str, Any], bool]:
        """Add what the data source lacks; return it as it is then, and whether anything was changed."""
        path = f"data_sources/{schema['id']}"
        changed = False
        for _ in range(ATTEMPTS):
            changes = completion.changes(entity, schema, stored, self._targets(), options)
            if not changes:
                return schema, changed
            changed = True
            try:
                schema = await self._client.call("PATCH", path, body={"properties": changes}, attempts=1)
            except (RateLimited, NotionOutage, ConflictOnSave):
                schema = await self._client.call("GET", path)
            except (PageGone, PageTrashed) as error:
                raise _trashed(entity, error) from None
            except PoisonError as error:
                raise _refused(entity, error, "complete") from None
        raise TransientError(f"Notion failed to complete the database {entity.title}")

    async def _mirrored(self, done: Done) -> Done:
        """Give the other side of each dual relation its name, which Notion made up, and store its id."""
        properties = dict(done.source.properties)
        for field in done.entity.fields:
            if isinstance(field.source, Mirror) and field.source.entity in self._standing:
                properties[field.key] = await self._mirror(done, field, field.source)
        if properties == done.source.properties:
            return done
        source = replace(done.source, properties=properties)
        await self._save(done.entity, source, ())
        return replace(done, source=source)

    async def _mirror(self, done: Done, field: Field, mirror: Mirror) -> str:
        relation_id = self._known[mirror.entity].properties[mirror.field]
        standing = self._standing[mirror.entity]
        side = completion.other_side(standing.schema, relation_id)
        if side is None:
            # the answer to the write that made the relation may not name its other side yet
            schema = await self._client.call("GET", f"data_sources/{standing.schema['id']}")
            side = completion.other_side(schema, relation_id)
        if side is None:
            raise FatalError(
                f"{mirror.entity}: the relation {mirror.field} shows on one side only",
                f"In Notion, edit that relation and turn on 'Show on {done.entity.title}'; then run setup again.",
            )
        new = standing.ours and done.source.properties.get(field.key) != side.property_id
        if not side.named(field.name, relation_is_ours=new):
            body = {"properties": {side.property_id: {"name": field.name}}}
            try:
                await self._client.call("PATCH", f"data_sources/{done.source.data_source_id}", body=body)
            except PoisonError:
                # a property of a person's has that name; ids are what the sync goes by
                log.warning("setup.name_taken", entity=done.entity.name, property=field.name)
        return side.property_id

    async def _save(self, entity: Entity, source: DataSource, again: Sequence[str]) -> None:
        async with self._conn.transaction():
            if again:
                await self._made_again(self._conn, entity, again)
            await save_data_source(self._conn, source)
        self._known[entity.name] = source

    def _targets(self) -> dict[str, str]:
        return {name: source.data_source_id for name, source in self._known.items()}


def env_lines(done: Sequence[Done]) -> tuple[str, ...]:
    """Return the lines for `.env` that name the databases."""
    return tuple(f"NOTION_{item.entity.setting}_DB_ID={item.source.database_id}" for item in done)


def _trashed(entity: Entity, error: Exception) -> FatalError:
    return FatalError(
        f"{entity.title}: {error}",
        "Restore the database, or the page that it stands on, from the trash in Notion; then run setup again.",
    )


def _refused(entity: Entity, error: PoisonError, what: str) -> FatalError:
    hint = (
        "Give the workspace a plan without that limit, and run setup again." if error.reason == BLOCK_LIMIT else
        "Look whether the database is full of properties or options (Notion limits a schema to 50 KB), take some out, "
        "and run setup again."
    )
    return FatalError(f"Notion refused to {what} the database {entity.title}: {error}", hint)
