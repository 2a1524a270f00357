"""Finding the database of an entity: the one that a setting names, the one that is known, or one under the parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sinks.base import PageGone
from sinks.mapping.entities import SYSTEM_ID
from sinks.mapping.model import Entity
from sinks.notion.queries import listed
from state.errors import FatalError
from state.settings import DataSource

SHARE: Final = "open it in Notion, choose ••• > Connections and add the connection"


class Calls(Protocol):
    """Requests to Notion, paced; one that fails is repeated up to `attempts` times where that can help."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        attempts: int = ...,
    ) -> dict[str, Any]:
        """Return the answer; raises our own errors only."""
        ...


class WrongSetting(FatalError):
    """A setting names something that can't be used."""


@dataclass(frozen=True, slots=True)
class Found:
    """A database that stands, with the schema of its one data source."""

    database_id: str
    schema: dict[str, Any]
    outcome: str            # unchanged or adopted

    @property
    def data_source_id(self) -> str:
        return str(self.schema["id"])


class Finder:
    """Looks for databases; what stands under the parent page is listed once, until `forget_listing`."""

    def __init__(
        self, client: Calls, entities: Sequence[Entity], *, configured: Mapping[str, str], parent_page_id: str | None
    ) -> None:
        self._client = client
        self._titles = frozenset(entity.title for entity in entities)
        self._configured = configured
        self._parent = parent_page_id
        self._listing: dict[str, list[str]] | None = None

    async def find(self, entity: Entity, known: Mapping[str, DataSource]) -> Found | None:
        """Return the entity's database, or None: then it has to be made."""
        if (configured := self._configured.get(entity.name)) is not None:
            return await self._configured_one(entity, configured)
        if entity.name in known:
            return await self._known_one(entity, known[entity.name])
        return await self.under_parent(entity, known)

    async def opened(self, database_id: str, outcome: str = "unchanged", source_id: str | None = None) -> Found | None:
        """Return the database with its one data source (or the one named); None when it is trashed or has several."""
        return await self.opened_as(await self._client.call("GET", f"databases/{database_id}"), outcome, source_id)

    async def opened_as(self, database: Mapping[str, Any], outcome: str, source_id: str | None = None) -> Found | None:
        """Return the same for a database as Notion answered it."""
        sources = [str(source["id"]) for source in database.get("data_sources") or []]
        chosen = source_id if source_id in sources else sources[0] if len(sources) == 1 else None
        if database.get("in_trash") or chosen is None:
            return None
        schema = await self._client.call("GET", f"data_sources/{chosen}")
        return None if schema.get("in_trash") else Found(str(database["id"]), schema, outcome)

    async def under_parent(self, entity: Entity, known: Mapping[str, DataSource]) -> Found | None:
        """Return the one database under the parent page that has the entity's title and a System ID property."""
        taken = {source.database_id for source in known.values()} | set(self._configured.values())
        found = []
        for database_id in (await self._listed()).get(entity.title, ()):
            if database_id in taken:
                continue
            candidate = await self._candidate(database_id)
            if candidate is not None and candidate.data_source_id not in taken:
                found.append(candidate)
        if len(found) > 1:
            raise FatalError(
                f"{len(found)} databases named {entity.title} with a {SYSTEM_ID.name} property stand under the parent "
                f"page: {', '.join(item.database_id for item in found)}",
                f"Name the right one in NOTION_{entity.setting}_DB_ID, or move the other one out of that page.",
            )
        return found[0] if found else None

    def forget_listing(self) -> None:
        """List the parent page anew next time."""
        self._listing = None

    async def _candidate(self, database_id: str) -> Found | None:
        try:
            found = await self.opened(database_id, "adopted")
        except PageGone:
            return None
        return found if found is not None and SYSTEM_ID.name in found.schema["properties"] else None

    async def _configured_one(self, entity: Entity, an_id: str) -> Found:
        """Return what the setting names: the id may be the database's or the data source's."""
        variable = f"NOTION_{entity.setting}_DB_ID"
        try:
            database = await self._client.call("GET", f"databases/{an_id}")
        except PageGone:
            database = await self._of_source(variable, an_id)
        sources = [str(source["id"]) for source in database.get("data_sources") or []]
        if an_id not in sources and len(sources) != 1:
            raise WrongSetting(
                f"{variable} names a database with {len(sources)} data sources",
                f"Set {variable} to the id of the data source to use (in Notion: ••• > Manage data sources > "
                f"Copy data source ID).",
            )
        found = await self.opened_as(database, "unchanged", an_id)
        if found is None:
            raise FatalError(f"{variable} names a database that is in the trash", "Restore it in Notion, or set "
                             f"{variable} to another one.")
        return found

    async def _of_source(self, variable: str, an_id: str) -> dict[str, Any]:
        try:
            schema = await self._client.call("GET", f"data_sources/{an_id}")
            return await self._client.call("GET", f"databases/{schema['parent']['database_id']}")
        except PageGone:
            raise WrongSetting(
                f"{variable} names no database that the connection can see",
                f"Check the id; if it is right, {SHARE}.",
            ) from None

    async def _known_one(self, entity: Entity, stored: DataSource) -> Found:
        try:
            found = await self.opened(stored.database_id, source_id=stored.data_source_id)
        except PageGone:
            raise FatalError(
                f"the database {entity.title} ({stored.database_id}) is gone, or no longer shared with the connection",
                f"To share it again, {SHARE}. If it was deleted for good: a new one is made after the sidecar's schema "
                "was dropped; all rows are then compared anew.",
            ) from None
        if found is None or found.data_source_id != stored.data_source_id:
            raise FatalError(
                f"the database {entity.title} ({stored.database_id}) is in the trash, or lost its data source",
                "Restore it in Notion (Trash, in the side bar), then run setup again.",
            )
        return found

    async def _listed(self) -> Mapping[str, Sequence[str]]:
        """Return the ids of the databases right under the parent page, by those of our titles."""
        if self._listing is not None:
            return self._listing
        if self._parent is None:
            raise WrongSetting(
                "no parent page is known under which to look for, or make, the databases",
                "Run `mapable-cdc setup PAGE`, with the id or URL of a page that is shared with the connection, "
                "or set NOTION_PARENT_PAGE_ID.",
            )
        path = f"blocks/{self._parent}/children"
        listing: dict[str, list[str]] = {}
        try:
            async for answer in listed(lambda query: self._client.call("GET", path, query=query)):
                for block in answer.get("results") or []:
                    if block.get("type") == "child_database" and not block.get("in_trash"):
                        title = str(block["child_database"].get("title", ""))
                        if title in self._titles:
                            listing.setdefault(title, []).append(str(block["id"]))
        except PageGone:
            raise FatalError(
                "the parent page is not there, or not shared with the connection",
                f"Check the id; if it is right, {SHARE}.",
            ) from None
        self._listing = listing
        return listing
