"""A person edits a page in Notion: the row follows, field by field, and nothing is overwritten silently."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from tests.system.invoked import invoke
from tests.system.one_of_each import ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Old title', '', 'LOW', 'Old category', '', '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, NOTION_REVERT_GRACE_SECONDS="0.2") as scene:
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    await scene.run(RISK, id=system_id)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()
    return scene.page_id("Risks", system_id)


async def row(scene: Scene, system_id: str) -> dict[str, Any]:
    return next(found for found in await scene.rows('select * from "Risk"') if found["id"] == system_id)


async def test_an_edit_in_notion_arrives_in_the_row(scene: Scene) -> None:
    page = await risk(scene, "edit")

    scene.sandbox.people.edit(page, {"Title": "New title", "Risk Level": "HIGH"})
    await scene.look("risk", "edit")

    found = await row(scene, "edit")
    assert (found["title"], found["riskLevel"], found["category"]) == ("New title", "HIGH", "Old category")
    assert found["updatedAt"].year > 2025


async def test_edits_of_different_fields_on_both_sides_are_both_kept(scene: Scene) -> None:
    page = await risk(scene, "both")

    scene.sandbox.people.edit(page, {"Title": "From Notion"})
    await scene.run("""update "Risk" set category = 'From MapAble' where id = 'both'""")
    await scene.settled()

    found = await row(scene, "both")
    assert (found["title"], found["category"]) == ("From Notion", "From MapAble")
    assert scene.shows("Risks", "both", Title="From Notion", Category="From MapAble")


async def test_an_edit_that_is_met_while_writing_costs_one_look_and_one_write(scene: Scene) -> None:
    page = await risk(scene, "one look")
    scene.sandbox.people.edit(page, {"Title": "From Notion"})
    # long ago: else the page, just made, would be too hot to be written at once
    await scene.run("""update notion_sync."NotionSyncMapping" set "sentAt" = null where "systemId" = 'one look'""")

    calls = await scene.calls_of("""update "Risk" set category = 'From MapAble' where id = 'one look'""")

    assert [call.method for call in calls if call.path == f"/v1/pages/{page}"] == ["GET", "PATCH"]
    assert (await row(scene, "one look"))["title"] == "From Notion"


async def test_an_edit_of_a_field_that_mapable_keeps_is_put_back_and_explained(scene: Scene) -> None:
    page = await risk(scene, "app")

    scene.sandbox.people.edit(page, {"System ID": "somebody-else"})
    await scene.look("risk", "app")

    assert scene.shows("Risks", "app", System_ID="app")
    assert await scene.audited("app") >= {"edit.refused", "edit.put_back"}


async def test_every_line_of_a_write_names_the_request_that_made_it(scene: Scene) -> None:
    page = await risk(scene, "request")

    scene.sandbox.people.edit(page, {"System ID": "somebody-else"})
    await scene.look("risk", "request")
    await scene.run("""update "Risk" set title = 'New' where id = 'request'""")
    await scene.settled()
    await scene.run("""delete from "Risk" where id = 'request'""")
    await scene.settled()

    requests = {each.request_id: (each.method, each.path) for each in scene.sandbox.requests}
    lines = await scene.rows("select action, request_id from notion_sync.audit_log where system_id = 'request'")
    named = {line["action"]: requests.get(line["request_id"]) for line in lines}
    patch = ("PATCH", f"/v1/pages/{page}")
    assert named["page.created"] == ("POST", "/v1/pages")
    assert {named[action] for action in ("page.updated", "edit.put_back", "page.trashed")} == {patch}
    # an edit that is not taken was seen in the answer to a read
    assert named["edit.refused"] == ("GET", f"/v1/pages/{page}")


async def test_whatever_is_typed_on_a_payment_s_page_the_ledger_stays_as_it_is(scene: Scene) -> None:
    await scene.run(ROWS)
    await scene.settled()
    page = scene.page_id("Payment Transactions", "t")
    ledger, shown = await scene.rows('select * from "PaymentTransaction"'), scene.sandbox.people.row(page)["properties"]

    scene.sandbox.people.edit(
        page,
        {
            "Transaction ID": "t2", "Participant": [], "Provider": "Me", "Amount": 1_000_000, "Status": "REVERSED",
            "Service Code": "99", "Created At": "2020-01-01", "System ID": "t3",
        },
    )
    await scene.look("payment", "t")

    assert await scene.rows('select * from "PaymentTransaction"') == ledger
    assert scene.sandbox.people.row(page)["properties"] == shown


async def test_a_second_data_source_in_a_database_changes_nothing(scene: Scene) -> None:
    page = await risk(scene, "two sources")
    headers = {"Authorization": f"Bearer {scene.sandbox.token}", "Notion-Version": "2026-03-11"}
    database_id = scene.sandbox.people.source("Risks")["parent"]["database_id"]
    body = {
        "parent": {"type": "database_id", "database_id": database_id}, "properties": {"Title": {"title": {}}},
        "title": [{"text": {"content": "Somebody's own list"}}],
    }
    async with aiohttp.ClientSession() as client, client.post(
        f"{scene.sandbox.url}/v1/data_sources", json=body, headers=headers
    ) as answer:
        assert answer.status == 200

    again = await invoke(scene.env, "setup")
    scene.sandbox.people.edit(page, {"Title": "Edited"})
    await scene.look("risk", "two sources")
    await scene.run("""update "Risk" set category = 'Changed' where id = 'two sources'""")
    other = await risk(scene, "another")

    assert again.code == 0, again.err
    assert (await row(scene, "two sources"))["title"] == "Edited"
    assert scene.shows("Risks", "two sources", Title="Edited", Category="Changed")
    assert scene.sandbox.people.page(other)["parent"] == scene.sandbox.people.page(page)["parent"]


async def test_an_option_that_mapable_does_not_have_is_put_back(scene: Scene) -> None:
    page = await risk(scene, "option")

    scene.sandbox.people.edit(page, {"Risk Level": "APOCALYPTIC"})
    await scene.look("risk", "option")

    assert (await row(scene, "option"))["riskLevel"] == "LOW"
    assert scene.shows("Risks", "option", Risk_Level="LOW")


async def test_a_clash_is_decided_and_the_losing_value_kept(scene: Scene) -> None:
    page = await risk(scene, "clash")

    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    await scene.run("""update "Risk" set title = 'MapAble''s' where id = 'clash'""")
    await scene.settled()

    assert scene.shows("Risks", "clash", Title="MapAble's")
    detail = await scene.value(
        "select detail from notion_sync.audit_log where system_id = 'clash' and action = 'conflict.decided'"
    )
    assert (detail["notion"], detail["mapable"], detail["winner"]) == ("Notion's", "MapAble's", "mapable")
