"""The real process keeps to Notion's allowance: all of it waits when Notion says so, and a restart forgets nothing."""

from __future__ import annotations

from typing import Final

import pytest

from sinks.notion.pacing import MAX_IN_FLIGHT
from tests.system.plant import planted
from tests.system.scene import staged

RISKS: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select 'risk-' || n, 'Ramp ' || n, '', 'LOW', 'Home', 'w', now() from generate_series(1, %(rows)s::int) n
"""
INCIDENTS: Final = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
select 'incident-' || n, 'OTHER', 'Fall', now(), 'x', now() from generate_series(1, %(rows)s::int) n
"""
PAUSE_S: Final = 3
BUDGET: Final = 40
ROWS: Final = 30


async def test_one_answer_that_asks_to_wait_holds_everything(mapable_dsn: str) -> None:
    async with staged(mapable_dsn) as scene:
        scene.sandbox.clear_requests()
        fault = scene.sandbox.faults.script(kind="429", path_pattern="/v1/pages", skip=20, retry_after=PAUSE_S)

        await scene.run(RISKS, rows=ROWS)
        await scene.run(INCIDENTS, rows=ROWS)
        await scene.settled()

        assert fault.applied == 1
        (asked,) = [request for request in scene.sandbox.requests if request.status == 429]
        later_s = [request.at_s - asked.at_s for request in scene.sandbox.requests if request.at_s > asked.at_s]
        assert len(later_s) >= ROWS
        # what was under way at that moment was sent before anybody could know
        assert sum(at_s < PAUSE_S for at_s in later_s) < MAX_IN_FLIGHT


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_minute_sees_more_than_the_allowance_and_a_killed_process_leaves_no_new_one(mapable_dsn: str) -> None:
    async with planted(mapable_dsn) as plant:
        await plant.run(RISKS, rows=ROWS)
        plant.sandbox.clear_requests()

        async with plant.service(NOTION_REQUESTS_PER_MINUTE=str(BUDGET)) as service:
            # the setup has used a part of this minute
            await plant.sandbox.wait_for(lambda: plant.sandbox.count() >= BUDGET / 2, 120)
            service.kill()
        async with plant.service(NOTION_REQUESTS_PER_MINUTE=str(BUDGET)) as service:
            await service.event("stream.started", timeout_s=150)
            await plant.quiet(150)
            assert await service.stop() == 0

        at_s = [request.at_s for request in plant.sandbox.requests]
        assert len(plant.sandbox.people.rows("Risks")) == ROWS + 1
        assert len(at_s) > BUDGET, "all of it fitted into one minute"
        assert max(sum(start <= other < start + 60 for other in at_s) for start in at_s) <= BUDGET
