"""Frozen fields end by a decision, or when both sides become equal; until then neither side is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.desk import ADMIN, subscribe
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANS: Final = """
insert into "User" (id, name, email, role, "updatedAt")
select id, id, id || '@example.org', 'PARTICIPANT', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
STATE: Final = """select "conflictState" from notion_sync."NotionSyncMapping" where "systemId" = %(id)s"""
RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Old', '', 'LOW', 'Old', '', '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, NOTION_CONFLICT_STRATEGY="manual-review", ADMIN_TOKEN=ADMIN) as scene:
        await subscribe(scene)
        await scene.unpaced()
        yield scene


async def frozen(scene: Scene, system_id: str) -> dict[str, Any]:
    """Let both sides change a risk's title, and return the conflict that this opens."""
    await scene.run(RISK, id=system_id)
    await scene.settled()
    async with scene.held(("risk", system_id)):
        scene.sandbox.people.edit(scene.page_id("Risks", system_id), {"Title": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s' where id = %(id)s""", id=system_id)
    return await conflict(scene, system_id)


async def conflict(scene: Scene, system_id: str) -> dict[str, Any]:
    found = await scene.rows("select * from notion_sync.conflict")
    return next(each for each in found if each["systemId"] == system_id)


async def resolve(scene: Scene, found: dict[str, Any], **decision: str) -> int:
    status, _, _ = await scene.call(
        "POST", f"/api/notion/conflicts/{found['id']}/resolve", token=ADMIN,
        json={"version": found["version"], **decision},
    )
    await scene.settled()
    return status


async def sides(scene: Scene, system_id: str) -> tuple[Any, ...]:
    """Return the title that the row holds, and the one that the page shows."""
    page = scene.page("Risks", system_id)
    assert page is not None
    title = await scene.value("""select title from "Risk" where id = %(id)s""", id=system_id)
    return title, page["properties"]["Title"]


@pytest.mark.parametrize(
    ("decision", "title"),
    [
        ({"choice": "mapable"}, "MapAble's"), ({"choice": "notion"}, "Notion's"),
        ({"choice": "value", "value": "A third"}, "A third"),
    ],
    ids=lambda each: each["choice"] if isinstance(each, dict) else "",
)
async def test_a_decision_goes_to_both_sides(scene: Scene, decision: dict[str, str], title: str) -> None:
    system_id = f"by {decision['choice']}"
    found = await frozen(scene, system_id)
    before = await sides(scene, system_id)

    status = await resolve(scene, found, **decision)

    assert (before, status) == (("MapAble's", "Notion's"), 200)
    await scene.until(lambda: scene.shows("Risks", system_id, Title=title))
    assert await sides(scene, system_id) == (title, title)
    closed = await conflict(scene, system_id)
    assert (closed["status"], closed["closed_by"]) == ("resolved", "operator")
    assert await scene.value(STATE, id=system_id) == "resolved"
    assert "conflict.resolved" in await scene.audited(system_id)


@pytest.mark.parametrize("where", ["in Notion", "in MapAble"])
async def test_it_is_settled_as_soon_as_both_sides_are_the_same(scene: Scene, where: str) -> None:
    system_id = f"same {where}"
    await frozen(scene, system_id)
    page = scene.page_id("Risks", system_id)
    scene.sandbox.clear_requests()

    if where == "in Notion":
        scene.sandbox.people.edit(page, {"Title": "MapAble's"})
        await scene.until(scene.sandbox.webhooks.idle)
    else:
        await scene.run("""update "Risk" set title = 'Notion''s' where id = %(id)s""", id=system_id)
    await scene.settled()

    assert len(set(await sides(scene, system_id))) == 1
    assert (await conflict(scene, system_id))["status"] == "converged"
    assert await scene.value(STATE, id=system_id) == "resolved"
    assert scene.writes(page) == ()


async def test_whoever_decides_sees_a_row_that_went_back_to_what_was_agreed(scene: Scene) -> None:
    await frozen(scene, "back")

    await scene.run("""update "Risk" set title = 'Old' where id = 'back'""")
    await scene.settled()

    found = await conflict(scene, "back")
    assert (found["status"], found["mapable"], found["notion"]) == ("open", "Old", "Notion's")
    assert await sides(scene, "back") == ("Old", "Notion's")


async def test_who_moves_while_it_is_decided_is_not_overruled(scene: Scene) -> None:
    found = await frozen(scene, "moved")
    page = scene.page_id("Risks", "moved")

    async with scene.held(("risk", "moved")):
        status, _, _ = await scene.call(
            "POST", f"/api/notion/conflicts/{found['id']}/resolve", token=ADMIN,
            json={"version": found["version"], "choice": "mapable"},
        )
        scene.sandbox.people.edit(page, {"Title": "Notion's next"})
    again = await conflict(scene, "moved")
    outdated = await resolve(scene, found, choice="mapable")

    assert (status, outdated) == (200, 409)
    assert await sides(scene, "moved") == ("MapAble's", "Notion's next")
    assert (again["status"], again["notion"]) == ("open", "Notion's next")
    assert again["version"] > found["version"]


async def test_a_decision_that_the_database_refuses_leaves_it_open(scene: Scene) -> None:
    ids = ["one", "two"]
    await scene.run(PLANS, ids=ids)
    await scene.run(
        """insert into "NDISPlan" (id, "participantId", "planNumber", status, "startDate", "endDate", "totalBudget",
           "remainingBudget", "updatedAt")
           select id, id, id, 'ACTIVE', '2026-01-01', '2026-12-31', 1000, 400, '2026-01-01'
           from unnest(%(ids)s::text[]) as id""", ids=ids,
    )
    await scene.settled()
    async with scene.held(("ndisplan", "one")):
        scene.sandbox.people.edit(scene.page_id("NDIS Plans", "one"), {"Plan Number": "Notion's"})
        await scene.run("""update "NDISPlan" set "planNumber" = 'MapAble''s' where id = 'one'""")

    await resolve(scene, await conflict(scene, "one"), choice="value", value="two")

    found = await conflict(scene, "one")
    assert (found["status"], found["base"], found["mapable"], found["notion"]) == (
        "open", "one", "MapAble's", "Notion's",
    )
    assert await scene.value("""select "planNumber" from "NDISPlan" where id = 'one'""") == "MapAble's"
    assert scene.shows("NDIS Plans", "one", Plan_Number="Notion's")
    told = "select detail from notion_sync.audit_log where system_id = 'one' and action = 'conflict.undone'"
    assert "Another record in MapAble has this value already." in (await scene.value(told))["reason"]


async def test_what_both_sides_changed_while_the_program_was_down_waits_for_a_person(scene: Scene) -> None:
    await scene.run(RISK, id="down")
    await scene.settled()
    page = scene.page_id("Risks", "down")

    async with scene.down(NOTION_POLL_SECONDS="0.2"):
        scene.sandbox.people.edit(page, {"Title": "Notion's", "Category": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s', "riskLevel" = 'HIGH' where id = 'down'""")
    await scene.until_true(STATE.replace('"conflictState"', "\"conflictState\" = 'pending'"), id="down")
    await scene.settled()

    found = await conflict(scene, "down")
    assert found["status"] == "open"
    assert (found["base"], found["mapable"], found["notion"]) == ("Old", "MapAble's", "Notion's")
    assert await sides(scene, "down") == ("MapAble's", "Notion's")
    # the fields that one side changed are merged, as ever
    assert scene.shows("Risks", "down", Category="Notion's", Risk_Level="HIGH")
    assert await scene.value("""select category from "Risk" where id = 'down'""") == "Notion's"
