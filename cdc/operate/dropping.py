"""Dropping the replication slot: this sync's own and no other program's."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from cdc.config import Settings
from cdc.operate import marker
from cdc.refusals import refused
from cdc.replication import slot as slots
from cdc.replication.faults import PGOUTPUT, PLUGINS, SlotBusy
from cdc.replication.slot import SlotState
from state.database import Connection
from state.errors import FatalError

# Read, or about to be: everything is noted as due before a slot is made
KNOWN: Final[LiteralString] = """
select exists (select from {} where slot = %(slot)s)
    or exists (select from {} where name = %(due)s and value = 'true')
"""


async def drop_slot(settings: Settings) -> bool:
    """Drop the slot and return whether there was one; raises FatalError while it is in use, or when it is not ours."""
    try:
        conn = await psycopg.AsyncConnection.connect(settings.direct.dsn, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise refused(error) from None
    async with conn:
        found = await slots.inspect(conn, settings.replication_slot)
        if found is not None and not await _is_ours(conn, found, settings):
            raise FatalError(
                f"the slot {found.name} belongs to somebody else (another plugin, database or both), so it is not "
                "dropped",
                "Set REPLICATION_SLOT to the name of this program's slot.",
            )
        try:
            return await slots.drop(conn, settings.replication_slot)
        except SlotBusy:
            raise FatalError(
                f"the slot {settings.replication_slot} is in use: a `mapable-cdc run` streams from it",
                "Stop that process first (or start it with NOTION_SYNC_ENABLED=false: it then drops the slot itself).",
            ) from None


async def _is_ours(conn: Connection, found: SlotState, settings: Settings) -> bool:
    """Whether it is of this database, and wal2json's as it is set, or known to the sidecar.

    Subscriptions and other programs read with pgoutput, too: one of theirs must not be taken for ours.
    """
    if found.database != conn.info.dbname or found.plugin not in PLUGINS:
        return False
    if found.plugin != PGOUTPUT and settings.replication_plugin in (found.plugin, "auto"):
        return True
    tables = [sql.Identifier(settings.state_schema, table) for table in ("stream_position", "setting")]
    known = sql.SQL(KNOWN).format(*tables)
    try:
        row = await (await conn.execute(known, {"slot": found.name, "due": marker.DUE})).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName):
        return False
    return row is not None and bool(row[0])
