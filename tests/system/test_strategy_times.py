"""Whose time decides: of the field or of the record, a webhook's to the instant, else the minute of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.conftest import copied
from tests.system.desk import subscribe
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

MILLISECOND: Final = 0.001
"""What is told of an edit's time is cut to it, and the edit would seem older than a commit right before."""
INSERT: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select id, 'Old', '', 'LOW', 'Old', '', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
PAYMENTS: Final = """
with payer as (
    insert into "User" (id, name, email, role, "updatedAt") values ('payer', 'P', 'p@example.org', 'PARTICIPANT', now())
), plan as (
    insert into "NDISPlan" (id, "participantId", "planNumber", status, "startDate", "endDate", "totalBudget",
        "remainingBudget", "updatedAt")
    values ('plan', 'payer', 'PLAN', 'ACTIVE', '2026-01-01', '2026-12-31', 1000, 400, now())
)
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount, "createdAt")
select id, 'plan', 'payer', 'payer', '01', 10, '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
DECIDED: Final = """
select properties[1], detail->>'winner', detail->>'rule' from notion_sync.audit_log
where system_id = %(id)s and action = 'conflict.decided' order by 1
"""
WORKED_OFF: Final = """
select count(*) = %(count)s from notion_sync.audit_log
where system_id = any (%(ids)s) and action in ('conflict.decided', 'row.updated')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["last-write-wins", "timestamp-based"])
async def scene(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, mapable_template: str
) -> AsyncIterator[Scene]:
    """A service that webhooks tell of every single edit, and that does not look for any."""
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(
            dsn, NOTION_CONFLICT_STRATEGY=request.param, NOTION_SHARED_FIELDS="payment.status,payment.serviceCode"
        ) as scene:
            scene.sandbox.switches.update({"webhook_aggregation_s": 0})
            await subscribe(scene)
            await scene.unpaced()
            yield scene


def strategy(scene: Scene) -> str:
    return scene.env["NOTION_CONFLICT_STRATEGY"]


async def risks(scene: Scene, *system_ids: str) -> Sequence[tuple[str, str]]:
    await scene.run(INSERT, ids=list(system_ids))
    await scene.settled()
    return [("risk", system_id) for system_id in system_ids]


def edit(scene: Scene, system_id: str, *, clock_s: float = 0.0, **properties: str) -> None:
    scene.sandbox.switches.update({"clock_offset_s": clock_s})
    scene.sandbox.people.edit(scene.page_id("Risks", system_id), properties)
    scene.sandbox.switches.update({"clock_offset_s": 0.0})


async def ours(scene: Scene, system_id: str, **columns: str) -> None:
    for column, value in columns.items():
        await scene.run(f'update "Risk" set {column} = %(value)s where id = %(id)s', value=value, id=system_id)  # noqa: S608


async def both(scene: Scene, system_id: str) -> tuple[Any, ...]:
    """Return what the row holds and the page shows: the title and the category, which have to be the same."""
    (row,) = [row for row in await scene.rows('select id, title, category from "Risk"') if row["id"] == system_id]
    assert scene.shows("Risks", system_id, Title=row["title"], Category=row["category"])
    return row["title"], row["category"]


async def decided(scene: Scene, system_id: str) -> list[tuple[Any, ...]]:
    return await (await scene.db.execute(DECIDED.encode(), {"id": system_id})).fetchall()


async def test_within_a_minute_the_webhooks_time_decides_to_the_instant(scene: Scene) -> None:
    async with scene.held(*await risks(scene, "ours last", "theirs last")):
        edit(scene, "ours last", Title="Notion's")
        await ours(scene, "ours last", title="MapAble's")
        await ours(scene, "theirs last", title="MapAble's")
        edit(scene, "theirs last", clock_s=MILLISECOND, Title="Notion's")

    assert await both(scene, "ours last") == ("MapAble's", "Old")
    assert await both(scene, "theirs last") == ("Notion's", "Old")
    by = strategy(scene)
    assert await decided(scene, "ours last") == [("title", "mapable", f"{by}: MapAble is newer")]
    assert await decided(scene, "theirs last") == [("title", "notion", f"{by}: Notion is newer")]


