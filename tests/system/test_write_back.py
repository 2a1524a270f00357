"""What people type reaches MapAble's rows beside the application that works on them: no lock waited for, no echo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.desk import subscribe
from tests.system.one_of_each import ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Old', '', 'LOW', 'Old', '', '2026-01-01')
"""
SECOND_PLAN: Final = """
insert into "NDISPlan" (id, "participantId", "planNumber", status, "startDate", "endDate", "totalBudget",
    "remainingBudget", "updatedAt")
values ('n2', 'p2', 'PLAN-2', 'ACTIVE', '2026-01-01', '2026-12-31', 1000, 400, '2026-01-01')
"""
UNTOUCHED: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - the column has no zone
ALL_SAID: Final = "select not exists (select from notion_sync.explanation where state = 'waiting')"
WAITS: Final = """
select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for no key update%'
    and datname = current_database())
"""
STAMPED: Final = "select changed_at from notion_sync.row_stamp where entity = 'risk' and system_id = %(id)s"
LINES: Final = "select count(*) from notion_sync.audit_log where system_id = %(id)s and action = %(action)s"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(
        scene_dsn, NOTION_REVERT_GRACE_SECONDS="0.2", NOTION_SHARED_FIELDS="payment.status"
    ) as scene:
        await scene.run(ROWS, SECOND_PLAN)
        await subscribe(scene)
        await scene.unpaced()
        await scene.settled()
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    await scene.run(RISK, id=system_id)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()
    return scene.page_id("Risks", system_id)


async def row(scene: Scene, system_id: str, table: str = "Risk") -> dict[str, Any]:
    return next(row for row in await scene.rows(f'select * from "{table}"') if row["id"] == system_id)  # noqa: S608


async def until_title(scene: Scene, system_id: str, title: str) -> None:
    await scene.until_true("""select title = %(title)s from "Risk" where id = %(id)s""", id=system_id, title=title)


async def told(scene: Scene) -> None:
    """Return when all that webhooks had to tell was worked off."""
    await scene.until(scene.sandbox.webhooks.idle)
    await scene.settled()


async def test_a_row_that_mapable_holds_is_tried_again_and_nothing_else_waits(scene: Scene) -> None:
    held, other = await risk(scene, "held"), await risk(scene, "other")

    async with scene.session() as application:
        await application.execute("""select 1 from "Risk" where id = 'held' for update""")
        scene.sandbox.people.edit(held, {"Title": "Notion's"})
        await scene.until_true("select attempts >= 2 from notion_sync.work where system_id = 'held'")
        scene.sandbox.people.edit(other, {"Title": "Notion's"})
        await until_title(scene, "other", "Notion's")
        await application.execute("""update "Risk" set category = 'MapAble''s' where id = 'held'""")
        before = (await row(scene, "held"))["title"]
        await application.commit()
    await until_title(scene, "held", "Notion's")
    await scene.settled()

    assert before == "Old"
    assert scene.shows("Risks", "held", Title="Notion's", Category="MapAble's")
    assert await scene.value("select count(*) from notion_sync.parked") == 0


async def test_what_mapable_commits_while_the_row_is_waited_for_is_not_overwritten(scene: Scene) -> None:
    page = await risk(scene, "raced")

    async with scene.session() as application:
        await application.execute("""update "Risk" set title = 'MapAble''s' where id = 'raced'""")
        scene.sandbox.people.edit(page, {"Title": "Notion's"})
        await scene.until_true(WAITS)
        await application.commit()
    await told(scene)

    assert (await row(scene, "raced"))["title"] == "MapAble's"
    assert scene.shows("Risks", "raced", Title="MapAble's")
    detail = await scene.value(
        "select detail from notion_sync.audit_log where system_id = 'raced' and action = 'conflict.decided'"
    )
    assert (detail["notion"], detail["winner"]) == ("Notion's", "mapable")
    assert await scene.value(LINES, id="raced", action="row.updated") == 0


async def test_an_edit_and_a_change_of_another_column_are_both_kept(scene: Scene) -> None:
    page = await risk(scene, "columns")

    async with scene.held(("risk", "columns")):
        scene.sandbox.people.edit(page, {"Title": "Notion's", "Risk Level": "HIGH"})
        await scene.run("""update "Risk" set category = 'MapAble''s', owner = 'Kim' where id = 'columns'""")

    found = await row(scene, "columns")
    assert (found["title"], found["riskLevel"], found["category"], found["owner"]) == (
        "Notion's", "HIGH", "MapAble's", "Kim",
    )
    assert scene.shows("Risks", "columns", Title="Notion's", Risk_Level="HIGH", Category="MapAble's")


