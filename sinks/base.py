"""The port to the side that shows pages: what reconcile needs of it, and how it fails.

Order: calls for one key never overlap (the work queue sees to it). Duplicates: `update`, `trash` and `restore` may be
repeated without harm; `create` may not, and says `OutcomeUnknown` when it can't tell. Durability: when a call returns,
the answer was observed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sinks.mapping.model import Entity
from state.changes import ABSENT, PageId, Priority
from state.errors import SyncError, TransientError
from state.merge import Json
from state.threeway import Theirs, Unknown


class OutcomeUnknown(TransientError):
    """A create may or may not have happened. `page_id`: Notion said which page it made, all the same."""

    def __init__(self, message: str, page_id: PageId | None = None) -> None:
        super().__init__(message)
        self.page_id = page_id


class SinkUnavailable(TransientError):
    """The whole side can't be used now (outage, revoked token): says nothing about the piece of work at hand."""


class EntityUnavailable(TransientError):
    """One entity's database can't be used now (unshared, in the trash); the others can."""


class PageGone(SyncError):
    """No such page for us: purged, or no longer shared. The two can't be told apart."""


class PageTrashed(SyncError):
    """The page (or its database) is in the trash, so that it can't be edited."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as the side answered it: canonical JSON values by field key, and by field why others could not be read.

    A field in neither is not among the page's properties.
    """

    page_id: PageId
    data_source_id: str | None
    system_id: str | None
    values: Mapping[str, Json]
    in_trash: bool
    edited_at: datetime | None       # floored to the minute by Notion
    edited_by: str | None
    request_id: str | None
    unknown: Mapping[str, Unknown] = field(default_factory=dict)
    created_by: str | None = None
    archived: bool = False

    def theirs(self, key: str) -> Theirs:
        """Return what the page shows for a field."""
        return self.unknown[key] if key in self.unknown else self.values.get(key, ABSENT)


class TurnTaken(Protocol):
    """Leave to send one request, and how long it was waited for. Set `spent` to False when nothing was sent."""

    spent: bool

    @property
    def waited_s(self) -> float: ...


class PageSink(Protocol):
    """Pages of the seven entities. Values are canonical JSON by field key; relations are lists of page ids."""

    def database_of(self, entity: Entity) -> str:
        """Return the id of the entity's database; raises EntityUnavailable when setup did not make one."""
        ...

    def paused(self, entity: Entity) -> frozenset[str]:
        """Return the fields that people made unusable: they are left out of writes, and not read."""
        ...

    def turn(self, priority: Priority) -> AbstractAsyncContextManager[TurnTaken]:
        """Wait for leave to send one request. `create`, `update` and `set_trashed` are called within a turn."""
        ...

    async def create(self, entity: Entity, values: Mapping[str, Json]) -> Page:
        """Make a page; raises OutcomeUnknown when it can't tell whether it was made."""
        ...

    async def update(self, entity: Entity, page_id: PageId, values: Mapping[str, Json]) -> Page:
        """Write these fields and no others; raises PageGone, PageTrashed."""
        ...

    async def read(self, entity: Entity, page_id: PageId) -> Page:
        """Return the page as it is, one attempt within a turn, its long properties to the end; raises PageGone."""
        ...

    async def set_trashed(self, entity: Entity, page_id: PageId, *, trashed: bool) -> Page:
        """Move the page to the trash or back; raises PageGone."""
        ...

    async def find(self, entity: Entity, system_id: str) -> Sequence[Page]:
        """Return the pages that carry this System ID. Queries may lag: an empty answer is not proof."""
        ...

    def scan(self, entity: Entity) -> AsyncIterator[Sequence[Page]]:
        """Return every page of the entity, in batches; raises rather than stop short."""
        ...
