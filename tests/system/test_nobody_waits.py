"""What can't be done now keeps nothing else from being done, and ends nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, %(id)s, '', 'LOW', '', '', now())
"""
WAITING = """
select exists (
    select from pg_locks where not granted and relation = 'notion_sync."NotionSyncMapping"'::regclass
)
"""
# as a timeout does it, only sooner
GIVE_UP = """
select bool_or(pg_cancel_backend(pid))
from pg_locks where not granted and relation = 'notion_sync."NotionSyncMapping"'::regclass
"""
CLAIMED: Final = """
insert into notion_sync.work (entity, system_id, reasons, priority, fence, attempts, due_at)
values ('risk', %(id)s, 1, 0, nextval('notion_sync.work_fence'), 1, clock_timestamp() + interval '1 hour')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn) as scene:
        await scene.unpaced()
        yield scene


async def test_a_question_that_notion_takes_long_to_answer_holds_up_no_other_entity(scene: Scene) -> None:
    for number in range(5):
        await scene.participant(f"p{number}")
    await scene.run(RISK, id="r1")
    await scene.settled()
    participants = scene.sandbox.people.source("Participants")["id"]
    scene.sandbox.clear_requests()
    slow = scene.sandbox.faults.script(
        kind="slow", path_pattern=f"/v1/data_sources/{participants}/query", times=None, delay_s=5
    )

    await scene.run("""update "User" set name = name || ' Smith'""")
    await scene.until(lambda: slow.applied > 0)
    await scene.run("""update "Risk" set title = 'Ramp'""")

    await scene.until(lambda: scene.shows("Risks", "r1", Title="Ramp"))
    assert not any(scene.shows("Participants", f"p{number}", Name=f"p{number} Smith") for number in range(5))
    scene.sandbox.faults.clear()
    await scene.settled()
    assert all(scene.shows("Participants", f"p{number}", Name=f"p{number} Smith") for number in range(5))


async def test_a_sidecar_table_that_somebody_has_locked_is_waited_for_without_starting_anew(scene: Scene) -> None:
    await scene.run(RISK, id="locked")
    await scene.settled()

    async with scene.session() as operator, operator.transaction():
        await operator.execute("""lock table notion_sync."NotionSyncMapping" in access exclusive mode""")
        await scene.run("""update "Risk" set title = 'Step' where id = 'locked'""")
        for _ in range(3):
            await scene.until_true(WAITING)
            await scene.run(GIVE_UP)

    await scene.until(lambda: scene.shows("Risks", "locked", Title="Step"))
    assert sum(event.get("event") == "stream.started" for event in scene.service.events) == 1


async def test_a_page_that_trips_up_a_shared_look_keeps_nobody_from_looking_at_their_own(scene: Scene) -> None:
    ids = [f"shared {number}" for number in range(5)]
    for system_id in (*ids, "odd"):
        await scene.run(RISK, id=system_id)
    await scene.settled()
    await scene.run("""update notion_sync."NotionSyncMapping" set base = '{"title": "x"}' where "systemId" = 'odd'""")

    await scene.run("""update "Risk" set title = 'Rail' where id like 'shared %'""")

    await scene.until(lambda: all(scene.shows("Risks", system_id, Title="Rail") for system_id in ids))
    assert "look.failed" in {event.get("event") for event in scene.service.events}
    assert sum(event.get("event") == "stream.started" for event in scene.service.events) == 1


async def test_a_claim_whose_answer_was_lost_does_not_wait_for_its_lease(scene: Scene) -> None:
    await scene.run(RISK, id="claimed")
    await scene.settled()

    await scene.run(CLAIMED, id="claimed")

    await scene.until_true("select not exists (select from notion_sync.work where system_id = 'claimed')")
    assert await scene.value("select count(*) from notion_sync.parked") == 0
    assert "claims.lost" in {event.get("event") for event in scene.service.events}
