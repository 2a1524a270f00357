"""A stage for each test, over one database: setup touches the sidecar only."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.server import PostgresServer
from tests.integration.setup.stage import Stage, staged


@pytest.fixture(scope="package")
def sidecar_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database for sidecars alone."""
    name = f"setup_{secrets.token_hex(6)}"
    postgres_server.create_database(name, None)
    try:
        yield postgres_server.dsn(name)
    finally:
        postgres_server.drop_database(name)


@pytest.fixture
async def stage(sidecar_dsn: str) -> AsyncIterator[Stage]:
    """An empty workspace and an empty sidecar."""
    async with staged(sidecar_dsn) as found:
        yield found
