"""A stage to capture on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from cdc.gathering import tables
from cdc.replication import publication
from cdc.replication.faults import PGOUTPUT
from cdc.replication.publication import Wanted
from sinks.mapping.entities import ENTITIES
from state.database import conninfo, open_pool
from state.migrations import migrate
from tests.integration.capture.stage import Stage
from tests.integration.replication.source import Source

SCHEMA = "notion_sync"


@pytest.fixture
async def stage(mapable_dsn: str) -> AsyncIterator[Stage]:
    """MapAble's empty tables, the sidecar, and a slot that sees everything from here on."""
    info = conninfo(mapable_dsn, schema=SCHEMA, application_name="test", statement_timeout_s=30)
    async with (
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn,
        open_pool(info, name="state", max_size=4) as pool,
    ):
        await migrate(conn, SCHEMA)
        source = Source(mapable_dsn, conn)
        if source.plugin == PGOUTPUT:
            mapped = tables(ENTITIES)
            await publication.ensure(conn, Wanted(source.slot, "public", mapped, mapped.keys()))
        await source.create_slot()
        made = Stage(source, pool)
        await made.spy()
        yield made
