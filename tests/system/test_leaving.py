"""The row and its page both go, each in its own way: only ids stay, and a row that is back gets a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Ramp', '', 'LOW', 'Home', '', '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, NOTION_CREATE_LOOKUP_SECONDS="0.5") as scene:
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    await scene.run(RISK, id=system_id)
    await scene.settled()
    return scene.page_id("Risks", system_id)


async def link(scene: Scene, system_id: str) -> dict[str, Any]:
    links = await scene.rows('select * from notion_sync."NotionSyncMapping"')
    return next(link for link in links if link["systemId"] == system_id)


async def test_a_row_whose_page_a_person_took_away_gets_no_other_one_by_its_next_change(scene: Scene) -> None:
    page = await risk(scene, "kept away")
    scene.sandbox.people.trash(page)

    await scene.run("""update "Risk" set title = 'Stairs' where id = 'kept away'""")
    await scene.settled()
    await scene.run("""update "Risk" set title = 'Lift' where id = 'kept away'""")
    await scene.settled()

    assert scene.page("Risks", "kept away") is None
    assert (await link(scene, "kept away"))["pageState"] == "unlinked"

    scene.sandbox.people.restore(page)
    await scene.look("risk", "kept away")
    assert scene.shows("Risks", "kept away", Title="Lift")


async def test_of_a_row_whose_page_a_person_took_away_nothing_but_ids_is_kept(scene: Scene) -> None:
    page = await risk(scene, "taken")
    scene.sandbox.people.trash(page)
    await scene.look("risk", "taken")
    assert (await link(scene, "taken"))["base"] != {}

    await scene.run("""delete from "Risk" where id = 'taken'""")
    await scene.settled()

    found = await link(scene, "taken")
    assert (found["pageState"], found["notionPageId"], found["base"], found["leftOut"]) == ("unlinked", page, {}, {})


async def test_such_a_page_that_comes_back_changes_nothing_and_is_on_record(scene: Scene) -> None:
    page = await risk(scene, "back")
    scene.sandbox.people.trash(page)
    await scene.look("risk", "back")
    await scene.run("""delete from "Risk" where id = 'back'""")
    await scene.settled()

    scene.sandbox.people.restore(page)
    await scene.look("risk", "back")

    assert scene.page_id("Risks", "back") == page
    assert "page.back_without_row" in await scene.audited("back")


async def test_a_row_that_comes_back_after_its_page_was_purged_gets_another_page(scene: Scene) -> None:
    page = await risk(scene, "purged")
    scene.sandbox.people.purge(page)
    await scene.run("""delete from "Risk" where id = 'purged'""")
    await scene.settled()
    assert (await link(scene, "purged"))["base"] == {}

    await scene.run(RISK, id="purged")
    await scene.until(lambda: scene.shows("Risks", "purged", Title="Ramp"))
    await scene.settled()

    assert scene.page_id("Risks", "purged") != page
