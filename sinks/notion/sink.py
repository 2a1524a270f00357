"""Pages of the seven entities in Notion: the port of `sinks.base` over the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sinks.base import EntityUnavailable, Page, PageGone
from sinks.mapping.canonical import decode, encode
from sinks.mapping.entities import by_name
from sinks.mapping.model import Entity, Field, Mirror
from sinks.notion.client import NotionClient
from sinks.notion.failures import create_failed
from sinks.notion.pacing import Turn
from sinks.notion.properties import Invalid, Unread, read_value, write_value
from sinks.notion.queries import Ask, Crowded, newest_edits_first, oldest_first
from state.changes import Absent, PageId, Priority
from state.errors import FatalError, SyncError
from state.merge import Json
from state.settings import DataSource
from state.threeway import Unknown

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

    def properties_of(self, entity: Entity) -> Mapping[str, str]:
        """Return the ids of the entity's properties by field."""
        return self._source(entity).properties

    def holds(self, entity: Entity, page: Page) -> bool:
        """Whether the page is in the entity's database: a person may have moved it."""
        return page.data_source_id == self._source(entity).data_source_id

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
        return self._page(entity, await self._client.request("GET", f"pages/{page_id}"))

    async def find(self, entity: Entity, system_id: str) -> Sequence[Page]:
        """Return the pages that carry this System ID. Queries may lag: an empty answer is not proof."""
        source = self._source(entity)
        body = {"filter": {"property": source.properties[SYSTEM_ID], "rich_text": {"equals": system_id}}}
        answer = await self._query(source, body)
        return [self._page(entity, page) for page in answer.get("results") or []]

    async def identify(self, page_id: PageId) -> tuple[str | None, Page]:
        """Return a page that nobody linked, and the name of the entity in whose database it lives (None: in none)."""
        answer = await self._client.request("GET", f"pages/{page_id}")
        lives_in = (answer.get("parent") or {}).get("data_source_id")
        name = next((name for name, source in self._sources.items() if source.data_source_id == lives_in), None)
        if name is None:
            return None, self._page(None, answer)
        return name, self._page(by_name(name), answer)

    async def scan(
        self, entity: Entity, *, priority: Priority = Priority.LIVE
    ) -> AsyncIterator[Sequence[Page]]:
        """Return every page of the entity, each once, in batches; raises rather than stop short."""
        seen: set[PageId] = set()
        async for answers in oldest_first(self._asking(entity, priority)):
            batch = [self._page(entity, answer) for answer in answers]
            fresh = [page for page in batch if page.page_id not in seen]
            seen.update(page.page_id for page in fresh)
            if fresh:
                yield fresh

    async def edited_since(
        self, entity: Entity, since: datetime | None, *, priority: Priority
    ) -> AsyncIterator[Sequence[Page]]:
        """Return the pages edited at or after `since` (None: ever), in batches; one may come twice."""
        bound = since.astimezone(UTC).isoformat() if since is not None else None
        try:
            async for answers in newest_edits_first(self._asking(entity, priority), bound):
                if answers:
                    yield [self._page(entity, answer) for answer in answers]
        except Crowded:
            # thousands were edited at once, and no query by that time gets past them
            async for pages in self.scan(entity, priority=priority):
                yield [page for page in pages if since is None or page.edited_at is None or page.edited_at >= since]

    def _asking(self, entity: Entity, priority: Priority) -> Ask:
        source = self._source(entity)

        async def ask(body: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self._query(source, body, priority)

        return ask

    async def _query(
        self, source: DataSource, body: Mapping[str, Any], priority: Priority = Priority.LIVE
    ) -> dict[str, Any]:
        path = f"data_sources/{source.data_source_id}/query"
        try:
            return await self._client.call("POST", path, body=body, priority=priority)
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

    def _page(self, entity: Entity | None, answer: Mapping[str, Any]) -> Page:
        """Return the answered page; without an entity it is one of another database, whose values are not read."""
        ids = self._source(entity).properties if entity is not None else {}
        by_id = {prop.get("id"): prop for prop in (answer.get("properties") or {}).values()}
        values: dict[str, Json] = {}
        unknown: dict[str, Unknown] = {}
        for field in _written(entity) if entity is not None else ():
            match read_value(field, by_id.get(ids.get(field.key)), self._time_zone):
                case Absent():
                    pass
                case Unread():
                    unknown[field.key] = Unknown.UNREAD
                case Invalid():
                    unknown[field.key] = Unknown.INVALID
                case value:
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
            unknown=unknown,
            created_by=(answer.get("created_by") or {}).get("id"),
            archived=bool(answer.get("is_archived")),
        )


def _written(entity: Entity) -> Sequence[Field]:
    """Return the fields we write: all but the other side of a dual relation, which Notion keeps."""
    return [field for field in entity.fields if not isinstance(field.source, Mirror)]


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
