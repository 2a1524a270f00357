"""Setting up Notion: the seven databases under a parent page, found, made or completed; nothing of people's removed.

Idempotent and resumable: each database is stored as soon as it stands, and one whose answer was lost is found again
under the parent page by its title and its `System ID` property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from sinks.base import PageGone
from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.client import NotionClient
from sinks.notion.columns import same_type, schema_of
from sinks.notion.failures import NotionOutage
from state.database import Connection
from state.errors import FatalError, PoisonError
from state.settings import DataSource, data_sources, save_data_source

SYSTEM_ID_NAME: Final = "System ID"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What setup did for one database: made, adopted (found under the parent), completed or left as it was."""

    entity: Entity
    source: DataSource
    outcome: str


class Setup:
    """One run of setup over a connection to the sidecar and the client."""

    def __init__(
        self,
        client: NotionClient,
        conn: Connection,
        entities: Sequence[Entity],
        *,
        configured: Mapping[str, str],
        parent_page_id: str | None,
        progress: Callable[[Done], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._conn = conn
        self._entities = entities
        self._configured = configured
        self._parent = parent_page_id
        self._progress = progress
        self._children: dict[str, tuple[str, dict[str, Any]]] | None = None

    async def run(self) -> tuple[Done, ...]:
        """Bring every database up to the mapping; raises FatalError when a person must act first."""
        known = dict(await data_sources(self._conn))
        done: list[Done] = []
        for entity in self._entities:
            database_id, schema, outcome = await self._find(entity, known)
            if schema is None:
                database_id, schema = await self._create(entity, known)
                outcome = "made"
            schema, completed = await self._complete(entity, schema, known)
            if completed and outcome == "unchanged":
                outcome = "completed"
            source = DataSource(entity.name, database_id, str(schema["id"]), _property_ids(entity, schema, known))
            await save_data_source(self._conn, source)
            known[entity.name] = source
            item = Done(entity, source, outcome)
            done.append(item)
            self._progress(item)
        return tuple(await self._mirrored(done, known))

    async def _find(
        self, entity: Entity, known: Mapping[str, DataSource]
    ) -> tuple[str, dict[str, Any] | None, str]:
        """Return (database id, data source, how it was found): environment first, then sidecar, then the page."""
        configured = self._configured.get(entity.name)
        if configured is not None:
            database_id, schema = await self._open(entity, configured)
            return database_id, schema, "unchanged"
        if entity.name in known:
            stored = known[entity.name]
            try:
                schema = await self._client.call("GET", f"data_sources/{stored.data_source_id}")
            except PageGone:
                log.warning("setup.database_missing", entity=entity.name)
            else:
                if not schema.get("in_trash"):
                    return stored.database_id, schema, "unchanged"
        under_parent = await self._under_parent()
        if entity.title in under_parent:
            database_id, schema = under_parent[entity.title]
            return database_id, schema, "adopted"
        return "", None, "made"

    async def _open(self, entity: Entity, an_id: str) -> tuple[str, dict[str, Any]]:
        """Return (database id, data source) for an id that may be either's."""
        variable = f"NOTION_{entity.setting}_DB_ID"
        try:
            database = await self._client.call("GET", f"databases/{an_id}")
        except PageGone:
            try:
                schema = await self._client.call("GET", f"data_sources/{an_id}")
            except PageGone:
                raise FatalError(
                    f"{variable} names a database that the connection can't see",
                    "Open the database in Notion, choose ••• > Connections and add the connection; check the id.",
                ) from None
            return str(schema["parent"]["database_id"]), schema
        sources = database.get("data_sources") or []
        if len(sources) != 1:
            raise FatalError(
                f"{variable} names a database with {len(sources)} data sources",
                f"Set {variable} to the id of the one data source to use (••• > Manage data sources > Copy id).",
            )
        return str(database["id"]), await self._client.call("GET", f"data_sources/{sources[0]['id']}")

    async def _under_parent(self) -> Mapping[str, tuple[str, dict[str, Any]]]:
        """Return the databases under the parent page that carry a System ID property, by title."""
        if self._children is not None:
            return self._children
        if self._parent is None:
            raise FatalError(
                "no parent page is known under which to look for, or make, the databases",
                "Run `mapable-cdc setup PAGE`, with the id or URL of a page that is shared with the connection, "
                "or set NOTION_PARENT_PAGE_ID.",
            )
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        cursor: str | None = None
        while True:
            query = {"page_size": 100} | ({"start_cursor": cursor} if cursor else {})
            try:
                answer = await self._client.call("GET", f"blocks/{self._parent}/children", query=query)
            except PageGone:
                raise FatalError(
                    "the parent page is not there, or not shared with the connection",
                    "Open the page in Notion, choose ••• > Connections and add the connection; check the id.",
                ) from None
            for block in answer.get("results") or []:
                if block.get("type") != "child_database" or block.get("in_trash"):
                    continue
                await self._note_child(block, found)
            cursor = answer.get("next_cursor")
            if not answer.get("has_more") or cursor is None:
                self._children = found
                return found

    async def _note_child(self, block: Mapping[str, Any], found: dict[str, tuple[str, dict[str, Any]]]) -> None:
        title = block["child_database"].get("title", "")
        if title not in {entity.title for entity in self._entities}:
            return
        database = await self._client.call("GET", f"databases/{block['id']}")
        sources = database.get("data_sources") or []
        if database.get("in_trash") or len(sources) != 1:
            return
        schema = await self._client.call("GET", f"data_sources/{sources[0]['id']}")
        if SYSTEM_ID_NAME not in schema.get("properties", {}):
            return
        if title in found:
            raise FatalError(
                f"two databases named {title} with a System ID property stand under the parent page",
                f"Keep one of them and move the other away, or name the right one in NOTION_"
                f"{next(entity.setting for entity in self._entities if entity.title == title)}_DB_ID.",
            )
        found[title] = (str(database["id"]), schema)

    async def _create(self, entity: Entity, known: Mapping[str, DataSource]) -> tuple[str, dict[str, Any]]:
        """Make the database; a lost answer is looked up under the parent before it is tried again."""
        await self._under_parent()
        body = {
            "parent": {"type": "page_id", "page_id": self._parent},
            "title": [{"text": {"content": entity.title}}],
            "initial_data_source": {
                "properties": {field.name: config for field, config in self._wanted(entity, known)}
            },
        }
        for attempt in range(5):
            try:
                database = await self._client.call("POST", "databases", body=body, attempts=1)
            except NotionOutage as error:
                log.warning("setup.create_repeated", entity=entity.name, attempt=attempt, error=str(error))
                self._children = None
                again = (await self._under_parent()).get(entity.title)
                if again is not None:
                    return again
                continue
            sources = database["data_sources"]
            return str(database["id"]), await self._client.call("GET", f"data_sources/{sources[0]['id']}")
        raise FatalError(f"Notion failed to make the database {entity.title}", "Run setup again when Notion is back.")

    def _wanted(self, entity: Entity, known: Mapping[str, DataSource]) -> list[tuple[Field, dict[str, Any]]]:
        """Return the properties that can be made now: relations once their target stands, mirrors never."""
        wanted = []
        for field in entity.fields:
            if isinstance(field.source, Mirror):
                continue
            target = None
            if field.kind is Kind.RELATION:
                if field.target is None or field.target not in known:
                    continue
                target = known[field.target].data_source_id
            wanted.append((field, dict(schema_of(field, target))))
        return wanted

    async def _complete(
        self, entity: Entity, schema: dict[str, Any], known: Mapping[str, DataSource]
    ) -> tuple[dict[str, Any], bool]:
        """Add what is missing to the data source; what people added stays."""
        stored = known[entity.name].properties if entity.name in known else {}
        changes: dict[str, Any] = {}
        for field, config in self._wanted(entity, known):
            current = _current(field, schema, stored)
            if current is None:
                if field.kind is Kind.TITLE:
                    title = next(prop for prop in schema["properties"].values() if prop["type"] == "title")
                    changes[title["id"]] = {"name": field.name}
                else:
                    changes[field.name] = config
            elif not same_type(field, current, _target(field, known)):
                raise FatalError(
                    f"{entity.title}: the property {current['name']} has the type {current['type']}, "
                    f"but the mapping needs {next(iter(config))}",
                    "Rename that property in Notion, or change its type, and run setup again.",
                )
            elif field.kind is Kind.SELECT:
                options = current["select"].get("options") or []
                names = {option["name"].casefold() for option in options}
                missing = [
                    option for option in config["select"]["options"] if option["name"].casefold() not in names
                ]
                if missing:
                    # the list is replaced by what is sent: people's own options have to be in it
                    kept = [{"id": option["id"]} for option in options]
                    changes[current["id"]] = {"select": {"options": kept + missing}}
        if not changes:
            return schema, False
        path = f"data_sources/{schema['id']}"
        try:
            return await self._client.call("PATCH", path, body={"properties": changes}), True
        except PoisonError as error:
            raise FatalError(
                f"Notion refused to complete the database {entity.title}: {error}",
                "Check that the connection may update content, and that no property has a name that differs only "
                "in case; then run setup again.",
            ) from None

    async def _mirrored(self, done: Sequence[Done], known: Mapping[str, DataSource]) -> Sequence[Done]:
        """Give the other side of each dual relation its name, which Notion made up, and store its id."""
        result = list(done)
        for position, item in enumerate(result):
            mirrors = [field for field in item.entity.fields if isinstance(field.source, Mirror)]
            if not mirrors:
                continue
            properties = dict(known[item.entity.name].properties)
            for field in mirrors:
                synced_id = await self._mirror(item, field, known)
                if synced_id is not None:
                    properties[field.key] = synced_id
            source = DataSource(item.entity.name, item.source.database_id, item.source.data_source_id, properties)
            await save_data_source(self._conn, source)
            result[position] = Done(item.entity, source, item.outcome)
        return result

    async def _mirror(self, item: Done, field: Field, known: Mapping[str, DataSource]) -> str | None:
        mirror = field.source
        assert isinstance(mirror, Mirror)
        if mirror.entity not in known:
            return None
        other = known[mirror.entity]
        child = await self._client.call("GET", f"data_sources/{other.data_source_id}")
        owning = _by_id(child, other.properties[mirror.field])
        dual = ((owning or {}).get("relation") or {}).get("dual_property")
        if not dual:
            raise FatalError(
                f"the relation {(owning or {}).get('name', mirror.field)} shows on one side only",
                f"In Notion, edit that relation and turn on 'Show on {item.entity.title}'; then run setup again.",
            )
        if dual.get("synced_property_name") != field.name:
            path = f"data_sources/{item.source.data_source_id}"
            body = {"properties": {dual["synced_property_id"]: {"name": field.name}}}
            await self._client.call("PATCH", path, body=body)
        return str(dual["synced_property_id"])


def env_lines(done: Sequence[Done]) -> tuple[str, ...]:
    """Return the lines for `.env` that name the databases."""
    return tuple(f"NOTION_{item.entity.setting}_DB_ID={item.source.database_id}" for item in done)


def _target(field: Field, known: Mapping[str, DataSource]) -> str | None:
    return known[field.target].data_source_id if field.target is not None and field.target in known else None


def _by_id(schema: Mapping[str, Any], property_id: str | None) -> dict[str, Any] | None:
    return next((prop for prop in schema["properties"].values() if prop["id"] == property_id), None)


def _current(field: Field, schema: Mapping[str, Any], stored: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the property that stands for `field`: by the id we know, so that a renamed one is found, else by name."""
    by_name: dict[str, Any] | None = schema["properties"].get(field.name)
    return _by_id(schema, stored.get(field.key)) or by_name


def _property_ids(entity: Entity, schema: Mapping[str, Any], known: Mapping[str, DataSource]) -> dict[str, str]:
    stored = known[entity.name].properties if entity.name in known else {}
    found = {field.key: _current(field, schema, stored) for field in entity.fields}
    return {key: str(prop["id"]) for key, prop in found.items() if prop is not None}
