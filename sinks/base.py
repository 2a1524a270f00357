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
from typing import Final, Protocol

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


class CommentsForbidden(SyncError):
    """The connection may not read or not insert comments: a person may allow it; until then nothing is said."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a page, without its formatting."""

    text: str
    author: str | None
    made_at: datetime | None    # may be floored to the minute


@dataclass(frozen=True, slots=True)
class Page:
    """A page as the side answered it: canonical JSON values by field key, and by field why others could not be read.

    A field in neither is not among the page's properties. `mirrored`: by the other side of a dual relation the pages
    that it shows, where all of them were read; it is never written, and no value of the page.
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
    mirrored: Mapping[str, frozenset[PageId]] = field(default_factory=dict)

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
        """Return the id of the entity's database; raises FatalError when setup did not make one."""
        ...

    def properties_of(self, entity: Entity) -> Mapping[str, str]:
        """Return the ids of the entity's properties by field."""
        ...

    def holds(self, entity: Entity, page: Page) -> bool:
        """Whether the page is in the entity's database: a person may have moved it."""
        ...

    def paused(self, entity: Entity) -> frozenset[str]:
        """Return the fields that people made unusable: they are left out of writes, and not read."""
        ...

    def was_restored(self, entity: Entity, key: str, label: str) -> bool:
        """Whether the option was taken out of the schema lately and put back: pages have lost it with that."""
        ...

    def turn(self, priority: Priority, *, begun: bool = False) -> AbstractAsyncContextManager[TurnTaken]:
        """Wait for leave to send one request. What changes or reads one page is called within a turn.

        `begun`: it goes on with a record that was read for it, and comes before those that only begin.
        """
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

    async def identify(self, page_id: PageId) -> tuple[str | None, Page]:
        """Return a page that nobody linked, and the name of the entity in whose database it lives (None: in none).

        One attempt within a turn; raises PageGone. The values of a page that lives in none are not read.
        """
        ...

    def scan(self, entity: Entity, *, priority: Priority = Priority.LIVE) -> AsyncIterator[Sequence[Page]]:
        """Return every page of the entity, each once, in batches; raises rather than stop short."""
        ...

    def edited_since(
        self, entity: Entity, since: datetime | None, *, priority: Priority
    ) -> AsyncIterator[Sequence[Page]]:
        """Return the pages edited at or after `since` (None: ever), in batches; raises rather than stop short.

        Edit times are floored to the minute. A page may come twice, the newer version last. What is in the trash or
        archived does not come, nor does one that is edited after the first batch was read.
        """
        ...


COMMENT_UNITS: Final = 2_000
"""What a comment may hold, in UTF-16 units."""


class CommentSink(Protocol):
    """Comments on pages; both raise PageGone and CommentsForbidden.

    Duplicates: a `comment` that is repeated stands there twice. Order: none between pages.
    """

    def turn(self, priority: Priority) -> AbstractAsyncContextManager[TurnTaken]:
        """Wait for leave to send one request. `comment` is called within a turn."""
        ...

    async def comment(self, page_id: PageId, text: str) -> str | None:
        """Write a comment of at most COMMENT_UNITS; return the request's id. Raises OutcomeUnknown, PageTrashed."""
        ...

    async def comments(self, page_id: PageId, priority: Priority) -> Sequence[Comment]:
        """Return the page's open comments, taking turns itself; raises rather than stop short."""
        ...
