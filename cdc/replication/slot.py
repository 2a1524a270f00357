"""Logical replication slots: look at one, drop one, and know whose log it is. `cdc.replication.making` makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row, tuple_row

from cdc.replication import faults
from cdc.replication.link import connect
from state.changes import Lsn

_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")

# What is retained counts from restart_lsn: the server keeps the log from there, whatever has been acknowledged.
INSPECT: Final[LiteralString] = """
    select slot_name as name,
           plugin,
           database,
           active,
           active_pid,
           (restart_lsn - '0/0')::int8 as restart_lsn,
           (confirmed_flush_lsn - '0/0')::int8 as confirmed_flush_lsn,
           wal_status,
           safe_wal_size as safe_wal_bytes,
           (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
               - restart_lsn)::int8 as retained_bytes
    from pg_replication_slots
    where slot_name = %(name)s
"""

DROP: Final[LiteralString] = """
    select pg_drop_replication_slot(slot_name)
    from pg_replication_slots
    where slot_name = %(name)s
"""

@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as the server sees it now. `safe_wal_bytes` is None without max_slot_wal_keep_size, and once lost."""

    name: str
    plugin: str | None
    database: str | None
    active: bool
    active_pid: int | None
    restart_lsn: Lsn | None
    confirmed_flush_lsn: Lsn | None
    wal_status: str | None
    safe_wal_bytes: int | None
    retained_bytes: int | None

    @property
    def lost(self) -> bool:
        """Whether the server has removed log that the slot still needed: nothing can be read from it again."""
        return self.wal_status == "lost"

    @property
    def lag_bytes(self) -> int:
        """How far the end of the log is from what was acknowledged: both are known from where the slot begins."""
        if self.restart_lsn is None or self.confirmed_flush_lsn is None or self.retained_bytes is None:
            return 0
        return max(0, self.restart_lsn + self.retained_bytes - self.confirmed_flush_lsn)


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """Whose log this is. A position means nothing in another cluster, on another timeline or in another database."""

    system_identifier: str
    timeline: int
    database: str


def check_name(name: str) -> str:
    """Return `name` if a slot may be called that; raises ValueError otherwise."""
    if _NAME.fullmatch(name) is None:
        raise ValueError("a slot name has 1 to 63 of a-z, 0-9 and _")
    return name


async def inspect(conn: psycopg.AsyncConnection[Any], name: str) -> SlotState | None:
    """Return the slot's state, or None if there is no such slot."""
    async with conn.cursor(row_factory=class_row(SlotState)) as cursor:
        await cursor.execute(INSPECT, {"name": name})
        return await cursor.fetchone()


async def drop(conn: psycopg.AsyncConnection[Any], name: str) -> bool:
    """Drop the slot and return whether there was one; raises SlotBusy while somebody streams from it."""
    try:
        async with conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(DROP, {"name": name})
            return cursor.rowcount == 1
    except psycopg.Error as error:
        if error.sqlstate == "42704":
            return False  # somebody else dropped it between our look and our drop
        refusal = faults.from_server(error, f"dropping slot {name}")
    raise refusal


async def identify(dsn: str) -> ClusterIdentity:
    """Return the identity of the cluster and database behind `dsn`."""
    connection = await connect(dsn, replication=True)
    try:
        row = await (await connection.execute(b"IDENTIFY_SYSTEM")).fetchone()
    except psycopg.Error as error:
        refusal = faults.from_server(error, "identifying the server")
    else:
        if row is not None:
            return ClusterIdentity(str(row[0]), int(row[1]), str(row[3]))
        refusal = faults.lost("identifying the server", None)
    finally:
        await connection.close()
    raise refusal
