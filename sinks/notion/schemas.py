"""The schemas of our databases: read, and options put back. Says why a database can't be used."""

from __future__ import annotations

from typing import Any

from sinks.base import EntityUnavailable, PageGone, PageTrashed
from sinks.mapping.model import Entity
from sinks.notion.client import NotionClient
from sinks.notion.completion import Schema
from sinks.notion.discovery import SHARE
from state.changes import Priority
from state.settings import DataSource


class Schemas:
    """Paced calls about databases; never called within a turn."""

    def __init__(self, client: NotionClient) -> None:
        self._client = client

    async def read(self, entity: Entity, source: DataSource) -> Schema:
        """Return the data source as it is; raises EntityUnavailable when people took it out of our reach."""
        # the trash is told by the database, the properties by the data source
        database = await self._get(entity, f"databases/{source.database_id}")
        schema = await self._get(entity, f"data_sources/{source.data_source_id}")
        if database.get("in_trash") or schema.get("in_trash"):
            raise _trashed(entity)
        return schema

    async def put_options(
        self, entity: Entity, source: DataSource, options: dict[str, list[dict[str, Any]]]
    ) -> Schema:
        """Replace the options of these properties, by id, and return the data source as it is then."""
        body = {"properties": {property_id: {"select": {"options": listed}} for property_id, listed in options.items()}}
        try:
            # once: a repeated list would take away what people have added since
            return await self._client.call(
                "PATCH", f"data_sources/{source.data_source_id}", body=body, priority=Priority.MANUAL, attempts=1
            )
        except PageGone:
            raise _unshared(entity) from None
        except PageTrashed:
            raise _trashed(entity) from None

    async def _get(self, entity: Entity, path: str) -> dict[str, Any]:
        try:
            return await self._client.call("GET", path, priority=Priority.MANUAL)
        except PageGone:
            raise _unshared(entity) from None


def _unshared(entity: Entity) -> EntityUnavailable:
    return EntityUnavailable(
        f"the database {entity.title} is not shared with the connection any more, or was deleted for good: {SHARE}"
    )


def _trashed(entity: Entity) -> EntityUnavailable:
    return EntityUnavailable(f"the database {entity.title} is in Notion's trash: restore it there")
