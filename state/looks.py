"""Looks at Notion: how far each entity was looked at, what is known of the pages seen, and what a sweep found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row

from state.changes import ABSENT, PageId
from state.database import Connection
from state.merge import Base, Json, Pair, base_from_json

EDITED_UNTIL: Final[LiteralString] = """
select edited_until from look where entity = %(entity)s and database_id = %(database_id)s
"""

# Another database than before is looked at from its beginning; a time never moves backwards
MOVE: Final[LiteralString] = """
insert into look as l (entity, database_id, edited_until)
values (%(entity)s, %(database_id)s, %(edited_until)s)
on conflict (entity) do update set
    edited_until = case when l.database_id = excluded.database_id
        then greatest(l.edited_until, excluded.edited_until) else excluded.edited_until end,
    swept_at = case when l.database_id = excluded.database_id then l.swept_at else excluded.swept_at end,
    database_id = excluded.database_id
"""

# All was compared when it was first met, so that the first sweep is due one interval later
BEGIN: Final[LiteralString] = """
insert into look (entity, database_id)
select entity, database_id from data_source where entity = any (%(entities)s)
order by entity
on conflict (entity) do nothing
"""

_LINKED: Final[LiteralString] = """
select "notionPageId" as page_id, "entityType" as entity_type, "systemId" as system_id, "pageState" as state,
    base as base_json, coalesce(pushing, '{}') as pushing, "unlinkedBecause" as because,
    (select coalesce(jsonb_object_agg(key, value -> 'value'), '{}') from jsonb_each(m.refused))
    || (
        select coalesce(jsonb_object_agg(field, notion), '{}') from conflict c
        where c."entityType" = m."entityType" and c."systemId" = m."systemId" and c.status in ('open', 'deciding')
    ) as standing
from "NotionSyncMapping" m
"""

LINKED: Final[LiteralString] = f"""{_LINKED}
where "notionPageId" = any (%(ids)s)
"""

POINTING: Final[LiteralString] = f"""{_LINKED}
where "entityType" = %(entity_type)s
  and "pageState" = 'live'
  and ("notionPageId" = any (%(pointing)s) or base -> %(field)s -> 'got' ?| %(ids)s)
"""

BEING_MADE: Final[LiteralString] = """
select "systemId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "systemId" = any (%(ids)s) and "pageState" = 'intended'
"""

PAGES: Final[LiteralString] = """
select "notionPageId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "pageState" in ('live', 'unlinked') and "notionPageId" is not null
"""

ROWS_OF: Final[LiteralString] = """
select "notionPageId", "systemId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "notionPageId" = any (%(ids)s)
"""

REQUEST: Final[LiteralString] = """
insert into look (entity, database_id, sweep_requested_at)
select entity, database_id, clock_timestamp() from data_source
where %(entities)s::text[] is null or entity = any (%(entities)s)
order by entity
on conflict (entity) do update set sweep_requested_at = excluded.sweep_requested_at
"""

# every_s 0: only those that were asked for
DUE: Final[LiteralString] = """
select entity from look
where sweep_requested_at is not null
   or (%(every_s)s > 0 and swept_at <= clock_timestamp() - make_interval(secs => %(every_s)s))
"""

NOW: Final[LiteralString] = "select clock_timestamp()"

# What was asked for while it was under way is still to be done
SWEPT: Final[LiteralString] = """
insert into look as l (entity, database_id, swept_at, pages, differing, missing, unknown)
values (%(entity)s, %(database_id)s, %(began_at)s, %(pages)s, %(differing)s, %(missing)s, %(unknown)s)
on conflict (entity) do update set
    swept_at = excluded.swept_at,
    sweep_requested_at = case when l.sweep_requested_at > excluded.swept_at then l.sweep_requested_at end,
    pages = excluded.pages, differing = excluded.differing, missing = excluded.missing, unknown = excluded.unknown,
    trouble = null, troubled_at = null
"""

TROUBLED: Final[LiteralString] = """
update look set trouble = %(trouble)s, troubled_at = clock_timestamp() where entity = %(entity)s
"""

SWEEPS: Final[LiteralString] = """
select entity, swept_at, sweep_requested_at is not null as requested, pages, differing, missing, unknown,
    trouble, troubled_at
