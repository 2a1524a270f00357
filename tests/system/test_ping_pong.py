"""Two machines that disagree: an automation in Notion and a trigger in Postgres never change a field for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.sandbox.store import Change
from tests.system.desk import subscribe
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTING: Final = """
create function shouts_no_more() returns trigger language plpgsql as $$
begin
    new.title := lower(new.title);
    return new;
end $$;
create trigger shouts_no_more before insert or update on "Risk" for each row
    when (new.id = 'loud') execute function shouts_no_more();
-- a record that is written again and again is written ever more seldom: not here
create function no_rest() returns trigger language plpgsql as $$
begin
    new."sendIntervalS" := 0;
    return new;
end $$;
create trigger no_rest before insert or update on notion_sync."NotionSyncMapping" for each row
    execute function no_rest();
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('loud', 'ramp', '', 'LOW', 'Old', '', '2026-01-01');
"""
FROZEN: Final = """
select exists (select from notion_sync.conflict where "systemId" = 'loud' and status = 'open' and rule = 'ping-pong')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A record that both sides write back, until it is left alone."""
    async with staged(scene_dsn) as scene:
        await scene.run(SETTING)
        await subscribe(scene)
        scene.sandbox.switches.update({"webhook_aggregation_s": 0})
        await scene.settled()
        automate(scene, scene.page_id("Risks", "loud"))
        scene.sandbox.clear_requests()
        scene.sandbox.people.edit(scene.page_id("Risks", "loud"), {"Title": "RAMP"})
        await scene.until_true(FROZEN)
        await scene.until(scene.sandbox.webhooks.idle)
        await scene.settled()
        yield scene


def automate(scene: Scene, page: str) -> None:
    """Let every title of the page be in capitals."""
    people, loop = scene.sandbox.people, asyncio.get_running_loop()

    def noticed(change: Change) -> None:
        if change.object_id == page:
            loop.call_soon(shout)

    def shout() -> None:
        title = people.row(page)["properties"]["Title"]
        if title != title.upper():
            people.edit(page, {"Title": title.upper()}, person="Tom Baker")

    scene.sandbox.store.listen(noticed)


async def row(scene: Scene) -> dict[str, Any]:
    return next(row for row in await scene.rows('select * from "Risk"') if row["id"] == "loud")


async def test_the_field_is_frozen_after_a_few_rounds_with_both_values_on_record(scene: Scene) -> None:
    (conflict,) = await scene.rows("select * from notion_sync.conflict")

    assert (conflict["field"], conflict["mapable"], conflict["notion"]) == ("title", "ramp", "RAMP")
    assert conflict["notion_by"] == scene.sandbox.state.person("Tom Baker")["id"]
    assert 3 <= len(scene.writes(scene.page_id("Risks", "loud"))) <= 5
    assert (await row(scene))["title"] == "ramp"
    assert scene.shows("Risks", "loud", Title="RAMP")


async def test_the_page_says_why(scene: Scene) -> None:
    await scene.until_true("select not exists (select from notion_sync.explanation where state = 'waiting')")

    (text,) = [each["text"] for each in scene.sandbox.people.comments(scene.page_id("Risks", "loud"))]
    assert "keeps being changed back and forth between here and MapAble, so a person has to decide" in text


async def test_the_other_fields_go_on_and_the_frozen_one_stays(scene: Scene) -> None:
    page = scene.page_id("Risks", "loud")
    scene.sandbox.clear_requests()

    scene.sandbox.people.edit(page, {"Risk Level": "HIGH"})
    await scene.run("""update "Risk" set category = 'New' where id = 'loud'""")
    await scene.until(lambda: scene.shows("Risks", "loud", Category="New"))
    await scene.until_true("""select "riskLevel" = 'HIGH' from "Risk" where id = 'loud'""")
    await scene.until(scene.sandbox.webhooks.idle)
    await scene.settled()

    assert (await row(scene))["title"] == "ramp"
    assert scene.shows("Risks", "loud", Title="RAMP")
    assert len(scene.writes(page)) == 1


async def test_once_one_of_them_gives_in_it_is_over(scene: Scene) -> None:
    await scene.run('drop trigger shouts_no_more on "Risk"', """update "Risk" set title = 'RAMP' where id = 'loud'""")
    await scene.settled()

    assert await scene.value("select status from notion_sync.conflict") == "converged"
    assert await scene.value(
        """select "conflictState" from notion_sync."NotionSyncMapping" where "systemId" = 'loud'"""
    ) == "resolved"
