"""A sidecar of its own for each test: one database, emptied by dropping the schema."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from deploy.local.server import PostgresServer
from state.database import Connection, conninfo
from state.migrations import migrate

SCHEMA = "notion_sync"


@pytest.fixture(scope="package")
def sidecar_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database for sidecars alone."""
    name = f"sidecar_{secrets.token_hex(6)}"
    postgres_server.create_database(name, None)
    try:
        yield postgres_server.dsn(name)
    finally:
        postgres_server.drop_database(name)


@pytest.fixture
async def sidecar(sidecar_dsn: str) -> AsyncIterator[Connection]:
    """A connection to an empty sidecar, brought up to date."""
    info = conninfo(sidecar_dsn, schema=SCHEMA, application_name="test", statement_timeout_s=30)
    async with await psycopg.AsyncConnection.connect(info, autocommit=True) as conn:
        await conn.execute("drop schema if exists notion_sync cascade")
        await migrate(conn, SCHEMA)
        yield conn
