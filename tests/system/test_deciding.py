"""What becomes of a decision that can't be carried out, and of a conflict whose record goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.desk import ADMIN
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFLICTS: Final = "/api/notion/conflicts"
COMPLAINT: Final = """
insert into "Complaint" (id, "complaintNumber", source, description, "receivedAt", "updatedAt")
values (%(id)s, %(id)s, 'FAMILY', 'Late', '2026-03-06 01:00', '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(
        scene_dsn, NOTION_CONFLICT_STRATEGY="manual-review", NOTION_REVERT_GRACE_SECONDS="0.2", ADMIN_TOKEN=ADMIN
    ) as scene:
        yield scene


async def complaint(scene: Scene, system_id: str) -> str:
    await scene.run(COMPLAINT, id=system_id)
    await scene.until(lambda: scene.page("Complaints", system_id) is not None)
    await scene.settled()
    return scene.page_id("Complaints", system_id)


async def opened(scene: Scene, system_id: str) -> dict[str, Any]:
    """Let both sides change the number, and return the conflict."""
    page = await complaint(scene, system_id)
    scene.sandbox.people.edit(page, {"Complaint Number": f"{system_id}, Notion's"})
    await scene.run(
        """update "Complaint" set "complaintNumber" = id || ', MapAble''s' where id = %(id)s""", id=system_id
    )
    await scene.settled()
    (conflict,) = await conflicts(scene, system_id)
    return conflict


async def conflicts(scene: Scene, system_id: str) -> list[dict[str, Any]]:
    _, body, _ = await scene.call("GET", CONFLICTS, token=ADMIN)
    return [conflict for conflict in body["conflicts"] if conflict["systemId"] == system_id]


async def test_a_choice_that_the_database_refuses_overwrites_nothing_and_is_a_persons_again(scene: Scene) -> None:
    await complaint(scene, "taken")
    conflict = await opened(scene, "wanted")

    status, _, _ = await scene.call(
        "POST", f"{CONFLICTS}/{conflict['id']}/resolve", token=ADMIN,
        json={"choice": "value", "value": "taken", "version": conflict["version"]},
    )
    await scene.settled()

    assert status == 200
    assert scene.shows("Complaints", "wanted", Complaint_Number="wanted, Notion's")
    assert [found["status"] for found in await conflicts(scene, "wanted")] == ["open"]
    number = await scene.value("""select "complaintNumber" from "Complaint" where id = 'wanted'""")
    assert number == "wanted, MapAble's"


async def test_nobody_has_to_decide_about_a_record_that_is_gone(scene: Scene) -> None:
    await opened(scene, "gone")

    await scene.run("""delete from "Complaint" where id = 'gone'""")
    await scene.settled()

    assert scene.page("Complaints", "gone") is None
    assert await conflicts(scene, "gone") == []
    assert await scene.value(
        """select "conflictState" from notion_sync."NotionSyncMapping" where "systemId" = 'gone'"""
    ) == "resolved"
