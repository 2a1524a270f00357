"""Pages of the seven entities in Notion: the port of `sinks.base` over the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sinks.base import EntityUnavailable, Page, PageGone
from sinks.mapping.entities import by_name, field_of
from sinks.mapping.model import Entity
from sinks.notion import drift, pages
from sinks.notion.client import NotionClient
from sinks.notion.failures import create_failed
from sinks.notion.pacing import Turn
from sinks.notion.pages import SYSTEM_ID
from sinks.notion.queries import Ask, Crowded, listed, newest_edits_first, oldest_first
from state.changes import PageId, Priority
from state.errors import FatalError, SyncError
from state.merge import Json
from state.settings import DataSource
from state.threeway import Unknown

Learn = Callable[[DataSource, str, str, str], Awaitable[None]]
"""Told (data source, field, option id, label) when a page shows an option that was not known."""


async def _forget(_: DataSource, __: str, ___: str, ____: str) -> None:
    """Know the option for as long as this process lives."""


class NotionSink:
    """Writes and reads pages. `create`, `update`, `read` and `set_trashed` are called inside a `turn`.

    What is known of the databases may be replaced at any time: a call goes on with what it began with.
    """

    def __init__(
        self, client: NotionClient, sources: Mapping[str, DataSource], time_zone: ZoneInfo, *, learn: Learn = _forget
    ) -> None:
        self._client = client
        self._sources = dict(sources)
        self._time_zone = time_zone
        self._learn = learn

    def turn(self, priority: Priority, *, begun: bool = False) -> AbstractAsyncContextManager[Turn]:
        """Wait for leave to send one request."""
        return self._client.turn(priority, begun=begun)

    def database_of(self, entity: Entity) -> str:
        """Return the id of the entity's database; raises FatalError when setup did not make one."""
        return self._source(entity).database_id

    def was_restored(self, entity: Entity, key: str, label: str) -> bool:
        """Whether the option was taken out of the schema lately and put back: pages have lost it with that."""
        return drift.was_restored(self._source(entity), key, label, datetime.now(UTC))

    def paused(self, entity: Entity) -> frozenset[str]:
        """Return the fields that are neither written nor read now."""
        return pages.paused(entity, self._source(entity))

    def properties_of(self, entity: Entity) -> Mapping[str, str]:
        """Return the ids of the entity's properties by field."""
        return self._source(entity).properties

    def holds(self, entity: Entity, page: Page) -> bool:
        """Whether the page is in the entity's database: a person may have moved it."""
        return page.data_source_id == self._source(entity).data_source_id

    @property
    def sources(self) -> Mapping[str, DataSource]:
        """What is known of the databases, by entity."""
        return self._sources

    def refresh(self, sources: Mapping[str, DataSource]) -> None:
        """Go by what is known of the databases now."""
        self._sources = dict(sources)

    def looking_at(self, source: DataSource) -> NotionSink:
        """Return a sink that goes by `source`, and learns nothing."""
        return NotionSink(self._client, {source.entity: source}, self._time_zone)

    async def create(self, entity: Entity, values: Mapping[str, Json]) -> Page:
        """Make a page; raises OutcomeUnknown when it can't tell whether it was made."""
        source = self._identified(entity)
        body = {
            "parent": {"type": "data_source_id", "data_source_id": source.data_source_id},
            "properties": pages.properties_of(entity, source, values),
        }
        try:
            answer = await self._client.request("POST", "pages", body=body)
        except SyncError as error:
            raise create_failed(error) from None
        return await self._page(entity, source, answer)

    async def update(self, entity: Entity, page_id: PageId, values: Mapping[str, Json]) -> Page:
        """Write these fields and no others; raises PageGone, PageTrashed."""
        source = self._source(entity)
        body = {"properties": pages.properties_of(entity, source, values)}
        return await self._page(entity, source, await self._client.request("PATCH", f"pages/{page_id}", body=body))

    async def set_trashed(self, entity: Entity, page_id: PageId, *, trashed: bool) -> Page:
        """Move the page to the trash or back; raises PageGone."""
        answer = await self._client.request("PATCH", f"pages/{page_id}", body={"in_trash": trashed})
        return await self._page(entity, self._source(entity), answer)

    async def read(self, entity: Entity, page_id: PageId) -> Page:
        """Return the page as it is, long properties read to their end; raises PageGone."""
        source = self._source(entity)
        page = await self._page(entity, source, await self._client.request("GET", f"pages/{page_id}"))
        for key in [key for key, why in page.unknown.items() if why is Unknown.UNREAD]:
            items = await self._items(page_id, source.properties[key])
            page = pages.completed(page, field_of(entity, key), items, self._time_zone)
        return page

    async def find(self, entity: Entity, system_id: str) -> Sequence[Page]:
        """Return the pages that carry this System ID. Queries may lag: an empty answer is not proof."""
        source = self._identified(entity)
        body = {"filter": {"property": source.properties[SYSTEM_ID], "rich_text": {"equals": system_id}}}
        answer = await self._query(source, body)
        return await self._pages(entity, source, answer)

    async def identify(self, page_id: PageId) -> tuple[str | None, Page]:
        """Return a page that nobody linked, and the name of the entity in whose database it lives (None: in none)."""
        answer = await self._client.request("GET", f"pages/{page_id}")
        lives_in = (answer.get("parent") or {}).get("data_source_id")
        source = next((source for source in self._sources.values() if source.data_source_id == lives_in), None)
        if source is None:
            return None, pages.bare(answer)
        return source.entity, await self._page(by_name(source.entity), source, answer)

    async def scan(
        self, entity: Entity, *, priority: Priority = Priority.LIVE
    ) -> AsyncIterator[Sequence[Page]]:
        """Return every page of the entity, each once, in batches; raises rather than stop short."""
        source = self._source(entity)
        seen: set[PageId] = set()
        async for answers in oldest_first(self._asking(source, priority)):
            batch = [await self._page(entity, source, answer) for answer in answers]
            fresh = [page for page in batch if page.page_id not in seen]
            seen.update(page.page_id for page in fresh)
            if fresh:
                yield fresh

    async def edited_since(
        self, entity: Entity, since: datetime | None, *, priority: Priority
    ) -> AsyncIterator[Sequence[Page]]:
        """Return the pages edited at or after `since` (None: ever), in batches; one may come twice."""
        source = self._source(entity)
        bound = since.astimezone(UTC).isoformat() if since is not None else None
        try:
            async for answers in newest_edits_first(self._asking(source, priority), bound):
                if answers:
                    yield [await self._page(entity, source, answer) for answer in answers]
        except Crowded:
            # thousands were edited at once, and no query by that time gets past them
            async for found in self.scan(entity, priority=priority):
                yield [page for page in found if since is None or page.edited_at is None or page.edited_at >= since]

    def _asking(self, source: DataSource, priority: Priority) -> Ask:
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

    def _identified(self, entity: Entity) -> DataSource:
        """Return the source, unless its pages' System IDs can't be read: a page could be made twice."""
        source = self._source(entity)
        if SYSTEM_ID in source.paused:
            raise EntityUnavailable(f"{source.paused[SYSTEM_ID]}; until then no page is made")
        return source

    async def _pages(self, entity: Entity, source: DataSource, answer: Mapping[str, Any]) -> Sequence[Page]:
        return [await self._page(entity, source, page) for page in answer.get("results") or []]

    async def _page(self, entity: Entity, source: DataSource, answer: Mapping[str, Any]) -> Page:
        for met in pages.options_met(entity, source, answer):
            # by its id from now on: should people rename the option, its pages go on showing the same
            await self._learn(source, met.field, met.option_id, met.label)
            source = pages.knowing(source, met)
            now = self._sources.get(source.entity)
            if now is not None and now.data_source_id == source.data_source_id:
                self._sources[source.entity] = pages.knowing(now, met)
        return pages.page_of(entity, source, answer, self._time_zone)

    async def _items(self, page_id: PageId, property_id: str) -> list[Mapping[str, Any]]:
        """Return all of a property's items, within the turn that read the page."""
        path = f"pages/{page_id}/properties/{property_id}"
        items: list[Mapping[str, Any]] = []
        async for answer in listed(lambda query: self._client.follow_up("GET", path, query=query)):
            items += answer.get("results") or []
        return items
