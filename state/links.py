"""Links: which Notion page belongs to which row, and what both sides were last seen to agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, LiteralString

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.changes import Key, PageId
from state.database import Connection
from state.errors import PoisonError, TransientError
from state.merge import Base, Json, base_from_json, base_to_json

LOAD: Final[LiteralString] = """
select
    "entityType" as entity_type, "systemId" as system_id, "notionPageId" as page_id, "pageState" as state,
    "syncDirection" as direction, "intendedAt" as intended_at, base as base_json, pushing, "leftOut" as left_out,
    "sentAt" as sent_at, "sendIntervalS" as send_interval_s, clock_timestamp() as read_at, refused, written,
    "unlinkedBecause" as unlinked_because, "conflictState" as conflict_state,
    "lastSyncedAt" as synced_at,
    coalesce((
        select jsonb_agg(jsonb_build_array(p.entity, p.target_entity, p.target_id))
        from pending_relation p
        where p.system_id = "systemId"
    ), '[]') as waits_json,
    case when "conflictState" = 'pending' then coalesce((
        select jsonb_object_agg(c.field, c.mapable)
        from conflict c
        where c."entityType" = m."entityType" and c."systemId" = m."systemId" and c.status in ('open', 'deciding')
    ), '{}') else '{}' end as frozen
from "NotionSyncMapping" m
where "entityType" = %(entity_type)s and "systemId" = any (%(ids)s)
"""

PAGES_OF: Final[LiteralString] = """
select "systemId", "notionPageId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "systemId" = any (%(ids)s) and "pageState" = 'live'
"""

POINTING_AT: Final[LiteralString] = """
select "systemId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "pageState" = 'live' and base -> %(field)s -> 'got' ? %(page_id)s
"""

INTEND: Final[LiteralString] = """
insert into "NotionSyncMapping" as m (
    "entityType", "systemId", "notionDatabaseId", "syncDirection", "pageState", "intendedAt", pushing)
values (%(entity_type)s, %(system_id)s, %(database_id)s, %(direction)s, 'intended', clock_timestamp(), %(pushing)s)
on conflict ("entityType", "systemId") do update set
    "notionDatabaseId" = excluded."notionDatabaseId", "pageState" = 'intended',
    "intendedAt" = clock_timestamp(), "notionPageId" = null, base = '{}', pushing = excluded.pushing
-- a page that was linked meanwhile must not be forgotten: another one would be made
where m."notionPageId" is null
"""

DROP_INTENT: Final[LiteralString] = """
delete from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s and "pageState" in ('intended', 'ambiguous')
"""

# The page of a link is set by the worker that holds the key; a page that another link holds is refused by the
# unique constraint, which is what keeps a copied System ID from moving a page to another person.
STORE: Final[LiteralString] = """
insert into "NotionSyncMapping" as m (
    "entityType", "systemId", "notionPageId", "notionDatabaseId", "syncDirection", "pageState", "lastSyncedAt", base,
    "leftOut", "sentAt", "sendIntervalS", "pageEditedAt", refused, written)
values (
    %(entity_type)s, %(system_id)s, %(page_id)s, %(database_id)s, %(direction)s, %(state)s, clock_timestamp(), %(base)s,
    %(left_out)s, case when %(sent)s then clock_timestamp() end, %(send_interval_s)s, %(edited_at)s, %(refused)s,
    %(written)s)
on conflict ("entityType", "systemId") do update set
    "notionPageId" = excluded."notionPageId",
    "notionDatabaseId" = excluded."notionDatabaseId",
    "pageState" = excluded."pageState",
    "unlinkedBecause" = null,
    "lastSyncedAt" = excluded."lastSyncedAt",
    "intendedAt" = null,
    base = excluded.base,
    pushing = null,
    "leftOut" = excluded."leftOut",
    "sentAt" = coalesce(excluded."sentAt", m."sentAt"),
    "sendIntervalS" = excluded."sendIntervalS",
    "pageEditedAt" = coalesce(excluded."pageEditedAt", m."pageEditedAt"),
    refused = excluded.refused,
    written = excluded.written