async def test_what_another_record_has_fails_its_field_only_and_is_explained(scene: Scene) -> None:
    page = scene.page_id("NDIS Plans", "n")

    scene.sandbox.people.edit(page, {"Plan Number": "PLAN-2", "Remaining Budget": 12.5, "Status": "SUSPENDED"})
    await told(scene)
    await scene.until_true(ALL_SAID)

    plan = await row(scene, "n", "NDISPlan")
    assert (plan["planNumber"], plan["remainingBudget"], plan["status"]) == ("PLAN-1", Decimal("12.50"), "SUSPENDED")
    assert plan["updatedAt"] > UNTOUCHED
    assert (await row(scene, "n2", "NDISPlan"))["planNumber"] == "PLAN-2"
    assert scene.shows("NDIS Plans", "n", Plan_Number="PLAN-1", Remaining_Budget=12.5, Status="SUSPENDED")
    (text,) = [comment["text"] for comment in scene.sandbox.people.comments(page)]
    assert "Another record in MapAble has this value already." in text
    assert "“PLAN-2”" in text
    assert "Plan Number shows “PLAN-1” again." in text


async def test_another_participant_s_plan_that_is_put_on_a_page_goes_back_to_whose_it_is(scene: Scene) -> None:
    people = scene.sandbox.people
    mine, other = scene.page_id("Participants", "p"), scene.page_id("Participants", "p2")
    plans = [scene.page_id("NDIS Plans", "n"), scene.page_id("NDIS Plans", "n2")]

    people.edit(other, {"NDIS Plan": plans})

    assert people.row(plans[0])["properties"]["Participant"] == [mine, other]
    await scene.until(lambda: people.row(plans[0])["properties"]["Participant"] == [mine])
    await told(scene)
    assert people.row(other)["properties"]["NDIS Plan"] == [plans[1]]
    assert await scene.audited("n2") & {"edit.refused"} == set()


async def test_the_time_of_the_change_is_set_where_the_table_has_one(scene: Scene) -> None:
    risk_page, payment_page = await risk(scene, "timed"), scene.page_id("Payment Transactions", "t")

    scene.sandbox.people.edit(risk_page, {"Title": "Notion's"})
    scene.sandbox.people.edit(payment_page, {"Status": "COMPLETED"})
    await told(scene)

    now = await scene.value("select now() at time zone 'UTC'")
    assert UNTOUCHED < (await row(scene, "timed"))["updatedAt"] <= now
    assert (await row(scene, "t", "PaymentTransaction"))["status"] == "COMPLETED"


async def test_an_edit_costs_one_read_and_comes_back_as_nothing(scene: Scene) -> None:
    page = await risk(scene, "echo")
    scene.sandbox.clear_requests()
    changed_at = await scene.value(STAMPED, id="echo")

    scene.sandbox.people.edit(page, {"Title": "Notion's", "Category": "Notion's"})
    await told(scene)
    await scene.settled()

    assert [(call.method, call.path) for call in scene.sandbox.requests if page in call.path] == [
        ("GET", f"/v1/pages/{page}")
    ]
    assert await scene.value(LINES, id="echo", action="row.updated") == 1
    assert changed_at is not None
    assert await scene.value(STAMPED, id="echo") == changed_at    # it was no change of MapAble's


@pytest.mark.parametrize("when", ["before", "after"], ids=["before Notion wrote", "after Notion wrote"])
async def test_killed_between_the_row_and_the_page_it_ends_where_it_would_have(scene: Scene, when: str) -> None:
    system_id = f"killed {when}"
    page = await risk(scene, system_id)
    fault = scene.sandbox.faults.script(kind="timeout", when=when, method="PATCH", path_pattern=f"/v1/pages/{page}")

    scene.sandbox.switches.update({"webhook_loss": 1})
    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    await scene.run("""update "Risk" set category = 'MapAble''s' where id = %(id)s""", id=system_id)
    await scene.until(lambda: fault.applied == 1)
    scene.sandbox.switches.update({"webhook_loss": 0})
    stamp = await scene.value(STAMPED, id=system_id)
    title = (await row(scene, system_id))["title"]
    scene.service.kill()
    await scene.start_again()
    await scene.settled()

    assert title == "Notion's"
    assert (await row(scene, system_id))["title"] == "Notion's"
    assert scene.shows("Risks", system_id, Title="Notion's", Category="MapAble's")
    assert await scene.value(LINES, id=system_id, action="row.updated") == 1
    assert await scene.value(STAMPED, id=system_id) == stamp
    assert "conflict.decided" not in await scene.audited(system_id)