async def test_a_payment_which_keeps_no_time_of_its_change_is_decided_by_it_all_the_same(scene: Scene) -> None:
    ids = ["paid first", "paid last"]
    await scene.run(PAYMENTS, ids=ids)
    await scene.settled()
    pages = {system_id: scene.page_id("Payment Transactions", system_id) for system_id in ids}
    paid = """update "PaymentTransaction" set status = 'COMPLETED' where id = %(id)s"""

    async with scene.held(*(("payment", system_id) for system_id in ids)):
        scene.sandbox.people.edit(pages["paid last"], {"Status": "FAILED"})
        await scene.run(paid, id="paid last")
        await scene.run(paid, id="paid first")
        scene.sandbox.switches.update({"clock_offset_s": MILLISECOND})
        scene.sandbox.people.edit(pages["paid first"], {"Status": "FAILED"})
        scene.sandbox.switches.update({"clock_offset_s": 0.0})

    rows = {row["id"]: row["status"] for row in await scene.rows('select id, status from "PaymentTransaction"')}
    assert rows == {"paid first": "FAILED", "paid last": "COMPLETED"}
    assert all(scene.shows("Payment Transactions", system_id, Status=rows[system_id]) for system_id in ids)
    by = strategy(scene)
    assert await decided(scene, "paid first") == [("status", "notion", f"{by}: Notion is newer")]
    assert await decided(scene, "paid last") == [("status", "mapable", f"{by}: MapAble is newer")]


async def test_each_field_has_its_own_times_only_where_fields_are_decided_by_them(scene: Scene) -> None:
    async with scene.held(*await risks(scene, "fields")):
        edit(scene, "fields", Title="Notion's")
        await ours(scene, "fields", title="MapAble's", category="MapAble's")
        edit(scene, "fields", clock_s=MILLISECOND, Category="Notion's")

    title = "mapable" if strategy(scene) == "timestamp-based" else "notion"
    assert [field[:2] for field in await decided(scene, "fields")] == [("category", "notion"), ("title", title)]
    assert await both(scene, "fields") == ({"mapable": "MapAble's", "notion": "Notion's"}[title], "Notion's")


async def test_an_edit_that_was_told_and_taken_is_not_the_time_of_a_later_one_that_was_not(scene: Scene) -> None:
    keys = await risks(scene, "lost")
    edit(scene, "lost", Title="Told")
    await scene.until_true("""select title = 'Told' from "Risk" where id = 'lost'""")
    await scene.settled()

    async with scene.held(*keys):
        await ours(scene, "lost", title="MapAble's")
        scene.sandbox.switches.update({"webhook_loss": 1})
        edit(scene, "lost", clock_s=180, Title="Notion's")
        scene.sandbox.switches.update({"webhook_loss": 0})

    assert await decided(scene, "lost") == [("title", "notion", f"{strategy(scene)}: Notion is newer")]
    assert await both(scene, "lost") == ("Notion's", "Old")


async def test_a_person_s_second_edit_in_the_same_minute_arrives_like_the_first(scene: Scene) -> None:
    await risks(scene, "twice")
    first = scene.sandbox.people.row(scene.page_id("Risks", "twice"))["last_edited_time"]

    for title in ("One", "Two"):
        edit(scene, "twice", Title=title)
        await scene.until_true("""select title = %(title)s from "Risk" where id = 'twice'""", title=title)
    await scene.settled()

    assert await both(scene, "twice") == ("Two", "Old")
    assert first <= scene.sandbox.people.row(scene.page_id("Risks", "twice"))["last_edited_time"]


async def test_what_both_sides_did_while_the_program_was_down_is_merged_when_it_is_back(scene: Scene) -> None:
    ids = ["down ours", "down theirs", "down both", "down ours last", "down theirs last"]
    await risks(scene, *ids)

    async with scene.down(NOTION_POLL_SECONDS="0.2"):
        await ours(scene, "down ours", title="MapAble's")
        edit(scene, "down theirs", Title="Notion's")
        edit(scene, "down both", Title="Notion's")
        await ours(scene, "down both", category="MapAble's")
        edit(scene, "down ours last", clock_s=-300, Title="Notion's")
        edit(scene, "down theirs last", clock_s=300, Title="Notion's")
        await ours(scene, "down ours last", title="MapAble's")
        await ours(scene, "down theirs last", title="MapAble's")
    await scene.until_true(WORKED_OFF, count=5, ids=ids)
    await scene.settled()

    assert await both(scene, "down ours") == ("MapAble's", "Old")
    assert await both(scene, "down theirs") == ("Notion's", "Old")
    assert await both(scene, "down both") == ("Notion's", "MapAble's")
    assert await both(scene, "down ours last") == ("MapAble's", "Old")
    assert await both(scene, "down theirs last") == ("Notion's", "Old")
    by = strategy(scene)
    assert await decided(scene, "down ours last") == [("title", "mapable", f"{by}: MapAble is newer")]
    assert await decided(scene, "down theirs last") == [("title", "notion", f"{by}: Notion is newer")]
