"""A dispute from beginning to end: frozen on both sides, decided, carried out; or over for another reason."""

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


async def decide(scene: Scene, conflict: dict[str, Any], decision: dict[str, str]) -> tuple[int, dict[str, Any]]:
    status, body, _ = await scene.call(
        "POST", f"{CONFLICTS}/{conflict['id']}/resolve", token=ADMIN, json={**decision, "version": conflict["version"]}
    )
    return status, body


async def test_a_disputed_field_stays_as_it_is_on_both_sides_and_the_rest_goes_on(scene: Scene) -> None:
    await opened(scene, "frozen")

    await scene.run(
        """update "Complaint" set description = 'Later still', "complaintNumber" = 'F' where id = 'frozen'"""
    )
    await scene.settled()

    assert scene.shows("Complaints", "frozen", Complaint_Number="frozen, Notion's", Description="Later still")
    (conflict,) = await conflicts(scene, "frozen")
    assert (conflict["mapable"], conflict["notion"], conflict["version"]) == ("F", "frozen, Notion's", 2)


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ({"choice": "mapable"}, "{}, MapAble's"), ({"choice": "notion"}, "{}, Notion's"),
        ({"choice": "value", "value": "neither"}, "neither"),
    ],
    ids=["mapable", "notion", "neither"],
)
async def test_what_a_person_chooses_is_what_both_sides_hold(
    scene: Scene, decision: dict[str, str], expected: str
) -> None:
    system_id = f"choice {decision['choice']}"
    conflict = await opened(scene, system_id)

    status, _ = await decide(scene, conflict, decision)
    await scene.settled()

    number = await scene.value("""select "complaintNumber" from "Complaint" where id = %(id)s""", id=system_id)
    assert (status, number) == (200, expected.format(system_id))
    # what went to the row goes to the page as any change of a row does
    await scene.until(lambda: scene.shows("Complaints", system_id, Complaint_Number=number))
    await scene.settled()
    assert await conflicts(scene, system_id) == []


async def test_a_choice_that_the_database_refuses_overwrites_nothing_and_is_a_persons_again(scene: Scene) -> None:
    await complaint(scene, "taken")
    conflict = await opened(scene, "wanted")

    status, _ = await decide(scene, conflict, {"choice": "value", "value": "taken"})
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
