"""The dashboard's forms do what the endpoints do, for what the page showed, and say what came of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.conftest import copied
from tests.system.desk import ADMIN
from tests.system.pending import HELD, PARKED, actions, conflict, opened, risk
from tests.system.scene import Scene, staged
from tests.system.visitor import Visitor, visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

STILL_HELD: Final = "select count(*) from notion_sync.deletion where state = 'held'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service under manual review with an operator."""
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN, NOTION_CONFLICT_STRATEGY="manual-review") as scene:
        await scene.unpaced()
        await scene.participant("ana", "Ana")
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def operator(scene: Scene) -> AsyncIterator[Visitor]:
    async with visiting(scene) as visitor:
        yield visitor


async def test_a_choice_goes_to_both_sides(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "chosen", "Old")
    async with scene.held(("risk", "chosen")):
        scene.sandbox.people.edit(scene.page_id("Risks", "chosen"), {"Title": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s' where id = 'chosen'""")
    found = await conflict(scene, "chosen")

    page = await operator.get("/conflicts")
    seen = await operator.sent(f"/conflicts/{found['id']}/resolve", version=str(found["version"]), choice="notion")

    assert "MapAble's" in page.text
    assert "Notion's" in page.text
    assert "Noted" in seen.text
    await scene.settled()
    assert await scene.value("""select title from "Risk" where id = 'chosen'""") == "Notion's"
    assert (await conflict(scene, "chosen"))["status"] == "resolved"
    assert ("conflict.decided", "operator") in await actions(scene, "chosen")


async def test_another_value_is_taken_as_it_was_typed(scene: Scene, operator: Visitor) -> None:
    conflict_id = await opened(scene, "typed", field="title")

    await operator.get("/conflicts")
    seen = await operator.post(
        f"/conflicts/{conflict_id}/resolve", version="1", choice="value", value="two\r\nlines & more"
    )

    assert seen.status == 303
    assert (await conflict(scene, "typed"))["value"] == "two\nlines & more"


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"version": "7", "choice": "mapable"}, 409, "look at it again"),
        ({"version": "1", "choice": "both"}, 400, "choice is one of"),
        ({"version": "1", "choice": "value", "value": ""}, 400, "can't be empty"),
        ({"version": "", "choice": "mapable"}, 400, "a number is expected"),
        ({"version": "9" * 30, "choice": "mapable"}, 400, "a number is expected"),
        ({"choice": "mapable"}, 400, "a number is expected"),
    ],
)
async def test_a_choice_that_can_t_be_followed_says_why(
    scene: Scene, operator: Visitor, fields: dict[str, str], status: int, said: str
) -> None:
    conflict_id = await opened(scene, f"refused {sorted(fields.items())}")

    seen = await operator.post(f"/conflicts/{conflict_id}/resolve", **fields)

    assert seen.status == status
    assert said in seen.text
    assert await scene.value("select status from notion_sync.conflict where id = %(id)s", id=conflict_id) == "open"


async def test_a_choice_that_is_declined_is_told_at_the_conflicts(scene: Scene, operator: Visitor) -> None:
    conflict_id = await opened(scene, "declined")

    seen = await operator.post(f"/conflicts/{conflict_id}/resolve", version="7", choice="mapable")

    assert seen.status == 409
    assert '<a href="/conflicts" aria-current="page">' in seen.html


async def test_parked_work_is_tried_again_or_dropped(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "again", "Title")
    await scene.run(PARKED, id="again", message="why it was parked")
    await scene.run(PARKED, id="dropped", message="")

    page = await operator.get("/parked")
    retried = await operator.sent("/parked/retry", entity="risk", id="again")
    dropped = await operator.sent("/parked/drop", entity="risk", id="dropped")

    assert "why it was parked" in page.text
    assert "1 record will be tried again" in retried.text
    assert "1 record dropped" in dropped.text
    assert ("work.retried", "operator") in await actions(scene, "again")
    assert ("work.dropped", "operator") in await actions(scene, "dropped")


async def test_held_deletes_are_approved_or_rejected(scene: Scene, operator: Visitor) -> None:
    await scene.run(HELD, id="approved")
    await scene.run(HELD, id="rejected")

    await operator.get("/deletes")
    approved = await operator.sent("/deletes/approve", entity="risk", id="approved")
    rejected = await operator.sent("/deletes/reject", entity="risk", id="rejected")

    assert "1 page follows its row" in approved.text
    assert "1 page stays" in rejected.text
    assert ("delete.approved", "operator") in await actions(scene, "approved")
    assert ("delete.rejected", "operator") in await actions(scene, "rejected")


@pytest.mark.parametrize("path", ["/deletes/approve", "/deletes/reject"])
async def test_all_deletes_are_those_that_were_seen(scene: Scene, operator: Visitor, path: str) -> None:
    await scene.run(HELD, id=f"seen {path}")
    seen = re.search(r'name="seen" value="(\d+)"', (await operator.get("/deletes")).html)
    assert seen is not None
    await scene.run(HELD, id=f"unseen {path}")

    moved = await operator.post(path, all="true", seen=seen[1])
    untold = await operator.post(path, all="true")
    held = await scene.value(STILL_HELD)
    again = await operator.sent(path, all="true", seen=str(held))

    assert (moved.status, untold.status) == (409, 400)
    assert f"about {seen[1]} page" in moved.text
    assert f"is about {held} now" in moved.text
    assert f"unseen {path}" in moved.text
    assert '<a href="/deletes" aria-current="page">' in moved.html
    assert held == int(seen[1]) + 1
    assert f"{held} pages" in again.text
    assert await scene.value(STILL_HELD) == 0


async def test_what_a_delete_took_along_is_said_and_decided_with_it(scene: Scene, operator: Visitor) -> None:
    await scene.run(HELD, id="parent")
    await scene.run(HELD, id="child")
    await scene.run("update notion_sync.deletion set group_id = 'parent' where system_id = 'child'")

    page = await operator.get("/deletes")
    fewer = await operator.post("/deletes/approve", entity="risk", id="parent", seen="1")
    both = await operator.sent("/deletes/approve", entity="risk", id="parent", seen="2")

    assert page.text.count("2 pages: its own, with what its delete took along") == 1
    assert fewer.status == 409
    assert "2 pages follow their rows" in both.text
    assert await scene.value(STILL_HELD) == 0


@pytest.mark.parametrize("path", ["/parked/retry", "/parked/drop", "/deletes/approve", "/deletes/reject"])
@pytest.mark.parametrize("fields", [{}, {"entity": "risk"}, {"id": "x"}, {"all": "yes"}])
async def test_a_form_that_names_nothing_does_nothing(
    scene: Scene, operator: Visitor, path: str, fields: dict[str, str]
) -> None:
    seen = await operator.post(path, **fields)

    assert seen.status == 400
    assert "names no record" in seen.text


async def test_orders_are_counted_with_those_of_the_endpoints(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN, SYNC_REQUESTS_PER_MINUTE="2") as scene:
            await risk(scene, "limited", "Title", participant=None)
            status, _, _ = await scene.call("POST", "/api/notion/sync/risk?id=limited", token=ADMIN)
            async with visiting(scene) as operator:
                await operator.get("/record?entity=risk&id=limited")
                seen = [await operator.post("/record/sync", entity="risk", id="limited") for _ in range(2)]

            assert (status, [each.status for each in seen]) == (202, [303, 429])
            assert 0 < int(seen[1].headers["Retry-After"]) <= 60
