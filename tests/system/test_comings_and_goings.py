"""Pages that people take away and bring back: what became of each is told apart, and no row ever goes with its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.desk import ADMIN, subscribe
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Old', '', 'LOW', 'Old', '', '2026-01-01')
"""
LINK: Final = """
select "pageState", "unlinkedBecause", "notionPageId" from notion_sync."NotionSyncMapping" where "systemId" = %(id)s
"""
MINE: Final = """
select "pageState" = %(state)s from notion_sync."NotionSyncMapping" where "systemId" = %(id)s
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service that webhooks tell of what happens to pages, with an operator."""
    async with staged(
        scene_dsn, ADMIN_TOKEN=ADMIN, NOTION_CREATE_LOOKUP_SECONDS="0.3", NOTION_REVERT_GRACE_SECONDS="0.1"
    ) as scene:
        await subscribe(scene)
        await scene.unpaced()
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    """Insert a risk and return its page."""
    await scene.run(RISK, id=system_id)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()
    return scene.page_id("Risks", system_id)


async def told(scene: Scene) -> None:
    """Return when all that webhooks had to tell was worked off."""
    await scene.until(scene.sandbox.webhooks.idle)
    await scene.settled()


async def row(scene: Scene, system_id: str) -> dict[str, Any]:
    """Return the row, with the transaction that wrote it last."""
    return next(row for row in await scene.rows('select xmin::text, * from "Risk"') if row["id"] == system_id)


async def link(scene: Scene, system_id: str) -> tuple[Any, ...]:
    """Return the page's state, why it is unlinked, and its id."""
    found = await (await scene.db.execute(LINK.encode(), {"id": system_id})).fetchone()
    assert found is not None
    return tuple(found)


async def ours(scene: Scene, system_id: str, column: str = "category", value: str = "MapAble's") -> None:
    await scene.run(f'update "Risk" set {column} = %(value)s where id = %(id)s', value=value, id=system_id)  # noqa: S608
    await scene.settled()


async def ask_for(scene: Scene, system_id: str) -> None:
    status, _, _ = await scene.call("POST", f"/api/notion/sync/risk?id={system_id}", token=ADMIN)
    assert status == 202
    await scene.settled()


async def unlinked(scene: Scene) -> dict[str, int]:
    """Return what status lists: how many pages are unlinked, by why."""
    _, body, _ = await scene.call("GET", "/api/notion/status", token=ADMIN)
    return {each["reason"]: each["pages"] for each in body["unlinked"] if each["entityType"] == "Risk"}


async def test_a_page_in_the_trash_leaves_its_row_alone_and_is_listed(scene: Scene) -> None:
    page = await risk(scene, "trashed")
    before = await row(scene, "trashed")

    scene.sandbox.people.trash(page)
    await told(scene)

    assert await link(scene, "trashed") == ("unlinked", "trashed_by_person", page)
    assert await row(scene, "trashed") == before
    assert await unlinked(scene) == {"trashed_by_person": 1}
    assert "page.trashed_by_person" in await scene.audited("trashed")


async def test_what_both_sides_did_until_it_was_restored_is_merged(scene: Scene) -> None:
    page = await risk(scene, "restored")
    scene.sandbox.people.trash(page)
    await told(scene)
    scene.sandbox.clear_requests()

    await ours(scene, "restored")
    pushed = scene.writes(page)
    scene.sandbox.people.restore(page)
    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    await told(scene)

    assert pushed == ()
    assert await link(scene, "restored") == ("live", None, page)
    found = await row(scene, "restored")
    assert (found["title"], found["category"]) == ("Notion's", "MapAble's")
    assert scene.shows("Risks", "restored", Title="Notion's", Category="MapAble's")
    assert "page.linked_again" in await scene.audited("restored")


async def test_an_operator_brings_a_page_back_with_what_its_row_became(scene: Scene) -> None:
    page = await risk(scene, "asked for")
    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    scene.sandbox.people.trash(page)
    await told(scene)
    await ours(scene, "asked for")

    await ask_for(scene, "asked for")

    assert await link(scene, "asked for") == ("live", None, page)
    found = await row(scene, "asked for")
    assert (found["title"], found["category"]) == ("Notion's", "MapAble's")
    assert scene.shows("Risks", "asked for", Title="Notion's", Category="MapAble's")
    assert await scene.audited("asked for") >= {"sync.requested", "page.restored"}


@pytest.mark.parametrize("to", ["Complaints", None], ids=["to another database", "out of all databases"])
async def test_a_page_that_was_moved_is_left_where_it_is_until_it_is_back(scene: Scene, to: str | None) -> None:
    system_id = f"moved to {to}"
    page = await risk(scene, system_id)
    before = await row(scene, system_id)

    scene.sandbox.people.move(page, to)
    await told(scene)
    gone = await link(scene, system_id), await row(scene, system_id)
    scene.sandbox.clear_requests()
    await ours(scene, system_id)
    pushed = scene.writes(page)
    scene.sandbox.people.move(page, "Risks")
    await told(scene)

    assert gone == (("unlinked", "moved", page), before)
    assert pushed == ()
    assert (await link(scene, system_id))[:2] == ("live", None)
    assert scene.shows("Risks", system_id, Title="Old", Category="MapAble's")


