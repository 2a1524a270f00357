"""Logical replication slots: look at one, make one, drop one, and know whose log it is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row, tuple_row

from cdc.replication import faults
from cdc.replication.frames import parse_lsn
from cdc.replication.link import Connection, connect
from state.changes import Lsn
from state.errors import SyncError

_END_S: Final = 5.0
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

# Every transaction that has written holds an exclusive lock on its own number; a slot waits for each of them, in
# whatever database. pg_locks needs no rights, pg_stat_activity hides the start of other roles' transactions.
BLOCKERS: Final[LiteralString] = """
    select lock.pid
    from pg_locks lock
    left join pg_stat_activity activity on activity.pid = lock.pid
    where lock.locktype = 'transactionid'
      and lock.mode = 'ExclusiveLock'
      and lock.granted
      and lock.pid <> %(waiter)s
      and (lock.pid = any(pg_blocking_pids(%(waiter)s))
           or coalesce(activity.xact_start < clock_timestamp() - %(waited_s)s * interval '1 second', true))
    order by lock.pid = any(pg_blocking_pids(%(waiter)s)) desc, activity.xact_start nulls last, lock.pid
    limit 10
"""

PREPARED: Final[LiteralString] = """
    select count(*)
    from pg_prepared_xacts
"""

TERMINATE: Final[LiteralString] = """
    select pg_terminate_backend(%(pid)s, %(wait_ms)s)
"""

DROP_IDLE: Final[LiteralString] = """
    select pg_drop_replication_slot(slot_name)
    from pg_replication_slots
    where slot_name = %(name)s
      and not active
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


async def create(dsn: str, name: str, timeout_s: float, plugin: str = faults.PLUGIN) -> Lsn:
    """Make the slot and return its consistent point: every transaction that commits after it will be in the stream.

    The server waits for every open transaction that has written, in any database, and no timeout of its own applies.
    After `timeout_s` this gives up, leaves no slot behind and raises SlotBlocked with the pids to look at.
    """
    command = f'CREATE_REPLICATION_SLOT "{check_name(name)}" LOGICAL "{plugin}" NOEXPORT_SNAPSHOT'
    connection = await connect(dsn, replication=True)
    blocked: SyncError | None = None
    making = asyncio.create_task(_consistent_point(connection, command), name="slot creation")
    try:
        await asyncio.wait([making], timeout=timeout_s)
        if not making.done():
            blocked = await _give_up(dsn, name, connection.info.backend_pid, timeout_s)
    finally:
        # Cancelling makes psycopg cancel the command in the server and wait for its end, so this holds for a caller
        # that was cancelled too. It does nothing to a task that is done.
        making.cancel()
        await asyncio.wait([making], timeout=_END_S)
        await connection.close()
    if making.done() and not making.cancelled():
        error = making.exception()
        if error is None:
            return making.result()
        if blocked is None:
            raise faults.from_server(error, f"making slot {name}") if isinstance(error, psycopg.Error) else error
    raise blocked or faults.lost(f"making slot {name}", None)


async def _consistent_point(connection: Connection, command: str) -> Lsn:
    row = await (await connection.execute(command.encode())).fetchone()
    return parse_lsn(row[1]) if row else Lsn(0)


async def _give_up(dsn: str, name: str, pid: int, waited_s: float) -> SyncError:
    """End the backend that waits, see to it that no slot stays, and return the error that says who was in the way."""
    observer = await connect(dsn, replication=False)
    try:
        found = await observer.execute(BLOCKERS, {"waiter": pid, "waited_s": waited_s})
        pids = tuple(int(row[0]) for row in await found.fetchall())
        prepared = await (await observer.execute(PREPARED)).fetchone()
        await observer.execute(TERMINATE, {"pid": pid, "wait_ms": int(_END_S * 1000)})
        # It may have been finished at the very moment its maker was ended.
        await observer.execute(DROP_IDLE, {"name": name})
    except psycopg.Error as error:
        return faults.from_server(error, f"making slot {name}")
    finally:
        await observer.close()
    who = f"transactions of the server processes {', '.join(map(str, pids))}" if pids else "an open transaction"
    also = f"; {prepared[0]} prepared transactions are open" if prepared and prepared[0] else ""
    return faults.SlotBlocked(f"making slot {name}: waited {waited_s:g} s for {who}{also}", pids)
