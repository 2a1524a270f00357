"""Work that was set aside for one field is tried again when that field is paused, and leaves without it."""

from __future__ import annotations

import pytest

from tests.system.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('paused', 'BAD', '', 'LOW', '', '', now())
"""
PARKED = "select count(*) = %(wanted)s from notion_sync.parked where system_id = 'paused'"
LOOK = "insert into notion_sync.setting values ('schema_due', 'true') on conflict do nothing"


async def test_a_field_that_pauses_has_it_tried_again_without_that_field(scene: Scene) -> None:
    scene.sandbox.faults.script(kind="400", path_pattern="/v1/pages.*", times=None, body_contains="BAD")
    await scene.run(RISK)
    await scene.until_true(PARKED, wanted=1)
    scene.sandbox.faults.clear()

    scene.sandbox.people.remove_property("Risks", "Category")
    await scene.run(LOOK)

    await scene.until(lambda: scene.page("Risks", "paused") is not None)
    await scene.until_true(PARKED, wanted=0)