async def test_a_move_that_nobody_told_of_is_found_out_by_the_next_write(scene: Scene) -> None:
    await scene.participant("somebody")
    page = await risk(scene, "moved unseen")
    with_webhooks = scene.sandbox.switches.webhook_loss
    scene.sandbox.switches.update({"webhook_loss": 1})
    scene.sandbox.people.move(page, "Complaints")
    await scene.until(scene.sandbox.webhooks.idle)
    scene.sandbox.switches.update({"webhook_loss": with_webhooks})

    # the participant is MapAble's alone: for a change of that nobody has to look at the page before
    await ours(scene, "moved unseen", '"participantId"', "somebody")

    assert await link(scene, "moved unseen") == ("unlinked", "moved", page)
    assert await scene.value("select count(*) from notion_sync.parked") == 0


async def test_a_page_that_is_not_shared_any_more_is_gone_until_it_is_shared_again(scene: Scene) -> None:
    page = await risk(scene, "unshared")
    before = await row(scene, "unshared")

    scene.sandbox.people.unshare(page)
    await scene.look("risk", "unshared")
    gone = await link(scene, "unshared"), await row(scene, "unshared")
    await ours(scene, "unshared")
    scene.sandbox.people.share(page)
    await scene.look("risk", "unshared")

    assert gone == (("unlinked", "gone", page), before)
    assert await link(scene, "unshared") == ("live", None, page)
    assert scene.shows("Risks", "unshared", Category="MapAble's")


async def test_an_archived_page_is_kept_up_to_date_where_it_is(scene: Scene) -> None:
    page = await risk(scene, "archived")

    scene.sandbox.people.archive(page)
    await scene.look("risk", "archived")
    await ours(scene, "archived")

    assert await link(scene, "archived") == ("live", None, page)
    assert scene.sandbox.people.row(page)["properties"]["Category"] == "MapAble's"
    assert scene.sandbox.people.page(page)["is_archived"]
    assert await scene.audited("archived") == {"page.created", "page.updated"}


async def test_a_purged_page_is_made_anew_once_and_only_when_asked_for(scene: Scene) -> None:
    page = await risk(scene, "purged")
    before = await row(scene, "purged")
    scene.sandbox.people.purge(page)
    await scene.look("risk", "purged")
    gone = await link(scene, "purged"), await row(scene, "purged")
    await ours(scene, "purged")
    missing = scene.page("Risks", "purged")

    await ask_for(scene, "purged")
    await ask_for(scene, "purged")

    assert gone == (("unlinked", "gone", page), before)
    assert missing is None
    new = scene.page_id("Risks", "purged")
    assert await link(scene, "purged") == ("live", None, new)
    assert new != page
    assert scene.shows("Risks", "purged", Category="MapAble's")
    assert "page.given_up" in await scene.audited("purged")


async def test_a_copy_s_edits_and_its_end_are_nothing_to_the_row(scene: Scene) -> None:
    page = await risk(scene, "copied")
    before = await row(scene, "copied")

    copy = scene.sandbox.people.duplicate(page)
    scene.sandbox.people.edit(copy, {"Title": "The copy's"})
    await told(scene)
    scene.sandbox.people.trash(copy)
    await told(scene)

    assert await row(scene, "copied") == before
    assert await link(scene, "copied") == ("live", None, page)
    assert await scene.value("select count(*) from notion_sync.audit_log where action = 'page.copied'") == 1
    scene.sandbox.people.edit(page, {"Title": "The original's"})
    await told(scene)
    assert (await row(scene, "copied"))["title"] == "The original's"


async def test_the_page_of_a_deleted_row_that_a_person_restores_is_theirs_until_the_row_is_back(scene: Scene) -> None:
    page = await risk(scene, "deleted")
    await scene.run("""delete from "Risk" where id = 'deleted'""")
    await scene.until_true(MINE, id="deleted", state="trashed")

    scene.sandbox.people.restore(page)
    scene.sandbox.people.edit(page, {"Title": "Kept"})
    await told(scene)
    restored = scene.page("Risks", "deleted")
    rows = await scene.value("""select count(*) from "Risk" where id = 'deleted'""")
    audited = await scene.audited("deleted")
    again = await risk(scene, "deleted")

    assert restored is not None
    assert (rows, restored["properties"]["Title"]) == (0, "Kept")
    assert "page.back_without_row" in audited
    assert again == page
    assert await link(scene, "deleted") == ("live", None, page)


async def test_a_row_that_is_deleted_while_its_page_is_away_leaves_ids_only(scene: Scene) -> None:
    page = await risk(scene, "both gone")
    scene.sandbox.people.trash(page)
    await told(scene)

    await scene.run("""delete from "Risk" where id = 'both gone'""")
    await scene.settled()
    kept = await scene.value("""select base from notion_sync."NotionSyncMapping" where "systemId" = 'both gone'""")
    away = await link(scene, "both gone")
    scene.sandbox.people.restore(page)
    await told(scene)

    # a tombstone already where the page was read once more after its row had gone
    assert away in {("unlinked", "trashed_by_person", page), ("trashed", None, page)}
    assert kept == {}
    assert (await link(scene, "both gone"))[0] == "trashed"
    assert scene.page("Risks", "both gone") is not None
    assert await scene.audited("both gone") >= {"row.gone", "page.back_without_row"}