"""

PUSHING: Final[LiteralString] = """
update "NotionSyncMapping" set pushing = %(pushing)s
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
"""

# A tombstone keeps ids only
SET_STATE: Final[LiteralString] = """
update "NotionSyncMapping" set
    "pageState" = %(state)s,
    base = case when %(state)s = 'trashed' then '{}' else base end,
    pushing = case when %(state)s = 'trashed' then null else pushing end,
    "leftOut" = case when %(state)s = 'trashed' then '{}' else "leftOut" end,
    refused = '{}',
    written = null,
    "unlinkedBecause" = %(because)s,
    "lastSyncedAt" = clock_timestamp()
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
"""

FORGET_VALUES: Final[LiteralString] = """
update "NotionSyncMapping" set base = '{}', pushing = null, "leftOut" = '{}', refused = '{}', written = null
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
"""

# What is there has to be looked for by the System ID, and made where it is not found
FORGET_PAGE: Final[LiteralString] = """
update "NotionSyncMapping" set
    "notionPageId" = null, "pageState" = 'intended', "intendedAt" = clock_timestamp(), base = '{}', pushing = null,
    refused = '{}', written = null, "unlinkedBecause" = null
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
"""

# Links that hold an entity's former direction follow its setting; one that was set by hand for a record stays
TURN: Final[LiteralString] = """
update "NotionSyncMapping" set "syncDirection" = %(now)s
where "entityType" = %(entity_type)s and "syncDirection" = %(before)s
"""

# A page that was found with the row's System ID; a link that stands already is not touched
ADOPT: Final[LiteralString] = """
insert into "NotionSyncMapping" as m ("entityType", "systemId", "notionPageId", "notionDatabaseId", "syncDirection",
    "pageState", base)
select %(entity_type)s, %(system_id)s, %(page_id)s, %(database_id)s, %(direction)s, %(state)s, %(base)s
where not exists (
    select 1 from "NotionSyncMapping" where "notionPageId" = %(page_id)s
)
on conflict ("entityType", "systemId") do update set
    "notionPageId" = excluded."notionPageId", "pageState" = excluded."pageState", base = excluded.base,
    "intendedAt" = null, pushing = null
where m."pageState" in ('intended', 'ambiguous')
"""

COUNT: Final[LiteralString] = """
select "entityType", "pageState", count(*) from "NotionSyncMapping" group by 1, 2
"""


BACK: Final = "back"
"""Why a tombstone's page is not in the trash: a person took it out, and it stands for itself since."""


class PageState(StrEnum):
    """Where a link's page stands, see 001_sidecar.sql."""

    INTENDED = "intended"
    LIVE = "live"
    TRASHED = "trashed"
    UNLINKED = "unlinked"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Link:
    """One row of "NotionSyncMapping" as it stood at `read_at` (the database's clock)."""

    entity_type: str
    system_id: str
    page_id: PageId | None
    state: str
    direction: str
    intended_at: datetime | None
    base_json: Mapping[str, Any]
    pushing: Mapping[str, Json] | None
    left_out: Mapping[str, str]
    sent_at: datetime | None
    send_interval_s: float
    read_at: datetime
    waits_json: Sequence[Sequence[str]] = ()    # (entity, target's entity, target's id), of any entity with this id
    refused: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] | None = None
    unlinked_because: str | None = None
    conflict_state: str = "none"
    synced_at: datetime | None = None
    frozen: Mapping[str, Json] = field(default_factory=dict)    # MapAble's sides of what a person has to decide

    @property
    def base(self) -> Base:
        return base_from_json(self.base_json)

    def waits_of(self, entity: str) -> frozenset[Key]:
        """Return the rows whose pages this row's relations are recorded to wait for. `entity` is its name, not type."""
        return frozenset(Key(target, system_id) for child, target, system_id in self.waits_json if child == entity)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a link becomes after Notion's answer was observed."""

    page_id: PageId
    database_id: str
    direction: str
    base: Base
    left_out: Mapping[str, str]
    sent: bool                    # a write was sent now (it counts towards the pace of a hot key)
    send_interval_s: float
    edited_at: datetime | None    # the page's last_edited_time, floored to the minute by Notion
    refused: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] | None = None


async def load(conn: Connection, entity_type: str, ids: Sequence[str]) -> Mapping[str, Link]:
    """Return the links of these rows by system id; rows without one are left out."""
    async with conn.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(LOAD, {"entity_type": entity_type, "ids": list(ids)})
        return {link.system_id: link for link in await cursor.fetchall()}


async def pages_of(conn: Connection, entity_type: str, ids: Sequence[str]) -> Mapping[str, PageId]:
    """Return the live pages of these rows by system id."""
    cursor = await conn.execute(PAGES_OF, {"entity_type": entity_type, "ids": list(ids)})
    return {row[0]: PageId(row[1]) for row in await cursor.fetchall()}


