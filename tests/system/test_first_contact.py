"""Pages that stood before the program came: what their rows say replaces what they showed, and nothing silently."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.scene import Scene
from tests.system.service import Service, command, environment

ANN: Final = """
insert into "User" (id, name, email, role, "updatedAt")
values ('ann', 'Ann', 'ann@example.org', 'PARTICIPANT', '2026-01-01')
"""


@pytest.fixture
async def scene(mapable_dsn: str) -> AsyncIterator[Scene]:
    """A database of participants that stands, and a service that has not begun."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=12) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(
            mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, REPLICATION_SLOT="first_contact"
        )
        code, _, said = await command(env, "setup")
        assert code == 0, said
        yield Scene(mapable_dsn, db, sandbox, env, Service(env))


async def test_what_a_page_showed_in_a_field_that_mapable_keeps_is_on_record(scene: Scene) -> None:
    page = scene.sandbox.people.create(
        "Participants", {"System ID": "ann", "Name": "Ann", "Email": "typed@example.org"}
    )
    await scene.run(ANN)

    async with scene.service as service:
        await service.event("stream.started")
        await scene.settled()
        assert await service.stop() == 0

    assert scene.page_id("Participants", "ann") == page
    assert scene.shows("Participants", "ann", Email="ann@example.org")
    (line,) = await scene.rows(
        "select * from notion_sync.audit_log where system_id = 'ann' and action = 'page.updated'"
    )
    assert line["detail"]["replaced"] == {"email": "typed@example.org"}
