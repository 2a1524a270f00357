"""One active process: a session advisory lock on a connection of its own; who loses the connection stops at once.

A process that was paused (a laptop's lid, a frozen container) does not know that it lost the lock, so that its word
counts for nothing. Three things keep it from doing harm when it wakes up. The lock's session ends at the server when it
falls silent, so that another process takes over. That process names itself in the sidecar and ends every session of the
one before it; whatever new session the old one opens is refused, because another is named. And nobody sends a write to
Notion without having heard from the lock a moment ago.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from cdc.tasks import end
from state import settings
from state.database import ALIVE, Connection, Pool, readable, unreachable
from state.errors import TransientError

TRY_LOCK: Final[LiteralString] = "select pg_try_advisory_lock(hashtextextended('mapable-cdc ' || %(name)s, 0))"

# A holder that falls silent, or whose host has vanished, loses its session and with it the lock
LOSE_WHEN_SILENT: Final[LiteralString] = """
select set_config('idle_session_timeout', '10s', false), set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false), set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '10s', false)
"""

NAME_MYSELF: Final[LiteralString] = """
with before as (select value from setting where name = 'leader')
insert into setting (name, value) values ('leader', %(me)s)
on conflict (name) do update set value = excluded.value
returning (select value ->> 'instance' from before)
"""

RESIGN: Final[LiteralString] = "delete from setting where name = 'leader' and value ->> 'instance' = %(me)s"

# All of its sessions: those to the sidecar, to MapAble's tables and to the slot. Of a killed process some may be in the
# middle of a statement; one that waits for its next statement belongs to a process that lives
END_SESSIONS: Final[LiteralString] = """
select count(*) filter (where pg_terminate_backend(pid, %(wait_ms)s)), count(*),
    count(*) filter (where state like 'idle%%')
from pg_stat_activity
where application_name like 'mapable-cdc %%' and right(application_name, length(%(instance)s)) = %(instance)s
"""

LEADER: Final = "leader"
ALIVE_EVERY_S: Final = 1.0
ANSWER_S: Final = 3.0
FRESH_S: Final = 4.0
"""A write to Notion is not begun when the lock was last heard of longer ago; an answer may take less."""
MARGIN_S: Final = 0.5
END_S: Final = 4.0
"""With the wait after it shorter than the lock's own session may stay silent."""
RESIGN_S: Final = 1.0

LockConnection = psycopg.AsyncConnection[tuple[Any, ...]]
T = TypeVar("T")
log = structlog.get_logger(__name__)


class LeadershipLost(TransientError):
    """The lock's connection is gone: another process may be active now."""


class Office:
    """This process's part: its name in all of its sessions, and whether it takes itself for the active one."""

    def __init__(self) -> None:
        self.instance = secrets.token_hex(4)
        self._held = False
        self._heard_s = -math.inf
        self._heard = asyncio.Condition()

    def session(self, purpose: str) -> str:
        """Return the application name of a session of ours."""
        return f"mapable-cdc {purpose} {self.instance}"

    async def take(self, pool: Pool) -> None:
        """Become the active one: from here on no session of the one before can commit anything."""
        async with pool.connection() as conn:
            row = await (await conn.execute(NAME_MYSELF, {"me": Jsonb({"instance": self.instance})})).fetchone()
            before = row[0] if row is not None else None
            if before is not None and before != self.instance and await _end_sessions(conn, before):
                # it was alive, and believes in itself until its assurance is too old
                await asyncio.sleep(FRESH_S + MARGIN_S)
        self._held = True

    def leave(self) -> None:
        """This process is not the active one any more, and knows it."""
        self._held = False

    async def resign(self, pool: Pool) -> None:
        """Say so, once nothing is under way any more: whoever is next need not wait, nor end our sessions."""
        if self._held:
            async with pool.connection() as conn:
                await conn.execute(RESIGN, {"me": self.instance})

    async def admit(self, conn: Connection) -> None:
        """Refuse a new session while another process is named and this one does not know that yet."""
        if self._held:
            named = await settings.get(conn, LEADER)
            if not isinstance(named, dict) or named.get("instance") != self.instance:
                raise LeadershipLost("another process is active")

    async def heard(self, asked_s: float) -> None:
        """The lock's connection answered what it was asked then: a process may be paused before it reads an answer."""
        async with self._heard:
            self._heard_s = asked_s
            self._heard.notify_all()

    async def assured(self) -> None:
        """Return when the lock was heard of a moment ago; a process that holds none needs no assurance."""
        async with self._heard:
            await self._heard.wait_for(lambda: not self._held or _now_s() - self._heard_s < FRESH_S)


