"""Ids are the application's: whatever characters they hold, the record goes both ways, and each stays its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDS: Final = ("o'hara \"x\" \\ %s {} $1", "пользователь-😀-ﬁ", "a/b?c=d&e#f%20", " outer\nspaces\t", "null", "A", "a")
PERSON: Final = """
insert into "User" (id, name, email, role, "updatedAt")
values (%(id)s, 'Ann', md5(%(id)s) || '@example.org', 'PARTICIPANT', now())
"""
RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
values (%(id)s, 'Old title', '', 'LOW', 'Old category', '', %(id)s, '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, NOTION_CREATE_LOOKUP_SECONDS="0.5") as scene:
        yield scene


@pytest.mark.parametrize("system_id", IDS, ids=range(len(IDS)))
async def test_a_record_goes_both_ways_whatever_its_id(scene: Scene, system_id: str) -> None:
    # its page is looked for by its id once
    scene.sandbox.faults.script(
        kind="503", when="after", method="POST", path_pattern="/v1/pages", body_contains="Old title",
        with_committed_id=False,
    )
    await scene.run(PERSON, id=system_id)
    await scene.run(RISK, id=system_id)
    await scene.settled()

    scene.sandbox.people.edit(scene.page_id("Risks", system_id), {"Title": "New title"})
    await scene.run("""update "Risk" set category = 'New category' where id = %(id)s""", id=system_id)
    await scene.look("risk", system_id)

    assert await scene.value('select title from "Risk" where id = %(id)s', id=system_id) == "New title"
    assert scene.shows(
        "Risks", system_id, Category="New category", Participant=[scene.page_id("Participants", system_id)]
    )


async def test_nothing_of_it_was_set_aside(scene: Scene) -> None:
    assert await scene.value("select count(*) from notion_sync.parked") == 0
