"""The sidecar's tables in a database of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from state.database import Pool, conninfo, open_pool
from state.migrations import migrate

SCHEMA = "notion_sync"


@pytest.fixture
async def pool(mapable_dsn: str) -> AsyncIterator[Pool]:
    """Connections as the program itself has them."""
    info = conninfo(mapable_dsn, schema=SCHEMA, application_name="tests", statement_timeout_s=30)
    async with await psycopg.AsyncConnection.connect(info, autocommit=True) as conn:
        await migrate(conn, SCHEMA)
    async with open_pool(info, name="tests", max_size=8) as opened:
        yield opened