async def alone(conn: Connection, name: str) -> bool:
    """Whether no process is active; none becomes so for as long as this connection stands."""
    row = await (await conn.execute(TRY_LOCK, {"name": name})).fetchone()
    return row is not None and bool(row[0])


class Leadership:
    """The lock of one sidecar and slot."""

    def __init__(self, dsn: str, name: str, office: Office, pool: Pool) -> None:
        self._dsn = dsn
        self._name = name
        self._office = office
        self._pool = pool

    async def assume(self, lock: LockConnection) -> None:
        """Become the active one, with the lock in hand and before anything is done: see Office.take."""
        await self._office.take(self._pool)
        await self._hear(lock)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[LockConnection | None]:
        """Give the connection that holds the lock, or None when another process is active. It is lost when silent."""
        try:
            conn = await psycopg.AsyncConnection.connect(
                # a half-dead network must not let two processes believe in the same lock for long
                make_conninfo(self._dsn, application_name=self._office.session("lock"), **ALIVE), autocommit=True
            )
        except psycopg.Error as error:
            raise unreachable(error) from None
        try:
            if not await alone(conn, self._name):
                yield None
                return
            await conn.execute(LOSE_WHEN_SILENT)
            yield conn
            await self._resign()
        except psycopg.Error as error:
            raise LeadershipLost(f"the lock's connection failed: {readable(error)}") from None
        finally:
            self._office.leave()
            await conn.close()

    async def watch(self, conn: LockConnection) -> None:
        """Return never; raises LeadershipLost as soon as the connection is seen to be gone."""
        while True:
            await self._hear(conn)
            await asyncio.sleep(ALIVE_EVERY_S)

    async def _hear(self, conn: LockConnection) -> None:
        asked_s = _now_s()
        try:
            async with asyncio.timeout(ANSWER_S):
                await conn.execute("select 1")
        except (psycopg.Error, TimeoutError):
            raise LeadershipLost("the lock's connection is gone") from None
        await self._office.heard(asked_s)

    async def _resign(self) -> None:
        with suppress(TimeoutError, psycopg.Error):
            async with asyncio.timeout(RESIGN_S):
                await self._office.resign(self._pool)

    async def holding(self, conn: LockConnection, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; raises LeadershipLost, and ends the work, when the lock is lost meanwhile."""
        working = asyncio.create_task(work, name="work under the lock")
        watching = asyncio.create_task(self.watch(conn), name="watch lock")
        try:
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                watching.result()
            return await working
        finally:
            await end([working, watching])


def _now_s() -> float:
    """Return the time of a clock that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def _end_sessions(conn: Connection, instance: str) -> bool:
    """End the sessions of a process, and return whether it was alive."""
    try:
        cursor = await conn.execute(END_SESSIONS, {"instance": instance, "wait_ms": int(END_S * 1000)})
    except psycopg.errors.InsufficientPrivilege:
        # it logged in as somebody else; its leases are fenced off all the same
        log.warning("predecessor.out_of_reach", hint="Let every instance log in with the same role.")
        return True
    row = await cursor.fetchone()
    if row is None or not row[1]:
        return False
    log.warning("predecessor.ended", sessions=row[1], ended=row[0])
    return bool(row[2])
