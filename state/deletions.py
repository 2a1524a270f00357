"""Deletions: rows that are gone while their pages stand, and what was decided about those pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, LiteralString

from psycopg.rows import class_row

from state.changes import Key, PageId
from state.database import Connection

LOCK: Final[LiteralString] = "select pg_advisory_xact_lock(hashtextextended('mapable-cdc delete ' || %(entity)s, 0))"

VERDICT: Final[LiteralString] = "select state from deletion where entity = %(entity)s and system_id = %(system_id)s"

GONE_GROUPS: Final[LiteralString] = """
select group_entity, group_id, min(deleted_at)
from deletion
where entity = %(entity)s and state = 'went'
  and deleted_at between %(at)s - make_interval(secs => %(window_s)s) and %(at)s + make_interval(secs => %(window_s)s)
group by group_entity, group_id
"""

# Pages that are gone within the window are no longer linked, but were when it began
LINKED: Final[LiteralString] = """
select count(*)
from "NotionSyncMapping" m
where m."entityType" = %(entity_type)s
  and (m."pageState" = 'live' or exists (
    select from deletion d
    where d.entity = %(entity)s and d.system_id = m."systemId" and d.state = 'went'
      and d.deleted_at > %(at)s - make_interval(secs => %(window_s)s)))
"""

# What went long ago counts no more; what waits is kept until somebody decides or the row is back
RECORD: Final[LiteralString] = """
with past as (
    delete from deletion where entity = %(entity)s and state = 'went' and system_id <> %(system_id)s
      and at < clock_timestamp() - interval '7 days' and deleted_at < clock_timestamp() - interval '7 days'
)
insert into deletion (entity, system_id, page_id, participant_id, group_entity, group_id, deleted_at, state)
values (%(entity)s, %(system_id)s, %(page_id)s, %(participant_id)s, %(group_entity)s, %(group_id)s, %(deleted_at)s,
    %(state)s)
on conflict (entity, system_id) do update set
    page_id = excluded.page_id, participant_id = excluded.participant_id, group_entity = excluded.group_entity,
    group_id = excluded.group_id, deleted_at = excluded.deleted_at, state = excluded.state, at = excluded.at
"""

# A row that is back makes void what was decided about its absence
ROWS_BACK: Final[LiteralString] = """
delete from deletion where entity = %(entity)s and system_id = any (%(ids)s)
returning system_id, page_id, participant_id, state
"""

# The page of a rejected deletion never went anywhere, so it belongs to its row again
RELINK: Final[LiteralString] = """
update "NotionSyncMapping" set "pageState" = 'live', "unlinkedBecause" = null
where "entityType" = %(entity_type)s and "systemId" = any (%(ids)s) and "pageState" = 'unlinked'
  and "unlinkedBecause" = 'delete_rejected'
"""

UNLINK: Final[LiteralString] = """
update "NotionSyncMapping" set "pageState" = 'unlinked', "unlinkedBecause" = 'delete_rejected'
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s and "pageState" = 'live'
"""

ANY_HELD: Final[LiteralString] = "select exists (select from deletion where entity = %(entity)s and state = 'held')"

# A page that a person took away meanwhile needs no word any more
COUNT_HELD: Final[LiteralString] = """
select count(*)
from deletion d
join "NotionSyncMapping" m on m."notionPageId" = d.page_id and m."pageState" = 'live'
where d.state = 'held'
"""

# Whoever names a record means what its deletion took along, too
HELD: Final[LiteralString] = """
with named as (
    select entity, system_id
    from deletion
    where state = 'held'
      and (%(entity)s::text is null or entity = %(entity)s)
      and (%(ids)s::text[] is null or system_id = any (%(ids)s))
)
select d.entity, d.system_id, d.page_id, d.participant_id, d.group_entity, d.group_id, d.deleted_at, d.state, d.at
from deletion d
join "NotionSyncMapping" m on m."notionPageId" = d.page_id and m."pageState" = 'live'
where d.state = 'held'
  and (exists (select from named n where (n.entity, n.system_id) = (d.entity, d.system_id))
    or (exists (select from named n where (n.entity, n.system_id) = (d.group_entity, d.group_id))))
order by d.deleted_at, d.entity, d.system_id
limit %(limit)s
"""

TAKEN_ALONG: Final[LiteralString] = """
select d.group_entity, d.group_id, count(*)
from deletion d
join "NotionSyncMapping" m on m."notionPageId" = d.page_id and m."pageState" = 'live'
where d.state = 'held' and (d.group_entity, d.group_id) <> (d.entity, d.system_id)
group by d.group_entity, d.group_id
"""

DECIDE: Final[LiteralString] = """
update deletion d set state = %(state)s
from unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, system_id)
where d.entity = k.entity and d.system_id = k.system_id and d.state = 'held'
returning d.entity, d.system_id
"""

PARENT: Final[LiteralString] = """
select "systemId", "pageState" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "notionPageId" = %(page_id)s
"""

# A tombstone no longer knows its participant; the deletion that made it does
PLANS: Final[LiteralString] = """
select "systemId" as system_id, "notionPageId" as page_id, "pageState" as state
from "NotionSyncMapping"
where "entityType" = %(entity_type)s
  and (base -> 'participant' -> 'sent' ? %(page_id)s or base -> 'participant' -> 'got' ? %(page_id)s)
