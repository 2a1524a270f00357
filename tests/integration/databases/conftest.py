"""The seven databases with a sidecar that knows them, a sink over both, and what watches the schemas."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pytest

from cdc.watch.pausing import Paused
from cdc.watch.schema import SchemaWatch
from deploy.local.server import PostgresServer
from deploy.sandbox.server import Sandbox
from sinks.mapping.entities import ENTITIES
from sinks.notion.client import NotionClient
from sinks.notion.pacing import Pacer
from sinks.notion.schemas import Schemas
from sinks.notion.sink import NotionSink
from state.database import Connection, Pool, conninfo, open_pool
from state.settings import data_sources
from tests.integration.setup.stage import SCHEMA, staged


@pytest.fixture(scope="package")
def databases_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database for sidecars alone."""
    name = f"databases_{secrets.token_hex(6)}"
    postgres_server.create_database(name, None)
    try:
        yield postgres_server.dsn(name)
    finally:
        postgres_server.drop_database(name)


@dataclass(frozen=True)
class Place:
    """What the tests of this folder play on."""

    sandbox: Sandbox
    pool: Pool
    conn: Connection
    client: NotionClient
    sink: NotionSink
    paused: Paused
    watch: SchemaWatch


@pytest.fixture
async def place(databases_dsn: str) -> AsyncIterator[Place]:
    """Seven empty databases, set up."""
    async with staged(databases_dsn) as stage:
        await stage.conn.execute('truncate "NotionSyncMapping", work, marking, audit_log, setting')
        await stage.setup()
        info = conninfo(databases_dsn, schema=SCHEMA, application_name="databases tests", statement_timeout_s=10)
        client = NotionClient(stage.sandbox.token, base_url=stage.sandbox.url, pacer=Pacer(0))
        async with open_pool(info, name="databases tests", max_size=4) as pool:
            sink = NotionSink(client, await data_sources(stage.conn), ZoneInfo("Australia/Sydney"))
            paused = Paused()
            watch = SchemaWatch(pool, Schemas(client), sink, ENTITIES, paused)
            stage.sandbox.clear_requests()
            try:
                yield Place(stage.sandbox, pool, stage.conn, client, sink, paused, watch)
            finally:
                await client.close()
