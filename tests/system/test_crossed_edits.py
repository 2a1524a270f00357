"""Edits that a write of ours crosses: Notion has no precondition, so what can't be prevented is found and told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.sandbox.faults import Fault
from tests.system.desk import subscribe
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISKS: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select id, 'Old', '', 'LOW', 'Old', '', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
OURS: Final = """update "Risk" set title = %(title)s where id = any (%(ids)s)"""
LOST: Final = """
select detail, actor, at from notion_sync.audit_log where system_id = %(id)s and action = 'edit.possibly_lost'
"""
WRITTEN: Final = """
select count(*) from notion_sync.audit_log where system_id = %(id)s and action = 'row.updated'
"""
ALL_SAID: Final = "select not exists (select from notion_sync.explanation where state = 'waiting')"
SLOW_S: Final = 0.4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service that webhooks tell of edits, and that does not look for any."""
    async with staged(scene_dsn) as scene:
        await subscribe(scene)
        await scene.unpaced()
        yield scene


async def risks(scene: Scene, *system_ids: str) -> list[str]:
    await scene.run(RISKS, ids=list(system_ids))
    await scene.settled()
    return [scene.page_id("Risks", system_id) for system_id in system_ids]


async def row(scene: Scene, system_id: str) -> dict[str, Any]:
    return next(row for row in await scene.rows('select * from "Risk"') if row["id"] == system_id)


async def told(scene: Scene) -> None:
    """Return when all that webhooks had to tell was worked off."""
    await scene.until(scene.sandbox.webhooks.idle)
    await scene.settled()


def slow(scene: Scene, method: str, when: str, page: str) -> Fault:
    return scene.sandbox.faults.script(
        kind="slow", when=when, method=method, path_pattern=f"/v1/pages/{page}", delay_s=SLOW_S
    )


@contextmanager
def unheard(scene: Scene) -> Iterator[None]:
    """Let no webhook tell of anything."""
    scene.sandbox.switches.update({"webhook_loss": 1})
    try:
        yield
    finally:
        scene.sandbox.switches.update({"webhook_loss": 0})


async def lost(scene: Scene, system_id: str) -> list[tuple[Any, ...]]:
    return await (await scene.db.execute(LOST.encode(), {"id": system_id})).fetchall()


@pytest.mark.parametrize("together_s", [0, 1.0], ids=["told one by one", "told together"])
@pytest.mark.parametrize(
    ("method", "when"), [("GET", "after"), ("PATCH", "before")], ids=["after it was read", "before it was written"]
)
async def test_an_edit_that_our_write_overwrites_is_recorded_and_told(
    scene: Scene, method: str, when: str, together_s: float
) -> None:
    system_id = f"{method} {together_s}"
    (page,) = await risks(scene, system_id)
    mei = scene.sandbox.state.person("Mei Chen")["id"]
    scene.sandbox.switches.update({"webhook_aggregation_s": together_s})
    fault = slow(scene, method, when, page)

    await scene.run(OURS, title="MapAble's", ids=[system_id])
    await scene.until(lambda: fault.applied == 1)
    scene.sandbox.people.edit(page, {"Title": "Notion's"}, person="Mei Chen")
    await scene.until(lambda: scene.shows("Risks", system_id, Title="MapAble's"))
    await told(scene)
    await scene.until_true(ALL_SAID)

    ((detail, actor, at),) = await lost(scene, system_id)
    assert (detail["mapable"], detail["lastSeen"], detail["by"]) == ("MapAble's", "Old", mei)
    assert actor == mei
    assert detail["at"] < at.isoformat()
    assert await scene.value("select count(*) from notion_sync.inbox where event_id = %(id)s", id=detail["event"]) == 1
    (text,) = [comment["text"] for comment in scene.sandbox.people.comments(page)]
    assert "that edit may be lost" in text
    assert "“MapAble's”" in text
    assert "“Old”" in text
    assert (await row(scene, system_id))["title"] == "MapAble's"


async def test_in_a_burst_it_is_found_as_well(scene: Scene) -> None:
    ids = [f"burst {number}" for number in range(6)]
    pages = await risks(scene, *ids)
    scene.sandbox.switches.update({"webhook_aggregation_s": 0})
    fault = slow(scene, "PATCH", "before", pages[3])
    scene.sandbox.clear_requests()

    await scene.run(OURS, title="MapAble's", ids=ids)
    await scene.until(lambda: fault.applied == 1)
    scene.sandbox.people.edit(pages[3], {"Title": "Notion's"})
    reads = [request for request in scene.sandbox.requests if request.method == "GET" and "/pages/" in request.path]
    await scene.until(lambda: all(scene.shows("Risks", each, Title="MapAble's") for each in ids))
    await told(scene)

    assert reads == []
    assert [len(await lost(scene, each)) for each in ids] == [0, 0, 0, 1, 0, 0]