union all
select d.system_id, d.page_id, m."pageState"
from deletion d
join "NotionSyncMapping" m on m."entityType" = %(entity_type)s and m."systemId" = d.system_id
where d.entity = %(entity)s and d.participant_id = %(participant_id)s
"""


class Verdict(StrEnum):
    """What was decided about the page of a row that is gone."""

    WENT = "went"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A row that is gone, its page, and what both count as."""

    entity: str
    system_id: str
    page_id: PageId
    participant_id: str | None
    group_entity: str
    group_id: str
    deleted_at: datetime    # when MapAble committed it
    state: str
    at: datetime | None = None

    @property
    def key(self) -> Key:
        return Key(self.entity, self.system_id)

    @property
    def group(self) -> Key:
        return Key(self.group_entity, self.group_id)


@dataclass(frozen=True, slots=True)
class Undone:
    """A deletion whose row is back, and what had been decided."""

    system_id: str
    page_id: PageId
    participant_id: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Parent:
    """A record whose deletion may have taken others along, and where its page stands."""

    system_id: str
    page_id: PageId
    state: str


async def lock(conn: Connection, entity: str) -> None:
    """Serialise the verdicts about one entity until the transaction ends."""
    await conn.execute(LOCK, {"entity": entity})


async def verdict(conn: Connection, key: Key) -> Verdict | None:
    """Return what was decided about the page of this row."""
    row = await (await conn.execute(VERDICT, {"entity": key.entity, "system_id": key.system_id})).fetchone()
    return Verdict(row[0]) if row is not None else None


async def gone_groups(conn: Connection, entity: str, at: datetime, window_s: float) -> Mapping[Key, datetime]:
    """Return the groups whose pages went at most `window_s` before or after `at`, and when."""
    cursor = await conn.execute(GONE_GROUPS, {"entity": entity, "at": at, "window_s": window_s})
    return {Key(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def linked(conn: Connection, entity: str, entity_type: str, at: datetime, window_s: float) -> int:
    """Return how many pages of the entity were linked when the window before `at` began."""
    arguments = {"entity": entity, "entity_type": entity_type, "at": at, "window_s": window_s}
    row = await (await conn.execute(LINKED, arguments)).fetchone()
    return int(row[0]) if row is not None else 0


async def record(conn: Connection, item: Deletion) -> None:
    """Store a verdict."""
    await conn.execute(
        RECORD,
        {
            "entity": item.entity, "system_id": item.system_id, "page_id": item.page_id,
            "participant_id": item.participant_id, "group_entity": item.group_entity, "group_id": item.group_id,
            "deleted_at": item.deleted_at, "state": item.state,
        },
    )


async def rows_back(conn: Connection, entity: str, entity_type: str, ids: Sequence[str]) -> tuple[Undone, ...]:
    """Forget the deletions of these rows, which are there, and return them; pages that were kept are linked again."""
    async with conn.cursor(row_factory=class_row(Undone)) as cursor:
        await cursor.execute(ROWS_BACK, {"entity": entity, "ids": list(ids)})
        undone = tuple(await cursor.fetchall())
    kept = [each.system_id for each in undone if each.state == Verdict.REJECTED]
    if kept:
        await conn.execute(RELINK, {"entity_type": entity_type, "ids": kept})
    return undone


async def unlink(conn: Connection, entity_type: str, system_id: str) -> None:
    """Let the page of a row that is gone stand for itself."""
    await conn.execute(UNLINK, {"entity_type": entity_type, "system_id": system_id})


async def any_held(conn: Connection, entity: str) -> bool:
    """Whether a page of the entity waits for a person's word."""
    row = await (await conn.execute(ANY_HELD, {"entity": entity})).fetchone()
    return bool(row is not None and row[0])


async def count_held(conn: Connection) -> int:
    """Return how many pages wait for a person's word."""
    row = await (await conn.execute(COUNT_HELD)).fetchone()
    return int(row[0]) if row is not None else 0


async def held(
    conn: Connection, *, entity: str | None = None, ids: Sequence[str] | None = None, limit: int | None = None
) -> tuple[Deletion, ...]:
    """Return what is held, all or what is named, each with what its deletion took along; the oldest first."""
    async with conn.cursor(row_factory=class_row(Deletion)) as cursor:
        await cursor.execute(
            HELD, {"entity": entity, "ids": list(ids) if ids is not None else None, "limit": limit}
        )
        return tuple(await cursor.fetchall())


async def taken_along(conn: Connection) -> Mapping[Key, int]:
    """Return how many pages are held because a deletion took them along, by the record that was deleted."""
    cursor = await conn.execute(TAKEN_ALONG)
    return {Key(row[0], row[1]): int(row[2]) for row in await cursor.fetchall()}


async def decide(conn: Connection, items: Sequence[Deletion], state: Verdict) -> tuple[Deletion, ...]:
    """Decide about what is held; return what still was."""
    arguments = {
        "entities": [item.entity for item in items], "ids": [item.system_id for item in items], "state": state.value,
    }
    decided = {Key(row[0], row[1]) for row in await (await conn.execute(DECIDE, arguments)).fetchall()}
    return tuple(item for item in items if item.key in decided)


async def parent(conn: Connection, entity_type: str, page_id: PageId) -> Parent | None:
    """Return the record that this page is, or was."""
    row = await (await conn.execute(PARENT, {"entity_type": entity_type, "page_id": page_id})).fetchone()
    return Parent(row[0], page_id, row[1]) if row is not None else None


async def plans_of(
    conn: Connection, entity: str, entity_type: str, participant: Parent
) -> tuple[Parent, ...]:
    """Return the plans of a participant, those that are gone too."""
    async with conn.cursor(row_factory=class_row(Parent)) as cursor:
        await cursor.execute(
            PLANS,
            {
                "entity": entity, "entity_type": entity_type, "page_id": participant.page_id,
                "participant_id": participant.system_id,
            },
        )
        return tuple(await cursor.fetchall())
