"""The inbox: what webhooks told, each event once. Hints of what to look at, and the best clock there is for theirs.

Events say who edited which properties, and when; never to what. They may be lost, late, repeated, out of order or
told together, so nothing here decides what a page holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.changes import PageId
from state.database import Connection

# least(): a clock that runs ahead must not make an edit win over all that comes after it
RECEIVE: Final[LiteralString] = """
insert into inbox (event_id, happened_at, kind, entity_type, entity_id, data_source_id, authors, properties, attempt)
values (%(event_id)s, least(%(happened_at)s, clock_timestamp()), %(kind)s, %(entity_type)s, %(entity_id)s,
    %(data_source_id)s, %(authors)s, %(properties)s, %(attempt)s)
on conflict (event_id) do nothing
"""

# An edit is what names properties, or a new page: text that somebody writes below them is none of ours
EDITS: Final[LiteralString] = """
select event_id, happened_at, authors, properties
from inbox
where entity_id = %(page_id)s and (kind = 'page.created' or properties <> '{}')
order by happened_at, event_id
"""

PRUNE: Final[LiteralString] = """
delete from inbox where event_id in (
    select event_id from inbox
    where received_at < clock_timestamp() - make_interval(days => %(days)s)
    order by received_at
    limit %(limit)s
)
"""

KNOWN_AS: Final[LiteralString] = """
select
    "entityType" as entity_type, "systemId" as system_id, pushing is not null as being_written,
    -- to put a page into the trash is a write of ours, too, but not one that counts for a hot key's pace
    greatest("sentAt", case when "pageState" = 'trashed' then "lastSyncedAt" end) as written_at
from "NotionSyncMapping"
where "notionPageId" = %(page_id)s
"""

OURS: Final[LiteralString] = """
select exists (
    select 1 from data_source where data_source_id = %(parent_id)s or database_id = %(parent_id)s
)
"""

KEPT_DAYS: Final = 30
PRUNED_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who took part in an edit. `type` is person, bot or agent."""

    id: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `kind` is Notion's type, such as page.properties_updated; `properties` are property ids."""

    event_id: str
    happened_at: datetime
    kind: str
    entity_type: str
    entity_id: str
    data_source_id: str | None = None    # of the database around a row
    parent_id: str | None = None         # of whatever is around it; not kept
    authors: Sequence[Author] = ()
    properties: Sequence[str] = ()
    attempt: int = 1

    def only_by(self, user_id: str | None) -> bool:
        """Whether nobody else took part. Nobody named is not nobody."""
        return user_id is not None and bool(self.authors) and all(author.id == user_id for author in self.authors)


@dataclass(frozen=True, slots=True)
class Edit:
    """The newest edit of something by somebody other than our bot. `by` is None where the event named nobody."""

    at: datetime
    by: str | None
    event_id: str


@dataclass(frozen=True, slots=True)
class Edits:
    """What webhooks told of edits of a page: the newest of all, and of each property by its id."""

    at: datetime | None
    by: str | None
    properties: Mapping[str, Edit]


@dataclass(frozen=True, slots=True)
class KnownAs:
    """The record that a page is linked to, and when we last wrote the page ourselves."""

    entity_type: str
    system_id: str
    being_written: bool
    written_at: datetime | None


async def receive(conn: Connection, event: Event) -> bool:
    """Keep the event; False when it was kept before."""
    cursor = await conn.execute(
        RECEIVE,
        {
            "event_id": event.event_id, "happened_at": event.happened_at, "kind": event.kind,
            "entity_type": event.entity_type, "entity_id": event.entity_id, "data_source_id": event.data_source_id,
            "authors": Jsonb([{"id": author.id, "type": author.type} for author in event.authors]),
            "properties": list(dict.fromkeys(event.properties)), "attempt": event.attempt,
        },
    )
    return cursor.rowcount == 1


async def edits(conn: Connection, page_id: str, bot_id: str | None) -> Edits:
    """Return the newest edits of the page, and of each property, that were not our bot's alone.

    Edits that were told together have one time and several authors: the first who is not our bot counts as theirs.
    """
    newest: Edit | None = None
    properties: dict[str, Edit] = {}
    for event_id, happened_at, authors, named in await (await conn.execute(EDITS, {"page_id": page_id})).fetchall():
        ids = _ids(authors)
        others = [author_id for author_id in ids if author_id != bot_id]
        if ids and not others:
            continue
        newest = Edit(happened_at, others[0] if others else None, event_id)
        properties |= dict.fromkeys(named, newest)
    return Edits(newest.at if newest else None, newest.by if newest else None, properties)


def _ids(authors: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(author["id"]) for author in authors)


async def known_as(conn: Connection, page_id: PageId) -> KnownAs | None:
    """Return the record that the page is linked to."""
    async with conn.cursor(row_factory=class_row(KnownAs)) as cursor:
        await cursor.execute(KNOWN_AS, {"page_id": page_id})
        return await cursor.fetchone()


async def is_ours(conn: Connection, parent_id: str) -> bool:
    """Whether a data source or database is one of the seven."""
    row = await (await conn.execute(OURS, {"parent_id": parent_id})).fetchone()
    return row is not None and bool(row[0])


async def prune(conn: Connection, days: int = KEPT_DAYS) -> int:
    """Forget some of what came more than `days` ago; return how many: call again until that is 0."""
    cursor = await conn.execute(PRUNE, {"days": days, "limit": PRUNED_AT_ONCE})
    return cursor.rowcount
