"""Work that was set aside is tried again when something changes, when its cause heals, and after a day."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.system.invoked import invoke
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, %(title)s, '', 'LOW', '', '', now())
"""
PARKED = "select count(*) = %(wanted)s from notion_sync.parked where system_id = %(id)s"
LOOK = "insert into notion_sync.setting values ('schema_due', 'true') on conflict do nothing"
LONG_AGO = "update notion_sync.parked set parked_at = parked_at - interval '25 hours' where system_id = %(id)s"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service that looks for edits all the time, before a Notion that refuses whatever holds BAD."""
    async with staged(scene_dsn, NOTION_POLL_SECONDS="0.2") as scene:
        yield scene


@pytest.fixture(autouse=True)
def a_notion_that_refuses_what_is_bad(scene: Scene) -> None:
    scene.sandbox.faults.clear()
    scene.sandbox.faults.script(kind="400", path_pattern="/v1/pages.*", times=None, body_contains="BAD")


async def parked(scene: Scene, system_id: str) -> None:
    """Make a risk that Notion refuses, and wait until it is set aside."""
    await scene.run(RISK, id=system_id, title="BAD")
    await scene.until_true(PARKED, id=system_id, wanted=1)


def mended(scene: Scene) -> None:
    """Notion takes everything."""
    scene.sandbox.faults.clear()
    scene.sandbox.clear_requests()


async def arrives(scene: Scene, system_id: str) -> None:
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.until_true(PARKED, id=system_id, wanted=0)


async def test_one_bad_record_holds_up_no_other(scene: Scene) -> None:
    await scene.run(*(RISK.replace("%(id)s", f"'many-{n}'") for n in range(10)), id="", title="good")
    await scene.run(RISK, id="bad one", title="BAD")
    await scene.run(*(RISK.replace("%(id)s", f"'more-{n}'") for n in range(10)), id="", title="good")

    await scene.settled()

    titles = [row["properties"]["Title"] for row in scene.sandbox.people.rows("Risks")]
    assert titles.count("good") == 20
    assert await scene.value(PARKED, id="bad one", wanted=1)


@pytest.mark.parametrize(
    ("limit", "none", "reason"),
    [({"out_of_blocks": True}, {"out_of_blocks": False}, "notion_block_limit"),
     ({"row_limit": 0}, {"row_limit": 250_000}, "notion_row_limit_exceeded")],
    ids=["blocks", "rows"],
)  # fmt: skip
async def test_a_limit_on_new_pages_sets_those_aside_and_holds_up_no_page_there_is(
    scene: Scene, limit: dict[str, object], none: dict[str, object], reason: str
) -> None:
    await scene.run(RISK, id=f"stands {reason}", title="good")
    await scene.until(lambda: scene.page("Risks", f"stands {reason}") is not None)
    scene.sandbox.switches.update(limit)

    await scene.run(RISK, id=f"new {reason}", title="good")
    await scene.until_true(PARKED, id=f"new {reason}", wanted=1)
    await scene.run("""update "Risk" set title = 'better' where id = %(id)s""", id=f"stands {reason}")
    await scene.until(lambda: scene.shows("Risks", f"stands {reason}", Title="better"))
    _, told = await scene.get("/readyz")
    scene.sandbox.switches.update(none)
    await invoke(scene.env, "parked", "retry", f"new {reason}")

    await arrives(scene, f"new {reason}")
    assert "degraded" not in told
    assert "paused" not in told


async def test_a_change_of_the_row_has_it_tried_again(scene: Scene) -> None:
    await parked(scene, "row")

    await scene.run("""update "Risk" set title = 'good' where id = 'row'""")

    await arrives(scene, "row")


async def test_an_edit_of_the_page_has_it_tried_again(scene: Scene) -> None:
    await scene.run(RISK, id="page", title="good")
    await scene.until(lambda: scene.page("Risks", "page") is not None)
    await scene.run("""update "Risk" set title = 'BAD' where id = 'page'""")
    await scene.until_true(PARKED, id="page", wanted=1)
    mended(scene)

    scene.sandbox.people.edit(scene.page_id("Risks", "page"), {"Category": "edited"})

    await scene.until(lambda: scene.shows("Risks", "page", Title="BAD"))
    await scene.until_true(PARKED, id="page", wanted=0)
    assert await scene.value("""select category from "Risk" where id = 'page'""") == "edited"


async def test_what_is_mended_is_tried_again_after_a_day_and_not_before(scene: Scene) -> None:
    await parked(scene, "young")
    await parked(scene, "old")
    mended(scene)

    await scene.run(LONG_AGO, id="old")

    await arrives(scene, "old")
    assert scene.page("Risks", "young") is None
    assert await scene.value(PARKED, id="young", wanted=1)


async def test_what_is_not_mended_is_set_aside_for_another_day(scene: Scene) -> None:
    await parked(scene, "still bad")

    await scene.run(LONG_AGO, id="still bad")

    await scene.until_true(
        "select parked_at > now() - interval '1 hour' from notion_sync.parked where system_id = 'still bad'"
    )
    assert await scene.value("select attempts from notion_sync.parked where system_id = 'still bad'") == 1


async def test_a_database_that_is_shared_again_has_it_tried_again(scene: Scene) -> None:
    await parked(scene, "unshared")
    scene.sandbox.people.unshare("Risks")
    await scene.run(RISK, id="meanwhile", title="good")
    await scene.until_true("select unavailable is not null from notion_sync.data_source where entity = 'risk'")
    mended(scene)

    scene.sandbox.people.share("Risks")
    await scene.run(LOOK)

    await scene.until(lambda: scene.page("Risks", "unshared") is not None, 40)
    await arrives(scene, "meanwhile")


async def test_a_schema_that_is_put_right_has_it_tried_again(scene: Scene) -> None:
    await parked(scene, "schema")
    scene.sandbox.people.remove_property("Risks", "Category")
    await scene.run(LOOK)
    await scene.service.event("field.paused")
    mended(scene)

    ended = await invoke(scene.env, "setup")

    assert ended.code == 0, ended.err
    await scene.until(lambda: scene.page("Risks", "schema") is not None, 40)
    await scene.until_true(PARKED, id="schema", wanted=0)
