"""Edits that MapAble does not take are put back, and explained where they were made: once, and never in a flood."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

import psycopg
import pytest
import pytest_asyncio

from deploy.sandbox.server import Sandbox
from tests.system import waiting
from tests.system.invoked import invoke
from tests.system.scene import PARTICIPANT, Scene, staged
from tests.system.service import Service, command, environment

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_SAID: Final = "select not exists (select from notion_sync.explanation where state = 'waiting')"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, NOTION_REVERT_GRACE_SECONDS="0.1", NOTION_POLL_SECONDS="0.3") as scene:
        yield scene


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def fresh_quota(request: pytest.FixtureRequest) -> None:
    """Let no test use up what the next one may say."""
    if "scene" in request.fixturenames:
        scene: Scene = request.getfixturevalue("scene")
        await scene.run("update notion_sync.explanation set queued_at = queued_at - interval '2 minutes'")


async def edited(scene: Scene, system_id: str, **properties: str) -> str:
    """Insert a participant, edit the page as a person, and return the page's id when all was put back."""
    await scene.participant(system_id)
    await scene.settled()
    page = scene.page_id("Participants", system_id)
    scene.sandbox.people.edit(page, properties)
    await scene.until(lambda: scene.shows("Participants", system_id, Email=f"{system_id}@example.org"))
    await scene.settled()
    return page


def said(scene: Scene, page: str) -> list[str]:
    return [comment["text"] for comment in scene.sandbox.people.comments(page)]


async def test_an_edit_of_what_mapable_keeps_is_explained_on_its_page(scene: Scene) -> None:
    page = await edited(scene, "one", Email="new@example.org")
    await scene.until_true(ALL_SAID)

    (text,) = said(scene, page)
    assert text == (
        "Email comes from MapAble and can only be changed there. What was typed here, “new@example.org”, was not "
        "saved; Email shows “one@example.org” again."
    )
    assert await scene.audited("one") >= {"comment.written"}
    assert not any("new@example.org" in line for line in scene.service.lines)


async def test_the_same_value_typed_again_is_put_back_without_another_word(scene: Scene) -> None:
    page = await edited(scene, "twice", Email="new@example.org")
    await scene.until_true(ALL_SAID)

    scene.sandbox.people.edit(page, {"Email": "new@example.org"})
    await scene.until(lambda: scene.shows("Participants", "twice", Email="twice@example.org"))
    scene.sandbox.people.edit(page, {"Email": "another@example.org"})
    await scene.until(lambda: len(said(scene, page)) > 1)
    await scene.settled()
    await scene.until_true(ALL_SAID)

    assert [text.count("“new@example.org”") for text in said(scene, page)] == [1, 0]


async def test_a_flood_becomes_one_notice_in_status(scene: Scene) -> None:
    ids = [f"flood-{number}" for number in range(9)]
    for system_id in ids:
        await scene.run(PARTICIPANT, id=system_id, name=system_id)
    await scene.settled()
    pages = [scene.page_id("Participants", system_id) for system_id in ids]

    for page in pages:
        scene.sandbox.people.edit(page, {"Email": "all@example.org"})
    await scene.until(
        lambda: all(scene.shows("Participants", each, Email=f"{each}@example.org") for each in ids)
    )
    await scene.settled()
    await scene.until_true(ALL_SAID)

    status = json.loads((await invoke({**scene.env, "LOG_LEVEL": "error"}, "status", "--json")).out)
    assert sum(len(said(scene, page)) for page in pages) == 5
    assert [(each["entity"], each["field"], each["unsaid"]) for each in status["notices"]] == [
        ("participant", "email", 4)
    ]
    assert status["comments"] == {"allowed": True}


async def test_without_the_capability_edits_are_put_back_all_the_same(mapable_dsn: str) -> None:
    async with staged(mapable_dsn, NOTION_REVERT_GRACE_SECONDS="0.1", NOTION_POLL_SECONDS="0.3") as scene:
        scene.sandbox.switches.update({"insert_comments": False, "read_comments": False})

        page = await edited(scene, "silent", Email="new@example.org")
        await scene.until_true("select exists (select from notion_sync.setting where name = 'comments')")
        await scene.participant("after")

        ready, told = await scene.get("/readyz")
        assert said(scene, page) == []
        assert (ready, "degraded" in told) == (200, False)
        assert await scene.value("select count(*) from notion_sync.parked") == 0
        assert await scene.value("select count(*) from notion_sync.audit_log where action = 'comment.forbidden'") == 1
        status = json.loads((await invoke({**scene.env, "LOG_LEVEL": "error"}, "status", "--json")).out)
        assert status["comments"] == {"allowed": False}


async def test_a_process_killed_while_it_comments_does_not_comment_twice(mapable_dsn: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=8) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(
            mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id,
            NOTION_REVERT_GRACE_SECONDS="0.1", NOTION_POLL_SECONDS="0.3",
        )
        code, _, errors = await command(env, "setup")
        assert code == 0, errors
        await db.execute(PARTICIPANT.encode(), {"id": "killed", "name": "killed"})
        async with Service(env) as service:
            await sandbox.wait_for(lambda: len(sandbox.people.rows("Participants")) == 1, 30)
            await waiting.quiet(sandbox, db)
            (page,) = (row["id"] for row in sandbox.people.rows("Participants"))
            sandbox.faults.script(kind="timeout", when="after", method="POST", path_pattern="/v1/comments")
            sandbox.people.edit(page, {"Email": "new@example.org"})
            await sandbox.wait_for(lambda: len(sandbox.people.comments(page)) == 1, 30)
            service.kill()

        async with Service(env) as service:

            async def all_said() -> bool:
                return bool(await waiting.scalar(db, ALL_SAID))

            await waiting.until(sandbox, all_said, 30)
            await waiting.quiet(sandbox, db)
            assert await service.stop() == 0

        assert len(sandbox.people.comments(page)) == 1
        assert sandbox.count("GET", "/v1/comments") == 1
