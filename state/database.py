"""Connections to the sidecar: the schema is the search path, so that its SQL can be read as it stands."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from state.errors import SyncError, TransientError, internal

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]

CONNECT_TIMEOUT_S = 10
ALIVE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
)
"""A peer that vanished without a word is noticed by the kernel within seconds: nobody waits on a dead connection."""
RECONNECT_S = 5.0
"""A pool's own attempts get rarer and rarer; after this long whoever wants a connection next begins anew, at once."""


def conninfo(
    dsn: str, *, schema: str, application_name: str, statement_timeout_s: float, read_only: bool = False
) -> str:
    """Return `dsn` with the session settings that every connection of ours needs; ours go before its own."""
    quoted = schema.replace('"', '""')
    settings = {
        "search_path": f'"{quoted}",pg_catalog',
        "timezone": "UTC",
        # a row's values are hashed as the log prints them, whatever the role or the database prefers
        "datestyle": "ISO",
        "statement_timeout": f"{int(statement_timeout_s * 1000)}ms",
        "lock_timeout": f"{int(statement_timeout_s * 500)}ms",
        "idle_in_transaction_session_timeout": "60s",
        # the queue is what the slot is acknowledged on: a commit that can vanish would lose changes
        "synchronous_commit": "local",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    # some hosts are told by the URL's own options which database is meant; of two settings of a name the last counts
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    pinned = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
    return make_conninfo(
        "", **{
            **ALIVE, **given, "options": f"{given.get('options', '')} {pinned}".strip(),
            "application_name": application_name, "client_encoding": "utf8",
        }
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


@asynccontextmanager
async def open_pool(
    info: str, *, name: str, max_size: int, configure: Callable[[Connection], Awaitable[None]] | None = None
) -> AsyncIterator[Pool]:
    """Open a pool of autocommit connections; fails at once when the database can't be reached."""

    async def check(conn: Connection) -> None:
        # what a server says unasked is that it ends the session; to ask each time costs more than many a statement
        if not _said_something(conn):
            return
        try:
            await AsyncConnectionPool.check_connection(conn)
        except psycopg.Error:
            # It is hardly the only one: left alone, the pool would hand out the dead ones one by one, each time after
            # a longer wait, and be of no use for half a minute after the database is back. Not `check`: it asks each
            # of them, swallows a cancellation meanwhile, and takes as long as a silent network likes
            await pool.drain()
            raise

    pool: Pool = AsyncConnectionPool(
        info, kwargs={"autocommit": True}, min_size=1, max_size=max_size, name=name, open=False, timeout=30,
        check=check, configure=configure, reconnect_timeout=RECONNECT_S,
    )
    try:
        await pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
    except psycopg.Error as error:
        await pool.close()
        raise unreachable(error) from None
    try:
        yield pool
    finally:
        await pool.close()


def _said_something(conn: Connection) -> bool:
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def unreachable(error: Exception) -> TransientError:
    """Translate a failed connection. The driver's text is left out: it may quote the DSN."""
    return TransientError(f"the database can't be reached ({type(error).__name__})")


def readable(error: psycopg.Error) -> str:
    """Return what may be said of a database error: its SQLSTATE and class; never its text, which may hold values."""
    return f"{type(error).__name__} (SQLSTATE {error.sqlstate or 'none'})"


def said(error: Exception) -> str:
    """Return what may be said of any error."""
    if isinstance(error, SyncError):
        return str(error)
    return readable(error) if isinstance(error, psycopg.Error) else internal(error)
