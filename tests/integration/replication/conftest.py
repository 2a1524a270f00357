"""A source to stream from, and its slot."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.integration.replication.source import Source
from tests.plugins import PLUGIN


@pytest.fixture
def plugin() -> str:
    """The plugin to stream with; a file whose tests hold for each of them goes through all."""
    return PLUGIN


@pytest.fixture
async def source(mapable_dsn: str, plugin: str) -> AsyncIterator[Source]:
    """A database with the tables `listed` and `other`, and a slot that saw neither being made."""
    async with await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn:
        made = Source(mapable_dsn, conn, plugin=plugin)
        await made.run(
            "create table listed (id text primary key, name text, amount numeric, secret text)",
            "create table other (id text primary key, name text)",
        )
        await made.create_slot()
        yield made
