"""Strays: pages in our databases that belong to no row, as they were judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.changes import Key, PageId
from state.database import Connection
from state.merge import Base, base_to_json

KIND: Final = "page"
"""The entity name of keys that are pages without a row."""

LOAD: Final[LiteralString] = """
select page_id, entity, system_id, kind, note, facts, edited_at, first_seen_at, resolved_at
from stray_page
where page_id = any (%(ids)s)
"""

OPEN: Final[LiteralString] = """
select page_id, entity, system_id, kind, note, facts, edited_at, first_seen_at, resolved_at
from stray_page
where resolved_at is null
  and not exists (select 1 from "NotionSyncMapping" where "notionPageId" = page_id)
order by first_seen_at, page_id
limit %(limit)s
"""

OPEN_PAGES: Final[LiteralString] = "select page_id from stray_page where resolved_at is null and entity = %(entity)s"

FLAG: Final[LiteralString] = """
insert into stray_page as s (page_id, entity, system_id, kind, note, facts, edited_at)
values (%(page_id)s, %(entity)s, %(system_id)s, %(kind)s, %(note)s, %(facts)s, %(edited_at)s)
on conflict (page_id) do update set
    entity = excluded.entity, system_id = excluded.system_id, kind = excluded.kind, note = excluded.note,
    facts = excluded.facts, edited_at = excluded.edited_at, resolved_at = null,
    first_seen_at = case when s.resolved_at is null then s.first_seen_at else excluded.first_seen_at end
"""

RESOLVE: Final[LiteralString] = """
update stray_page set resolved_at = clock_timestamp(), note = null
where page_id = %(page_id)s and resolved_at is null
"""

# A link that a person took the page of gets another one
RELINK: Final[LiteralString] = """
update "NotionSyncMapping" set
    "notionPageId" = %(page_id)s, "notionDatabaseId" = %(database_id)s, "pageState" = 'live',
    "unlinkedBecause" = null, base = %(base)s, pushing = null, refused = '{}', written = null
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s and "pageState" = 'unlinked'
  and not exists (select 1 from "NotionSyncMapping" where "notionPageId" = %(page_id)s)
"""


@dataclass(frozen=True, slots=True)
class Stray:
    """One page without a row. `facts` is a digest of the page as it was judged."""

    page_id: PageId
    entity: str
    system_id: str | None
    kind: str
    note: str | None
    facts: bytes
    edited_at: datetime | None
    first_seen_at: datetime | None = None
    resolved_at: datetime | None = None


def key_of(page_id: PageId) -> Key:
    """Return the key under which a page without a row is worked off."""
    return Key(KIND, page_id)


async def load(conn: Connection, page_ids: Sequence[PageId]) -> Mapping[PageId, Stray]:
    """Return what is known of these pages, resolved or not."""
    async with conn.cursor(row_factory=class_row(Stray)) as cursor:
        await cursor.execute(LOAD, {"ids": list(page_ids)})
        return {stray.page_id: stray for stray in await cursor.fetchall()}


async def still_open(conn: Connection, limit: int = 1000) -> tuple[Stray, ...]:
    """Return the pages that wait for a person, the oldest first."""
    async with conn.cursor(row_factory=class_row(Stray)) as cursor:
        await cursor.execute(OPEN, {"limit": limit})
        return tuple(await cursor.fetchall())


async def open_pages(conn: Connection, entity: str) -> frozenset[PageId]:
    """Return the pages of an entity's database that wait for a person."""
    cursor = await conn.execute(OPEN_PAGES, {"entity": entity})
    return frozenset(PageId(row[0]) for row in await cursor.fetchall())


async def flag(conn: Connection, stray: Stray) -> None:
    """Store how the page was judged."""
    await conn.execute(
        FLAG,
        {
            "page_id": stray.page_id, "entity": stray.entity, "system_id": stray.system_id, "kind": stray.kind,
            "note": stray.note, "facts": stray.facts, "edited_at": stray.edited_at,
        },
    )


async def resolve(conn: Connection, page_id: PageId) -> None:
    """The page is a stray no more: it belongs to a row, or it is gone."""
    await conn.execute(RESOLVE, {"page_id": page_id})


async def relink(
    conn: Connection, entity_type: str, system_id: str, page_id: PageId, database_id: str, base: Base
) -> bool:
    """Give a row whose page a person took away another one; False when either is linked by now."""
    cursor = await conn.execute(
        RELINK,
        {
            "entity_type": entity_type, "system_id": system_id, "page_id": page_id, "database_id": database_id,
            "base": Jsonb(base_to_json(base)),
        },
    )
    return cursor.rowcount == 1
