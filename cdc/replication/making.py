"""Making a slot: the server waits for every transaction that has written, and so does everybody who asks for a slot.

Nothing tells beforehand how long that takes. Who is in the way is told while it is waited for, not afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, LiteralString

import psycopg
from psycopg.rows import class_row

from cdc.replication import faults
from cdc.replication.frames import parse_lsn
from cdc.replication.link import Connection, connect
from cdc.replication.slot import check_name
from state.changes import Lsn
from state.errors import SyncError

TELL_S: Final = 3.0
"""So long nobody is told: a transaction that has written and ends soon is in the way of every slot."""
_END_S: Final = 5.0

# Every transaction that has written holds an exclusive lock on its own number; a slot waits for each of them, in
# whatever database. pg_locks needs no rights, pg_stat_activity hides the start of other roles' transactions.
BLOCKERS: Final[LiteralString] = """
    select lock.pid, activity.xact_start as since, activity.state
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
class Blocker:
    """A server process whose transaction is waited for. Of other roles' the server may hide all but the number."""

    pid: int
    since: datetime | None = None
    state: str | None = None

    def __str__(self) -> str:
        known = [self.state] if self.state else []
        if self.since is not None:
            known.append(f"since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return f"{self.pid} ({', '.join(known)})" if known else str(self.pid)


Tell = Callable[[faults.SlotBlocked], None]
"""Called with what is in the way, again and again while it is waited for."""


def _untold(_: faults.SlotBlocked) -> None:
    """Tell nobody."""


async def create(
    dsn: str, name: str, timeout_s: float, plugin: str = faults.PLUGIN, *, tell: Tell = _untold, tell_s: float = TELL_S
) -> Lsn:
    """Make the slot and return its consistent point: every transaction that commits after it will be in the stream.

    The server waits for every open transaction that has written, in any database, and no timeout of its own applies.
    After `timeout_s` this gives up, leaves no slot behind and raises SlotBlocked with the pids to look at.
    """
    command = f'CREATE_REPLICATION_SLOT "{check_name(name)}" LOGICAL "{plugin}" NOEXPORT_SNAPSHOT'
    connection = await connect(dsn, replication=True)
    blocked: SyncError | None = None
    gave_up = False
    making = asyncio.create_task(_consistent_point(connection, command), name="slot creation")
    try:
        waited_s = 0.0
        while waited_s < timeout_s:
            step_s = min(tell_s, timeout_s - waited_s)
            await asyncio.wait([making], timeout=step_s)
            if making.done():
                break
            waited_s += step_s
            blocked = await _in_the_way(dsn, name, connection.info.backend_pid, waited_s)
            if isinstance(blocked, faults.SlotBlocked):
                tell(blocked)
        if not making.done():
            gave_up = True
            await _leave_nothing(dsn, name, connection.info.backend_pid)
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
        if not gave_up:
            raise faults.from_making(error, f"making slot {name}") if isinstance(error, psycopg.Error) else error
    raise blocked or faults.lost(f"making slot {name}", None)


async def _consistent_point(connection: Connection, command: str) -> Lsn:
    row = await (await connection.execute(command.encode())).fetchone()
    return parse_lsn(row[1]) if row else Lsn(0)


async def _in_the_way(dsn: str, name: str, pid: int, waited_s: float) -> SyncError:
    """Return the error that says who is in the way."""
    observer = await connect(dsn, replication=False)
    try:
        async with observer.cursor(row_factory=class_row(Blocker)) as cursor:
            await cursor.execute(BLOCKERS, {"waiter": pid, "waited_s": waited_s})
            blockers = tuple(await cursor.fetchall())
        prepared = await (await observer.execute(PREPARED)).fetchone()
    except psycopg.Error as error:
        return faults.from_server(error, f"making slot {name}")
    finally:
        await observer.close()
    who = f"transactions of the server processes {', '.join(map(str, blockers))}" if blockers else "an open transaction"
    also = f"; {prepared[0]} prepared transactions are open" if prepared and prepared[0] else ""
    return faults.SlotBlocked(
        f"making slot {name}: waiting for {who}{also}", tuple(blocker.pid for blocker in blockers)
    )


async def _leave_nothing(dsn: str, name: str, pid: int) -> None:
    """End the backend that waits, and see to it that no slot stays."""
    observer = await connect(dsn, replication=False)
    try:
        await observer.execute(TERMINATE, {"pid": pid, "wait_ms": int(_END_S * 1000)})
        # It may have been finished at the very moment its maker was ended.
        await observer.execute(DROP_IDLE, {"name": name})
    except psycopg.Error as error:
        raise faults.from_server(error, f"making slot {name}") from None
    finally:
        await observer.close()