async def test_an_edit_since_the_look_that_somebody_else_had_is_found_as_well(mapable_dsn: str) -> None:
    ids = [f"since {number}" for number in range(4)]
    # of its own: nobody has looked lately
    async with staged(mapable_dsn) as scene:
        await subscribe(scene)
        await scene.unpaced()
        pages = await risks(scene, *ids)
        scene.sandbox.switches.update({"webhook_aggregation_s": 0, "webhook_delay_s": 2.0})
        scene.sandbox.clear_requests()

        await scene.run(OURS, title="MapAble's", ids=ids[:3])
        await scene.until(lambda: scene.sandbox.count("PATCH", "/v1/pages/.*") > 0)
        scene.sandbox.people.edit(pages[3], {"Title": "Notion's"})
        await scene.run(OURS, title="MapAble's", ids=ids[3:])
        await scene.until(lambda: all(scene.shows("Risks", each, Title="MapAble's") for each in ids))
        await told(scene)

        # whoever is too slow for the shared look reads the page, and meets the edit there
        assert await scene.audited("since 3") & {"edit.possibly_lost", "conflict.decided"}


async def test_a_burst_takes_nothing_from_a_query_that_shows_a_page_as_it_was(scene: Scene) -> None:
    ids = [f"lagging {number}" for number in range(6)]
    pages = await risks(scene, *ids)
    scene.sandbox.switches.update({"webhook_aggregation_s": 0, "query_lag_s": 3600})
    try:
        scene.sandbox.people.edit(pages[3], {"Category": "Notion's"})
        await scene.until_true("""select category = 'Notion''s' from "Risk" where id = 'lagging 3'""")
        await told(scene)
        scene.sandbox.clear_requests()

        await scene.run(OURS, title="MapAble's", ids=ids)
        await scene.until(lambda: all(scene.shows("Risks", each, Title="MapAble's") for each in ids))
        await told(scene)
    finally:
        scene.sandbox.switches.update({"query_lag_s": 0})

    queries = scene.sandbox.count("POST", "/v1/data_sources/.*/query")
    assert queries >= 1
    # not even for a moment: the row was written once
    assert await scene.value(WRITTEN, id="lagging 3") == 1
    assert (await row(scene, "lagging 3"))["category"] == "Notion's"
    assert scene.shows("Risks", "lagging 3", Category="Notion's")


async def test_another_field_that_was_edited_meanwhile_is_picked_up_from_the_answer(scene: Scene) -> None:
    (page,) = await risks(scene, "answer")
    fault = slow(scene, "PATCH", "before", page)

    with unheard(scene):
        await scene.run(OURS, title="MapAble's", ids=["answer"])
        await scene.until(lambda: fault.applied == 1)
        scene.sandbox.people.edit(page, {"Category": "Notion's"})
        await scene.until_true("""select category = 'Notion''s' from "Risk" where id = 'answer'""")
        await scene.settled()

    assert scene.shows("Risks", "answer", Title="MapAble's", Category="Notion's")
    assert await lost(scene, "answer") == []


async def test_an_edit_after_our_write_is_an_edit_like_any_other(scene: Scene) -> None:
    (page,) = await risks(scene, "after")
    await scene.run(OURS, title="MapAble's", ids=["after"])
    await told(scene)

    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    await told(scene)

    assert (await row(scene, "after"))["title"] == "Notion's"
    assert await lost(scene, "after") == []


@pytest.mark.parametrize("once_more", [False, True], ids=["as it was", "and changed once more"])
async def test_a_write_whose_answer_was_lost_is_nobodys_edit(scene: Scene, once_more: bool) -> None:
    system_id = f"unanswered {once_more}"
    (page,) = await risks(scene, system_id)
    fault = scene.sandbox.faults.script(
        kind="reset", when="after", method="PATCH", path_pattern=f"/v1/pages/{page}"
    )

    await scene.run(OURS, title="MapAble's", ids=[system_id])
    await scene.until(lambda: fault.applied == 1)
    title = "MapAble's next" if once_more else "MapAble's"
    await scene.run(OURS, title=title, ids=[system_id])
    await told(scene)

    assert (await row(scene, system_id))["title"] == title
    assert scene.shows("Risks", system_id, Title=title)
    assert await scene.audited(system_id) <= {"page.created", "page.updated"}
