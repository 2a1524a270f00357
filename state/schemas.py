"""What becomes of the databases' schemas: stored with what follows from it for the links, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.database import Connection
from state.merge import Json
from state.settings import DataSource

# What is known of an option stays: its first label is what pages and rows agreed on
LEARN: Final[LiteralString] = """
update data_source set options = jsonb_set(
    options, array[%(field)s::text],
    jsonb_build_object(%(option_id)s::text, %(label)s::text) || coalesce(options -> %(field)s::text, '{}')
)
where entity = %(entity)s and data_source_id = %(data_source_id)s
"""

HELD: Final[LiteralString] = """
select entity, database_id, data_source_id, properties, scanned_at, options, restored, paused, unavailable
from data_source
where entity = %(entity)s
for update
"""

STORE: Final[LiteralString] = """
update data_source set
    properties = %(properties)s, options = %(options)s, restored = %(restored)s, paused = %(paused)s
where entity = %(entity)s
"""

UNAVAILABLE: Final[LiteralString] = """
update data_source set unavailable = %(reason)s
where entity = %(entity)s and unavailable is distinct from %(reason)s
"""

# Nobody may claim while links are changed under the claims; whoever waits for longer than this goes first
PATIENCE: Final[LiteralString] = "set local lock_timeout = '500ms'"
NO_CLAIMS: Final[LiteralString] = "lock table work in share row exclusive mode"
IN_HAND: Final[LiteralString] = """
select exists (
    select from work where entity = %(entity)s and fence is not null and due_at > clock_timestamp()
)
"""

# A page that was only found, never written by us, stays one: agreed on by one side it could be trashed with the row
AGREE_ON_SEEN: Final[LiteralString] = """
update "NotionSyncMapping" m
set base = m.base || jsonb_build_object(%(field)s::text, jsonb_build_object('sent', seen.value, 'got', seen.value))
from unnest(%(pages)s::text[], %(values)s::jsonb[]) as seen (page_id, value)
where m."entityType" = %(entity_type)s and m."notionPageId" = seen.page_id
    and jsonb_path_exists(m.base, '$.*.sent')
    and m.base -> %(field)s::text -> 'got' is distinct from seen.value
returning m."systemId", m."notionPageId", seen.value
"""

AGREE_WHERE_UNKNOWN: Final[LiteralString] = """
update "NotionSyncMapping"
set base = base || jsonb_build_object(%(field)s::text, jsonb_build_object('sent', %(value)s::jsonb, 'got', %(value)s))
where "entityType" = %(entity_type)s and not base ? %(field)s::text and jsonb_path_exists(base, '$.*.sent')
"""

AGREE_ON_NOTHING: Final[LiteralString] = """
update "NotionSyncMapping"
set base = base || jsonb_build_object(%(field)s::text, '{"sent": null, "got": null}'::jsonb)
where "entityType" = %(entity_type)s and base -> %(field)s::text ->> 'got' = any (%(labels)s)
returning "systemId"
"""

LABELS_IN_USE: Final[LiteralString] = """
select label
from unnest(%(labels)s::text[]) as label
where exists (
    select from "NotionSyncMapping" where "entityType" = %(entity_type)s and base -> %(field)s::text ->> 'got' = label
)
"""


async def learn(conn: Connection, source: DataSource, field: str, option_id: str, label: str) -> None:
    """Store what an option that a page shows stands for, unless that is known."""
    await conn.execute(
        LEARN,
        {
            "entity": source.entity, "data_source_id": source.data_source_id, "field": field,
            "option_id": option_id, "label": label,
        },
    )


async def held(conn: Connection, entity: str) -> DataSource | None:
    """Return what is stored of an entity, locked for the rest of the transaction."""
    async with conn.cursor(row_factory=class_row(DataSource)) as cursor:
        await cursor.execute(HELD, {"entity": entity})
        return await cursor.fetchone()


async def store(conn: Connection, source: DataSource) -> None:
    """Store ids, options and pauses of an entity whose row is `held`."""
    await conn.execute(
        STORE,
        {
            "entity": source.entity,
            "properties": Jsonb(dict(source.properties)),
            "options": _nested(source.options),
            "restored": _nested(source.restored),
            "paused": Jsonb(dict(source.paused)),
        },
    )


async def set_unavailable(conn: Connection, entity: str, reason: str | None) -> bool:
    """Store why the entity's database can't be used, or that it can; return whether that is news."""
    return (await conn.execute(UNAVAILABLE, {"entity": entity, "reason": reason})).rowcount == 1


async def undisturbed(conn: Connection, entity: str) -> bool:
    """Keep everybody from claiming for the rest of the transaction; False when a key of the entity is in hand.

    What was read for such a key would overwrite what is changed now. Raises psycopg's LockNotAvailable, here or later
    in the transaction, rather than hold others up.
    """
    await conn.execute(PATIENCE)
    await conn.execute(NO_CLAIMS)
    row = await (await conn.execute(IN_HAND, {"entity": entity})).fetchone()
    return row is not None and not row[0]


async def agree_on_seen(
    conn: Connection, entity_type: str, field: str, seen: Mapping[str, Json], empty: Json
) -> tuple[tuple[str, str, Json], ...]:
    """Take what the field shows, by page id, for agreed on, so that whatever MapAble holds instead is written.

    Pages that nobody saw, and for which nothing was agreed, show nothing. Returns (system id, page id, value) of those
    that show something else than was agreed before.
    """
    arguments = {
        "entity_type": entity_type, "field": field,
        "pages": list(seen), "values": [Jsonb(value) for value in seen.values()],
    }
    cursor = await conn.execute(AGREE_ON_SEEN, arguments)
    changed = await cursor.fetchall()
    await conn.execute(AGREE_WHERE_UNKNOWN, {**arguments, "value": Jsonb(empty)})
    return tuple((row[0], row[1], row[2]) for row in changed)


async def agree_on_nothing(conn: Connection, entity_type: str, field: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Take nothing for agreed on where one of these labels was: their options went, and pages show nothing."""
    cursor = await conn.execute(
        AGREE_ON_NOTHING, {"entity_type": entity_type, "field": field, "labels": list(labels)}
    )
    return tuple(row[0] for row in await cursor.fetchall())


async def labels_in_use(conn: Connection, entity_type: str, field: str, labels: Sequence[str]) -> frozenset[str]:
    """Return those of `labels` that a page showed when it was last agreed on."""
    cursor = await conn.execute(LABELS_IN_USE, {"entity_type": entity_type, "field": field, "labels": list(labels)})
    return frozenset(row[0] for row in await cursor.fetchall())


def _nested(found: Mapping[str, Mapping[str, str]]) -> Jsonb:
    return Jsonb({field: dict(entries) for field, entries in found.items()})