async def pointing_at(conn: Connection, entity_type: str, field: str, page_id: PageId) -> tuple[str, ...]:
    """Return the rows whose pages show, as agreed, a relation to the page. Reads every link of the entity."""
    arguments = {"entity_type": entity_type, "field": field, "page_id": page_id}
    return tuple(row[0] for row in await (await conn.execute(POINTING_AT, arguments)).fetchall())


async def intend(
    conn: Connection, entity_type: str, system_id: str, *, database_id: str, direction: str, pushing: Mapping[str, Json]
) -> None:
    """Store, before a create is sent, what it is about to say: from now on its outcome is unknown until observed.

    Raises TransientError when a page was linked meanwhile: look again instead.
    """
    cursor = await conn.execute(
        INTEND,
        {
            "entity_type": entity_type, "system_id": system_id, "database_id": database_id, "direction": direction,
            "pushing": Jsonb(dict(pushing)),
        },
    )
    if cursor.rowcount == 0:
        raise TransientError("a page was linked to the row meanwhile")


async def drop_intent(conn: Connection, entity_type: str, system_id: str) -> None:
    """Forget an intent whose create is known not to have happened, or an ambiguity that is no more."""
    await conn.execute(DROP_INTENT, {"entity_type": entity_type, "system_id": system_id})


async def store_pushing(conn: Connection, entity_type: str, system_id: str, pushing: Mapping[str, Json]) -> None:
    """Store the values of a write that is about to be sent."""
    await conn.execute(
        PUSHING, {"entity_type": entity_type, "system_id": system_id, "pushing": Jsonb(dict(pushing))}
    )


async def settle(conn: Connection, entity_type: str, system_id: str, settled: Settled) -> None:
    """Store an observed agreement. Runs in the transaction that clears the work and writes the audit line.

    Raises PoisonError when the page belongs to another row.
    """
    arguments = {
        "entity_type": entity_type, "system_id": system_id, "page_id": settled.page_id,
        "database_id": settled.database_id, "direction": settled.direction, "state": PageState.LIVE.value,
        "base": Jsonb(base_to_json(settled.base)), "left_out": Jsonb(dict(settled.left_out)), "sent": settled.sent,
        "send_interval_s": settled.send_interval_s, "edited_at": settled.edited_at,
        "refused": Jsonb(dict(settled.refused)),
        "written": Jsonb(dict(settled.written)) if settled.written is not None else None,
    }
    try:
        await conn.execute(STORE, arguments)
    except UniqueViolation:
        raise PoisonError(
            "page_taken", "the page with this System ID belongs to another row: correct the ID in Notion, then retry"
        ) from None


async def adopt(
    conn: Connection, entity_type: str, system_id: str, *, page_id: PageId | None, database_id: str, direction: str,
    state: PageState, base: Base,
) -> bool:
    """Link a page that was found by its System ID; False when the row or the page has a link already."""
    cursor = await conn.execute(
        ADOPT,
        {
            "entity_type": entity_type, "system_id": system_id, "page_id": page_id, "database_id": database_id,
            "direction": direction, "state": state.value, "base": Jsonb(base_to_json(base)),
        },
    )
    return cursor.rowcount == 1


async def set_state(
    conn: Connection, entity_type: str, system_id: str, state: PageState, because: str | None = None
) -> None:
    """Move the link to another state, keeping its page id. `because`: why it is unlinked."""
    await conn.execute(
        SET_STATE, {"entity_type": entity_type, "system_id": system_id, "state": state.value, "because": because}
    )


async def forget_values(conn: Connection, entity_type: str, system_id: str) -> None:
    """Keep the ids and the state of the link only."""
    await conn.execute(FORGET_VALUES, {"entity_type": entity_type, "system_id": system_id})


async def forget_page(conn: Connection, entity_type: str, system_id: str) -> None:
    """Forget a page that is out of reach, so that it is looked for by its System ID, or made anew."""
    await conn.execute(FORGET_PAGE, {"entity_type": entity_type, "system_id": system_id})


async def turn(conn: Connection, entity_type: str, *, before: str, now: str) -> None:
    """Let the links of an entity follow its setting to another direction."""
    await conn.execute(TURN, {"entity_type": entity_type, "before": before, "now": now})


async def count(conn: Connection) -> Mapping[tuple[str, str], int]:
    """Return the number of links by (entity type, page state)."""
    cursor = await conn.execute(COUNT)
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}
