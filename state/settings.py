"""Small facts that outlive a process: where the databases are, how much of the request window is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.database import Connection, Pool

BOT: Final = "bot"
"""The setting that holds the connection's own user in Notion, {"id": ...}."""
COMMENTS: Final = "comments"
"""The setting that tells whether the connection may comment, {"allowed": ...}; missing until it was tried."""

SCHEMA_DUE: Final = "schema_due"
"""The setting that is there when somebody saw a database's schema change: the schemas are looked at then."""

DATA_SOURCES: Final[LiteralString] = """
select entity, database_id, data_source_id, properties, scanned_at, options, restored, paused, unavailable
from data_source
"""

# What was learned of the same data source stays: setup knows the ids, the running process what became of them
SAVE_DATA_SOURCE: Final[LiteralString] = """
insert into data_source as d (entity, database_id, data_source_id, properties, options)
values (%(entity)s, %(database_id)s, %(data_source_id)s, %(properties)s, %(options)s)
on conflict (entity) do update set
    database_id = excluded.database_id,
    data_source_id = excluded.data_source_id,
    properties = excluded.properties,
    scanned_at = case when d.data_source_id = excluded.data_source_id then d.scanned_at end,
    options = case when d.data_source_id = excluded.data_source_id then d.options else '{}' end || excluded.options,
    restored = case when d.data_source_id = excluded.data_source_id then d.restored else '{}' end,
    paused = case when d.data_source_id = excluded.data_source_id then d.paused else '{}' end,
    unavailable = case when d.data_source_id = excluded.data_source_id then d.unavailable end
"""

# An id that moves to this entity (two that were mixed up are put right, one by one) leaves the one it stood at
FREE_DATA_SOURCE: Final[LiteralString] = """
delete from data_source
where entity <> %(entity)s and (database_id = %(database_id)s or data_source_id = %(data_source_id)s)
"""

SCANNED: Final[LiteralString] = "update data_source set scanned_at = clock_timestamp() where entity = %(entity)s"

GET: Final[LiteralString] = "select value from setting where name = %(name)s"

PUT: Final[LiteralString] = """
insert into setting (name, value) values (%(name)s, %(value)s)
on conflict (name) do update set value = excluded.value
"""

TAKE: Final[LiteralString] = "delete from setting where name = %(name)s returning value"

# Drops what is over at the same time, or the table would grow for as long as the process runs
TAKE_REQUESTS: Final[LiteralString] = """
with over as (
    delete from request_window where taken_at < clock_timestamp() - make_interval(secs => %(kept_s)s)
)
insert into request_window (requests) values (%(requests)s)
"""

TAKEN_REQUESTS: Final[LiteralString] = """
select extract(epoch from clock_timestamp() - taken_at)::float8, requests
from request_window
where taken_at > clock_timestamp() - make_interval(secs => %(kept_s)s)
order by taken_at
"""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where an entity's pages live in Notion, and what is known of its properties, by field key."""

    entity: str
    database_id: str
    data_source_id: str
    properties: Mapping[str, str]                                               # ids
    scanned_at: datetime | None = None
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)      # label by option id
    restored: Mapping[str, Mapping[str, str]] = field(default_factory=dict)     # by label, when its option was gone
    paused: Mapping[str, str] = field(default_factory=dict)                     # why the field is left alone
    unavailable: str | None = None                                              # why all of it is


async def data_sources(conn: Connection) -> Mapping[str, DataSource]:
    """Return the known data sources by entity."""
    async with conn.cursor(row_factory=class_row(DataSource)) as cursor:
        await cursor.execute(DATA_SOURCES)
        return {source.entity: source for source in await cursor.fetchall()}


async def save_data_source(conn: Connection, source: DataSource) -> None:
    """Store where an entity lives; another data source than before has to be looked through again.

    Options are replaced field by field; fields without any keep those that are known.
    """
    arguments = {
        "entity": source.entity, "database_id": source.database_id, "data_source_id": source.data_source_id,
        "properties": Jsonb(dict(source.properties)),
        "options": Jsonb({key: dict(labels) for key, labels in source.options.items()}),
    }
    async with conn.transaction():
        await conn.execute(FREE_DATA_SOURCE, arguments)
        await conn.execute(SAVE_DATA_SOURCE, arguments)


async def scanned(conn: Connection, entity: str) -> None:
    """Note that the entity's existing pages were looked through."""
    await conn.execute(SCANNED, {"entity": entity})


async def get(conn: Connection, name: str) -> Any:
    """Return a setting's JSON value, or None."""
    row = await (await conn.execute(GET, {"name": name})).fetchone()
    return row[0] if row is not None else None


async def put(conn: Connection, name: str, value: object) -> None:
    """Store a setting."""
    await conn.execute(PUT, {"name": name, "value": Jsonb(value)})


async def take(conn: Connection, name: str) -> Any:
    """Return a setting's JSON value, or None, and remove it: of two that ask, one gets it."""
    row = await (await conn.execute(TAKE, {"name": name})).fetchone()
    return row[0] if row is not None else None


class RequestLedger:
    """Requests of the last window, so that a restart does not overrun Notion's limit.

    Kept for twice as long: a request is noted before it is sent, so it may be younger than its note.
    """

    def __init__(self, pool: Pool, window_s: float) -> None:
        self._pool = pool
        self._kept_s = 2 * window_s

    async def take(self, requests: int) -> None:
        """Note that up to `requests` requests are about to be sent."""
        async with self._pool.connection() as conn:
            await conn.execute(TAKE_REQUESTS, {"requests": requests, "kept_s": self._kept_s})

    async def taken(self) -> tuple[tuple[float, int], ...]:
        """Return (age of the note in seconds, requests) of the last two windows, oldest first."""
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(TAKEN_REQUESTS, {"kept_s": self._kept_s})).fetchall()
        return tuple((age_s, requests) for age_s, requests in rows)
