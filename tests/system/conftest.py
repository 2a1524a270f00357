"""What the system tests share: a scene that a whole file plays on, since a start costs seconds."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.scene import Scene, staged


@contextmanager
def copied(server: PostgresServer, template: str) -> Iterator[str]:
    """Give the URL of a database like the template for as long as the block runs."""
    name = f"scene_{secrets.token_hex(6)}"
    server.create_database(name, template)
    try:
        yield server.dsn(name)
    finally:
        server.drop_database(name)


@pytest.fixture(scope="module")
def scene_dsn(postgres_server: PostgresServer, mapable_template: str) -> Iterator[str]:
    """The URL of an empty MapAble database that the tests of one file share."""
    with copied(postgres_server, mapable_template) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def demo_scene_dsn(postgres_server: PostgresServer, demo_template: str) -> Iterator[str]:
    """The URL of a MapAble database with the demo's rows that the tests of one file share."""
    with copied(postgres_server, demo_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A running service on an empty MapAble; each test of the file uses rows of its own."""
    async with staged(scene_dsn) as scene:
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo_scene(demo_scene_dsn: str) -> AsyncIterator[Scene]:
    """A running service on the demo, every row of which has its page."""
    async with staged(demo_scene_dsn) as scene:
        yield scene