from look
order by entity
"""


@dataclass(frozen=True, slots=True)
class Linked:
    """The link of a page that was seen, and what was agreed on it."""

    page_id: PageId
    entity_type: str
    system_id: str
    state: str
    base_json: Mapping[str, Any]
    pushing: Mapping[str, Json]
    because: str | None = None    # why it is not, or no more, the row's page
    standing: Mapping[str, Json] = field(default_factory=dict)    # what was not taken, and is known to stand there

    @property
    def base(self) -> Base:
        return base_from_json(self.base_json)

    @property
    def expected(self) -> Base:
        """What the page shows as long as nobody touches it: what was agreed, and what is refused or waits for a person.

        Somebody who types such a field back to what was agreed has touched it.
        """
        return {**self.base, **{key: Pair(ABSENT, value) for key, value in self.standing.items()}}


@dataclass(frozen=True, slots=True)
class Sweep:
    """When an entity was last swept, whether one is asked for, and what was found; no numbers before the first."""

    entity: str
    swept_at: datetime
    requested: bool
    pages: int | None = None
    differing: int | None = None
    missing: int | None = None
    unknown: int | None = None
    trouble: str | None = None              # why the last attempt came to nothing
    troubled_at: datetime | None = None


async def edited_until(conn: Connection, entity: str, database_id: str) -> datetime | None:
    """Return the time, by Notion's clock, before which every edit was seen; None: look at everything."""
    row = await (await conn.execute(EDITED_UNTIL, {"entity": entity, "database_id": database_id})).fetchone()
    return row[0] if row is not None else None


async def move(conn: Connection, entity: str, database_id: str, until: datetime) -> None:
    """Store how far it was looked at, in the transaction of the marks themselves."""
    await conn.execute(MOVE, {"entity": entity, "database_id": database_id, "edited_until": until})


async def begin(conn: Connection, entities: Sequence[str]) -> None:
    """Note, of entities that were never looked at, that they are from now on."""
    await conn.execute(BEGIN, {"entities": list(entities)})


async def linked(conn: Connection, page_ids: Sequence[PageId]) -> Mapping[PageId, Linked]:
    """Return the links of these pages, of whatever entity; pages without one are left out."""
    async with conn.cursor(row_factory=class_row(Linked)) as cursor:
        await cursor.execute(LINKED, {"ids": list(page_ids)})
        return {link.page_id: link for link in await cursor.fetchall()}


async def pointing(
    conn: Connection, entity_type: str, field: str, shown: Mapping[PageId, Collection[PageId]]
) -> tuple[Linked, ...]:
    """Return the entity's live links whose relation `field` points, or is shown to point, at one of these pages."""
    found = {"ids": list(shown), "pointing": [page_id for pages in shown.values() for page_id in pages]}
    async with conn.cursor(row_factory=class_row(Linked)) as cursor:
        await cursor.execute(POINTING, {"entity_type": entity_type, "field": field, **found})
        return tuple(await cursor.fetchall())


async def being_made(conn: Connection, entity_type: str, ids: Sequence[str]) -> frozenset[str]:
    """Return those of these rows whose page is just being made, so that it is not linked yet."""
    cursor = await conn.execute(BEING_MADE, {"entity_type": entity_type, "ids": list(ids)})
    return frozenset(row[0] for row in await cursor.fetchall())


async def pages(conn: Connection, entity_type: str) -> frozenset[PageId]:
    """Return the pages that belong to the entity's rows, live or taken away by a person."""
    cursor = await conn.execute(PAGES, {"entity_type": entity_type})
    return frozenset(PageId(row[0]) for row in await cursor.fetchall())


async def rows_of(conn: Connection, entity_type: str, page_ids: Sequence[PageId]) -> Mapping[PageId, str]:
    """Return the rows that these pages (still) belong to; pages of none are left out."""
    cursor = await conn.execute(ROWS_OF, {"entity_type": entity_type, "ids": list(page_ids)})
    return {PageId(row[0]): row[1] for row in await cursor.fetchall()}


async def request(conn: Connection, entities: Sequence[str] | None = None) -> None:
    """Ask for a sweep of these entities (all by default); the active process does it within moments."""
    await conn.execute(REQUEST, {"entities": list(entities) if entities is not None else None})


async def due(conn: Connection, every_s: float) -> frozenset[str]:
    """Return the entities whose sweep is due."""
    cursor = await conn.execute(DUE, {"every_s": every_s})
    return frozenset(row[0] for row in await cursor.fetchall())


async def now(conn: Connection) -> datetime:
    """Return the database's time."""
    row = await (await conn.execute(NOW)).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


async def swept(conn: Connection, sweep: Sweep, database_id: str) -> None:
    """Store the results of a sweep that began at its `swept_at`."""
    await conn.execute(
        SWEPT,
        {
            "entity": sweep.entity, "database_id": database_id, "began_at": sweep.swept_at, "pages": sweep.pages,
            "differing": sweep.differing, "missing": sweep.missing, "unknown": sweep.unknown,
        },
    )


async def troubled(conn: Connection, entity: str, trouble: str) -> None:
    """Note why an entity could not be swept."""
    await conn.execute(TROUBLED, {"entity": entity, "trouble": trouble})


async def sweeps(conn: Connection) -> tuple[Sweep, ...]:
    """Return the last sweep of every entity that was looked at."""
    async with conn.cursor(row_factory=class_row(Sweep)) as cursor:
        await cursor.execute(SWEEPS)
        return tuple(await cursor.fetchall())
