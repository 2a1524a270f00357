"""Pages of the seven entities in Notion: the port of `sinks.base` over the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sinks.base import EntityUnavailable, Page, PageGone
from sinks.mapping.canonical import decode, encode
from sinks.mapping.model import Entity, Field, Mirror
from sinks.notion.client import NotionClient
from sinks.notion.columns import same_type
from sinks.notion.failures import create_failed
from sinks.notion.pacing import Turn
from sinks.notion.properties import Invalid, Unread, read_value, write_value
from state.changes import Absent, PageId, Priority
from state.errors import FatalError, PoisonError, SyncError
from state.merge import Json
from state.settings import DataSource

PAGE_SIZE: Final = 100
SYSTEM_ID: Final = "systemId"


class NotionSink:
    """Writes and reads pages. `create`, `update` and `set_trashed` are one attempt each, inside a `turn`."""

    def __init__(self, client: NotionClient, sources: Mapping[str, DataSource], time_zone: ZoneInfo) -> None:
        self._client = client
        self._sources = sources
        self._time_zone = time_zone

    def turn(self, priority: Priority) -> AbstractAsyncContextManager[Turn]:
        """Wait for leave to send one request."""
        return self._client.turn(priority)

    def database_of(self, entity: Entity) -> str:
        """Return the id of the entity's database; raises EntityUnavailable when setup did not make one."""
        return self._source(entity).database_id

    async def create(self, entity: Entity, values: Mapping[str, Json]) -> Page:
        """Make a page; raises OutcomeUnknown when it can't tell whether it was made."""
        source = self._source(entity)
        body = {
            "parent": {"type": "data_source_id", "data_source_id": source.data_source_id},
            "properties": self._properties(entity, values),
        }
        try:
            answer = await self._client.request("POST", "pages", body=body)
        except SyncError as error:
            raise create_failed(error) from None
        return self._page(entity, answer)

    async def update(self, entity: Entity, page_id: PageId, values: Mapping[str, Json]) -> Page:
        """Write these fields and no others; raises PageGone, PageTrashed."""
        body = {"properties": self._properties(entity, values)}
        return self._page(entity, await self._client.request("PATCH", f"pages/{page_id}", body=body))

    async def set_trashed(self, entity: Entity, page_id: PageId, *, trashed: bool) -> Page:
        """Move the page to the trash or back; raises PageGone."""
        answer = await self._client.request("PATCH", f"pages/{page_id}", body={"in_trash": trashed})
        return self._page(entity, answer)

    async def read(self, entity: Entity, page_id: PageId) -> Page:
        """Return the page as it is; raises PageGone."""
        return self._page(entity, await self._client.call("GET", f"pages/{page_id}", priority=Priority.LIVE))

    async def find(self, entity: Entity, system_id: str) -> Sequence[Page]:
        """Return the pages that carry this System ID. Queries may lag: an empty answer is not proof."""
        source = self._source(entity)
        body = {"filter": {"property": source.properties[SYSTEM_ID], "rich_text": {"equals": system_id}}}
        try:
            return self._pages(entity, await self._query(source, body))
        except PoisonError:
            await self.check(entity)
            raise

    async def scan(self, entity: Entity) -> AsyncIterator[Sequence[Page]]:
        """Return every page of the entity, in batches; raises rather than stop short.

        A query ends at 10,000 rows: the next one then starts at the creation time of the last row seen (times are
        floored to the minute, so rows of that minute come twice; the caller sees a page once).
        """
        source = self._source(entity)
        seen: set[PageId] = set()
        since: str | None = None
        while True:
            started_at, last_created = since, None
            cursor: str | None = None
            capped = False
            while True:
                body: dict[str, Any] = {
                    "page_size": PAGE_SIZE, "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
                }
                if since is not None:
                    body["filter"] = {"timestamp": "created_time", "created_time": {"on_or_after": since}}
                if cursor is not None:
                    body["start_cursor"] = cursor
                answer = await self._query(source, body)
                fresh = [page for page in self._pages(entity, answer) if page.page_id not in seen]
                seen.update(page.page_id for page in fresh)
                results = answer.get("results") or []
                if results:
                    last_created = results[-1].get("created_time")
                if fresh:
                    yield fresh
                status = answer.get("request_status")
                capped = capped or (isinstance(status, dict) and status.get("type") == "incomplete")
                cursor = answer.get("next_cursor")
                if not answer.get("has_more") or cursor is None:
                    break
            if not capped:
                return
            if last_created is None or last_created == started_at:
                raise EntityUnavailable(f"{entity.title}: more pages were made in one minute than a query returns")
            since = last_created

    async def check(self, entity: Entity) -> None:
        """Look why a write was refused; raises EntityUnavailable when properties that we write are not there.

        Somebody removed or changed them, or setup made them again and we have yet to hear of it.
        """
        source = self._source(entity)
        try:
            schema = await self._client.call("GET", f"data_sources/{source.data_source_id}", priority=Priority.LIVE)
        except PageGone as error:
            raise EntityUnavailable(f"{error} (the database)") from None
        by_id = {prop.get("id"): prop for prop in (schema.get("properties") or {}).values()}
        missing = [
            field.name
            for field in _written(entity)
            if not same_type(field, by_id.get(source.properties.get(field.key)) or {})
        ]
        if missing:
            raise EntityUnavailable(
                f"{entity.title} lacks {', '.join(missing)} as setup made it: run `mapable-cdc setup` again"
            )

    async def _query(self, source: DataSource, body: Mapping[str, Any]) -> dict[str, Any]:
        path = f"data_sources/{source.data_source_id}/query"
        try:
            return await self._client.call("POST", path, body=body, priority=Priority.LIVE)
        except PageGone as error:
            raise EntityUnavailable(f"{error} (the database)") from None

    def _source(self, entity: Entity) -> DataSource:
        source = self._sources.get(entity.name)
        if source is None:
            raise FatalError(
                f"no Notion database is known for {entity.title}",
                "Run `mapable-cdc setup`, or switch the entity off with "
                f"NOTION_SYNC_{entity.setting}=false.",
            )
        return source

    def _properties(self, entity: Entity, values: Mapping[str, Json]) -> dict[str, Any]:
        ids = self._source(entity).properties
        return {
            ids[field.key]: write_value(field, decode(field.kind, values[field.key]))
            for field in _written(entity)
            if field.key in values
        }

    def _pages(self, entity: Entity, answer: Mapping[str, Any]) -> Sequence[Page]:
        return [self._page(entity, page) for page in answer.get("results") or []]

    def _page(self, entity: Entity, answer: Mapping[str, Any]) -> Page:
        ids = self._source(entity).properties
        by_id = {prop.get("id"): prop for prop in (answer.get("properties") or {}).values()}
        values: dict[str, Json] = {}
        for field in _written(entity):
            value = read_value(field, by_id.get(ids.get(field.key)), self._time_zone)
            if not isinstance(value, Absent | Unread | Invalid):
                values[field.key] = encode(field.kind, value)
        system_id = values.get(SYSTEM_ID)
        parent = answer.get("parent") or {}
        edited_by = (answer.get("last_edited_by") or {}).get("id")
        return Page(
            page_id=PageId(str(answer["id"])),
            data_source_id=parent.get("data_source_id"),
            system_id=system_id if isinstance(system_id, str) else None,
            values=values,
            in_trash=bool(answer.get("in_trash")),
            edited_at=_instant(answer.get("last_edited_time")),
            edited_by=edited_by if isinstance(edited_by, str) else None,
            request_id=answer.get("request_id"),
        )


def _written(entity: Entity) -> Sequence[Field]:
    """Return the fields we write: all but the other side of a dual relation, which Notion keeps."""
    return [field for field in entity.fields if not isinstance(field.source, Mirror)]


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
