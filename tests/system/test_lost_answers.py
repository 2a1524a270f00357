"""Notion did what was asked and its answer was lost: nothing is taken for a person's doing, and all is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from sinks.notion.client import READ_ATTEMPTS
from tests.system.scene import PARTICIPANT, Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Ramp', '', 'LOW', 'Home', '', '2026-01-01')
"""
SENT: Final = """
select coalesce(array_agg(distinct property), '{}')
from notion_sync.audit_log, unnest(properties) as property
where system_id = %(id)s and action in ('page.created', 'page.adopted', 'page.updated')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(
        scene_dsn, NOTION_REVERT_GRACE_SECONDS="0.2", NOTION_CREATE_LOOKUP_SECONDS="0.5"
    ) as scene:
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    await scene.run(RISK, id=system_id)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()
    return scene.page_id("Risks", system_id)


def answer_is_lost(scene: Scene, method: str, body_contains: str) -> None:
    """The next request that says this is carried out and answered by nobody."""
    scene.sandbox.faults.script(
        kind="503", when="after", method=method, path_pattern="/v1/pages.*", body_contains=body_contains,
        with_committed_id=False,
    )


async def sent(scene: Scene, system_id: str) -> set[str]:
    """Return the fields that the audit log says went to Notion."""
    return set(await scene.value(SENT, id=system_id))


async def test_a_page_that_we_put_into_the_trash_was_not_taken_away_by_a_person(scene: Scene) -> None:
    page = await risk(scene, "trash")
    answer_is_lost(scene, "PATCH", '"in_trash": true')

    await scene.run("""delete from "Risk" where id = 'trash'""")
    await scene.settled()

    assert scene.page("Risks", "trash") is None
    actions = await scene.audited("trash")
    assert ("page.trashed" in actions, "page.trashed_by_person" in actions) == (True, False)
    link = (await scene.rows("""select * from notion_sync."NotionSyncMapping" where "systemId" = 'trash'"""))[0]
    assert (link["pageState"], link["base"]) == ("trashed", {})

    await scene.run(RISK, id="trash")
    await scene.settled()
    assert scene.page_id("Risks", "trash") == page


async def test_what_a_write_sent_is_in_the_audit_log(scene: Scene) -> None:
    await risk(scene, "write")
    answer_is_lost(scene, "PATCH", "Road")

    await scene.run("""update "Risk" set category = 'Road' where id = 'write'""")
    await scene.settled()

    assert scene.shows("Risks", "write", Category="Road")
    lines = await scene.rows(
        "select * from notion_sync.audit_log where system_id = 'write' and action = 'page.updated'"
    )
    assert [line["properties"] for line in lines] == [["category"]]


async def test_what_a_create_sent_is_in_the_audit_log(scene: Scene) -> None:
    answer_is_lost(scene, "POST", "Ramp of the lost")

    await scene.run(RISK.replace("'Ramp'", "'Ramp of the lost'"), id="create")
    await scene.until(lambda: scene.page("Risks", "create") is not None)
    await scene.settled()

    assert await sent(scene, "create") >= {"title", "category", "riskLevel", "systemId"}


async def test_a_search_that_fails_says_nothing_about_whether_the_page_was_made(scene: Scene) -> None:
    scene.sandbox.clear_requests()
    answer_is_lost(scene, "POST", '"unfound"')
    # for longer than is looked: the search gives up, the next one fails as well, and only then one is answered
    fault = scene.sandbox.faults.script(
        kind="409", method="POST", path_pattern=".*/query", body_contains='"unfound"', times=READ_ATTEMPTS + 1
    )

    await risk(scene, "unfound")

    assert fault.applied == READ_ATTEMPTS + 1
    assert sum("unfound" in str(request.body) for request in scene.sandbox.requests if request.path == "/v1/pages") == 1
    assert len(scene.sandbox.people.rows("Risks", {"System ID": "unfound"}, trashed=True)) == 1
    assert await scene.audited("unfound") == {"page.adopted"}


async def test_what_a_create_left_there_is_no_edit_though_the_row_has_moved_on(scene: Scene) -> None:
    answer_is_lost(scene, "POST", "Ramp of before")

    await scene.run(RISK.replace("'Ramp'", "'Ramp of before'"), id="moved on")
    await scene.until(lambda: scene.page("Risks", "moved on") is not None)
    await scene.run("""update "Risk" set title = 'Ramp of now' where id = 'moved on'""")
    await scene.settled()

    assert scene.shows("Risks", "moved on", Title="Ramp of now")
    assert "conflict.decided" not in await scene.audited("moved on")


async def test_what_stands_where_nobody_saw_what_a_create_left_is_on_record(scene: Scene) -> None:
    scene.sandbox.faults.script(
        kind="503", when="after", method="POST", path_pattern="/v1/pages", body_contains="Ann Unseen"
    )
    await scene.run(PARTICIPANT, id="unseen", name="Ann Unseen")
    await scene.until(lambda: scene.page("Participants", "unseen") is not None)
    await scene.settled()

    scene.sandbox.people.edit(scene.page_id("Participants", "unseen"), {"Email": "typed@example.org"})
    await scene.look("participant", "unseen")

    assert scene.shows("Participants", "unseen", Email="unseen@example.org")
    lines = await scene.rows(
        "select * from notion_sync.audit_log where system_id = 'unseen' and action = 'page.updated'"
    )
    assert [line["detail"]["replaced"] for line in lines] == [{"email": "typed@example.org"}]


async def test_what_was_put_back_is_explained_all_the_same(scene: Scene) -> None:
    page = await risk(scene, "back")
    answer_is_lost(scene, "PATCH", '"properties"')

    scene.sandbox.people.edit(page, {"System ID": "somebody-else"})
    await scene.look("risk", "back")

    assert scene.shows("Risks", "back", System_ID="back")
    assert "edit.put_back" in await scene.audited("back")
    await scene.until(lambda: len(scene.sandbox.people.comments(page)) == 1)
