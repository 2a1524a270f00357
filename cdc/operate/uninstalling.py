"""`mapable-cdc uninstall`: what this program made in the database, taken away again. Notion's side is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from cdc.config import Settings
from cdc.leadership import alone
from cdc.operate.dropping import Dropped, drop_slot
from cdc.refusals import refused
from state.database import Connection, readable
from state.errors import FatalError

# a `run` that was just stopped may hold its connections for a moment; what is in use for longer is in use
PATIENCE: Final[LiteralString] = "set lock_timeout = '5s'"
IS_SIDECAR: Final[LiteralString] = """
select count(*) filter (where c.relname in ('migration', 'NotionSyncMapping', 'work')) = 3
from pg_namespace n
left join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
where n.nspname = %(schema)s
having count(n.oid) > 0
"""


@dataclass(frozen=True, slots=True)
class Removed(Dropped):
    """The same, and the sidecar's schema."""

    schema: bool


async def uninstall(settings: Settings, *, with_schema: bool) -> Removed:
    """Drop the slot, the publication that it read and, `with_schema`, the sidecar's schema.

    Raises FatalError, with nothing dropped, while a `run` is active, or when the slot or the schema is not ours.
    """
    conn = await _connected(settings)
    async with conn:
        if not await alone(conn, f"{settings.state_schema} {settings.replication_slot}"):
            raise FatalError(
                "a `mapable-cdc run` is active, or another command that works as one",
                "Stop that process first, and see to it that nothing starts it again.",
            )
        there = with_schema and await _is_there(conn, settings.state_schema)
        dropped = await drop_slot(settings)
        if there:
            await _drop(conn, settings.state_schema)
        return Removed(dropped.slot, dropped.publication, there)


async def _connected(settings: Settings) -> Connection:
    try:
        conn = await psycopg.AsyncConnection.connect(settings.direct.dsn, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as failed:
        raise refused(failed) from None
    await conn.execute(PATIENCE)
    return conn


async def _is_there(conn: Connection, schema: str) -> bool:
    """Return whether there is such a schema; raises FatalError when it is not one that this program made."""
    row = await (await conn.execute(IS_SIDECAR, {"schema": schema})).fetchone()
    if row is not None and not row[0]:
        raise FatalError(
            f"the schema {schema} does not hold what this program makes, so it is not dropped",
            "Set STATE_SCHEMA to the sidecar's schema; a schema that is not this program's is not its to drop.",
        )
    return row is not None


async def _drop(conn: Connection, schema: str) -> None:
    try:
        await conn.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
    except psycopg.errors.LockNotAvailable:
        raise FatalError(
            f"the slot is dropped, but the schema {schema} is in use",
            "See who uses it (a command of this program, a report), then run this again.",
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise FatalError(
            f"the slot is dropped, but the role may not drop the schema {schema}",
            "Run with the role that made it, or drop it as the database's owner.",
        ) from None
    except psycopg.Error as failed:
        raise FatalError(
            f"the slot is dropped, but the schema {schema} is not: {readable(failed)}",
            "Run this again; if it stays so, drop the schema by hand.",
        ) from None
