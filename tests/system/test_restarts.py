"""Another zone, or other shared fields, at the next start: pages follow once, rows stay, and nobody's edit is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.one_of_each import PLACES, ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMAIL: Final = """select email from "User" where id = 'p'"""
SWEEP: Final = "update notion_sync.look set sweep_requested_at = clock_timestamp()"
SWEPT: Final = "select not exists (select from notion_sync.look where sweep_requested_at is not null)"
COOL_DOWN: Final = """update notion_sync."NotionSyncMapping" set "sentAt" = null, "sendIntervalS" = 0"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(
        scene_dsn, TIME_ZONE="Australia/Sydney", NOTION_POLL_SECONDS="0.2", NOTION_REVERT_GRACE_SECONDS="0.1"
    ) as scene:
        await scene.run(ROWS)
        await scene.settled()
        yield scene


async def rows(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the seven tables but for the sentinels."""
    found = {table: await scene.rows(f'select * from "{table}" order by id') for table, _, _ in PLACES.values()}  # noqa: S608
    return {table: [row for row in each if "sentinel" not in row["id"]] for table, each in found.items()}


def pages(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return what every page shows."""
    return {name: dict((scene.page(name, place[1]) or {})["properties"]) for name, place in PLACES.items()}


async def nothing_more_is_written(scene: Scene) -> None:
    """However often both sides are compared from now on, they are one."""
    await scene.settled()
    scene.sandbox.clear_requests()
    await scene.run(SWEEP)
    await scene.until_true(SWEPT)
    await scene.settled()
    assert [request for request in scene.writes() if "sentinel" not in str(request.body)] == []


async def test_another_zone_shows_the_same_instants_and_moves_none(scene: Scene) -> None:
    before, shown = await rows(scene), pages(scene)
    await scene.run(COOL_DOWN)

    async with scene.down(TIME_ZONE="Australia/Perth"):
        scene.sandbox.people.edit(scene.page_id("NDIS Plans", "n"), {"Total Budget": 2000})
    await scene.until_true("""select "totalBudget" = 2000 from "NDISPlan" where id = 'n'""")
    await nothing_more_is_written(scene)

    after, now = await rows(scene), pages(scene)
    plan = after["NDISPlan"][0]
    # half past midnight in Sydney is the evening before in Perth
    assert (shown["NDIS Plans"]["Start Date"], now["NDIS Plans"]["Start Date"]) == ("2026-01-02", "2026-01-01")
    assert {**plan, "totalBudget": 1000, "updatedAt": before["NDISPlan"][0]["updatedAt"]} == before["NDISPlan"][0]
    assert {**after, "NDISPlan": []} == {**before, "NDISPlan": []}


async def test_the_zone_before_shows_what_it_showed_and_a_field_that_is_opened_takes_edits_from_then_on(
    scene: Scene,
) -> None:
    before = await rows(scene)
    await scene.run(COOL_DOWN)

    async with scene.down(TIME_ZONE="Australia/Sydney", NOTION_SHARED_FIELDS="participant.email,payment.amount"):
        pass
    await scene.until(lambda: pages(scene)["NDIS Plans"]["Start Date"] == "2026-01-02")
    await nothing_more_is_written(scene)

    assert await rows(scene) == before
    scene.sandbox.people.edit(scene.page_id("Participants", "p"), {"Email": "typed@example.org"})
    await scene.until_true(f"select ({EMAIL}) = 'typed@example.org'")


async def test_a_field_that_is_closed_again_keeps_what_it_took_and_takes_nothing_more(scene: Scene) -> None:
    await scene.settled()
    await scene.run(COOL_DOWN)

    async with scene.down(NOTION_SHARED_FIELDS=""):
        scene.sandbox.people.edit(scene.page_id("Participants", "p"), {"Email": "too.late@example.org"})
    await scene.until(lambda: scene.shows("Participants", "p", Email="typed@example.org"))
    await nothing_more_is_written(scene)

    assert await scene.value(EMAIL) == "typed@example.org"
    assert await scene.audited("p") >= {"edit.refused", "edit.put_back"}
