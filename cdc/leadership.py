"""One active process: a session advisory lock on a connection of its own; who loses the connection stops at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

import psycopg

from state.database import readable, unreachable
from state.errors import TransientError

TRY_LOCK: Final[LiteralString] = "select pg_try_advisory_lock(hashtextextended('mapable-cdc ' || %(name)s, 0))"
ALIVE_EVERY_S: Final = 1.0
LockConnection = psycopg.AsyncConnection[tuple[Any, ...]]


class LeadershipLost(TransientError):
    """The lock's connection is gone: another process may be active now."""


class Leadership:
    """The lock of one sidecar and slot."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[LockConnection | None]:
        """Give the connection that holds the lock, or None when another process is active."""
        try:
            conn = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, application_name="mapable-cdc lock", connect_timeout=10,
                # a half-dead network must not let two processes believe in the same lock for long
                keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000,
            )
        except psycopg.Error as error:
            raise unreachable(error) from None
        try:
            row = await (await conn.execute(TRY_LOCK, {"name": self._name})).fetchone()
            yield conn if row is not None and row[0] else None
        except psycopg.Error as error:
            raise LeadershipLost(f"the lock's connection failed: {readable(error)}") from None
        finally:
            await conn.close()

    @staticmethod
    async def watch(conn: LockConnection) -> None:
        """Return never; raises LeadershipLost as soon as the connection is seen to be gone."""
        while True:
            try:
                async with asyncio.timeout(5 * ALIVE_EVERY_S):
                    await conn.execute("select 1")
            except (psycopg.Error, TimeoutError):
                raise LeadershipLost("the lock's connection is gone") from None
            await asyncio.sleep(ALIVE_EVERY_S)
