"""One way only: whole entities by setting, single records through the mapping, and both ways again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISKS: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select id, 'Old', '', 'LOW', 'Old', '', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
COMPLAINTS: Final = """
insert into "Complaint" (id, "complaintNumber", source, description, "receivedAt", "updatedAt")
select id, id, 'FAMILY', 'Old', '2026-03-06 01:00', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
INCIDENTS: Final = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
select id, 'NEAR_MISS', 'Old', '2026-03-05 21:15:30', 'w', '2026-01-01' from unnest(%(ids)s::text[]) as id
"""
TURNED: Final = """update notion_sync."NotionSyncMapping" set "syncDirection" = %(to)s where "systemId" = %(id)s"""
ALL_SAID: Final = "select not exists (select from notion_sync.explanation where state = 'waiting')"
DETAIL: Final = "select detail from notion_sync.audit_log where system_id = %(id)s and action = %(action)s"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service whose risks go to Notion only, and whose complaints come from there only; pages stand already."""
    async with staged(scene_dsn, NOTION_REVERT_GRACE_SECONDS="0.2") as scene:
        await scene.run(RISKS, ids=["to", "to both"])
        await scene.run(COMPLAINTS, ids=["from", "from both", "invalid", "deleted", "last"])
        await scene.run(INCIDENTS, ids=["i to", "i from", "i both"])
        await scene.settled()
        async with scene.down(
            NOTION_DIRECTION_RISKS="to_notion", NOTION_DIRECTION_COMPLAINTS="from_notion", NOTION_POLL_SECONDS="0.2"
        ):
            pass
        await scene.settled()
        scene.sandbox.clear_requests()
        yield scene


async def row(scene: Scene, table: str, system_id: str) -> dict[str, Any]:
    return next(row for row in await scene.rows(f'select * from "{table}"') if row["id"] == system_id)  # noqa: S608


async def holds(scene: Scene, table: str, column: str, system_id: str, value: str) -> None:
    await scene.until_true(f'select {column} = %(value)s from "{table}" where id = %(id)s', value=value, id=system_id)  # noqa: S608


async def looked(scene: Scene) -> None:
    """Return after two more looks at every database: one of them began after now."""
    before = scene.sandbox.count("POST", ".*/query")
    await scene.until(lambda: scene.sandbox.count("POST", ".*/query") >= before + 14)
    await scene.settled()


async def test_to_notion_every_edit_is_put_back_and_explained(scene: Scene) -> None:
    page = scene.page_id("Risks", "to")

    scene.sandbox.people.edit(page, {"Title": "Notion's"})
    await scene.until_true("select count(*) = 1 from notion_sync.audit_log where action = 'edit.put_back'")
    await scene.run("""update "Risk" set category = 'MapAble''s' where id = 'to'""")
    await scene.settled()
    await scene.until_true(ALL_SAID)

    assert (await row(scene, "Risk", "to"))["title"] == "Old"
    assert scene.shows("Risks", "to", Title="Old", Category="MapAble's")
    (text,) = [each["text"] for each in scene.sandbox.people.comments(page)]
    assert "“Notion's”" in text


async def test_to_notion_what_both_changed_is_mapables(scene: Scene) -> None:
    async with scene.held(("risk", "to both")):
        scene.sandbox.people.edit(scene.page_id("Risks", "to both"), {"Title": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s' where id = 'to both'""")

    assert scene.shows("Risks", "to both", Title="MapAble's")
    assert (await row(scene, "Risk", "to both"))["title"] == "MapAble's"
    assert (await scene.value(DETAIL, id="to both", action="edit.put_back"))["value"] == "Notion's"


async def test_from_notion_edits_arrive_and_nothing_is_sent(scene: Scene) -> None:
    page = scene.page_id("Complaints", "from")

    await scene.run("""update "Complaint" set source = 'WORKER' where id = 'from'""")
    await scene.run(COMPLAINTS, ids=["new"])
    scene.sandbox.people.edit(page, {"Description": "Notion's"})
    await holds(scene, "Complaint", "description", "from", "Notion's")
    await looked(scene)

    assert scene.shows("Complaints", "from", Source="FAMILY", Description="Notion's")
    assert (await row(scene, "Complaint", "from"))["source"] == "WORKER"
    assert scene.page("Complaints", "new") is None
    assert scene.writes(page) == ()


async def test_from_notion_what_both_changed_is_notions(scene: Scene) -> None:
    await scene.run("""update "Complaint" set description = 'MapAble''s' where id = 'from both'""")
    scene.sandbox.people.edit(scene.page_id("Complaints", "from both"), {"Description": "Notion's"})
    await holds(scene, "Complaint", "description", "from both", "Notion's")

    told = await scene.value(DETAIL, id="from both", action="conflict.decided")
    assert (told["mapable"], told["winner"], told["rule"]) == ("MapAble's", "notion", "from_notion")


async def test_from_notion_what_mapable_can_t_take_stays_and_is_on_record(scene: Scene) -> None:
    page = scene.page_id("Complaints", "invalid")

    scene.sandbox.people.edit(page, {"Source": "THE CAT", "System ID": "another", "Complaint Number": "last"})
    await scene.until_true(
        "select exists (select from notion_sync.audit_log where system_id = 'invalid' and action = 'edit.refused')"
    )
    await looked(scene)

    found = await row(scene, "Complaint", "invalid")
    assert (found["source"], found["complaintNumber"]) == ("FAMILY", "invalid")
    shown = scene.sandbox.people.row(page)["properties"]
    assert (shown["Source"], shown["System ID"], shown["Complaint Number"]) == ("THE CAT", "another", "last")
    refused = """
    select array_agg(properties[1] order by properties[1]) from notion_sync.audit_log
    where system_id = 'invalid' and action = 'edit.refused'
    """
    assert await scene.value(refused) == ["complaintNumber", "source", "systemId"]
    assert scene.writes(page) == ()
    assert scene.sandbox.people.comments(page) == []


async def test_from_notion_the_page_of_a_deleted_row_stays(scene: Scene) -> None:
    await scene.run("""delete from "Complaint" where id = 'deleted'""")
    await looked(scene)

    assert scene.page("Complaints", "deleted") is not None


async def test_a_single_record_can_go_its_own_way(scene: Scene) -> None:
    for system_id, direction in (("i to", "to_notion"), ("i from", "from_notion")):
        await scene.run(TURNED, id=system_id, to=direction)
    pages = {each: scene.page_id("Incidents", each) for each in ("i to", "i from", "i both")}

    for system_id, page in pages.items():
        await scene.run("""update "Incident" set status = 'CLOSED' where id = %(id)s""", id=system_id)
        scene.sandbox.people.edit(page, {"Description": "Notion's"})
    await scene.until_true("""select count(*) = 2 from "Incident" where description = 'Notion''s'""")
    await scene.until(lambda: scene.shows("Incidents", "i to", Description="Old"))
    await looked(scene)

    found = {each: (await row(scene, "Incident", each))["description"] for each in pages}
    assert found == {"i to": "Old", "i from": "Notion's", "i both": "Notion's"}
    assert scene.shows("Incidents", "i to", Status="CLOSED", Description="Old")
    assert scene.shows("Incidents", "i from", Status="REPORTED", Description="Notion's")
    assert scene.shows("Incidents", "i both", Status="CLOSED", Description="Notion's")


async def test_both_ways_again_what_waited_goes_on_and_single_records_stay_as_they_were_set(scene: Scene) -> None:
    await scene.run("""update "Complaint" set status = 'CLOSED' where id = 'last'""")
    await looked(scene)
    waited = scene.shows("Complaints", "last", Status="RECEIVED")

    async with scene.down(NOTION_DIRECTION_RISKS="both", NOTION_DIRECTION_COMPLAINTS="both"):
        scene.sandbox.people.edit(scene.page_id("Complaints", "last"), {"Description": "Notion's"})
    await scene.until(lambda: scene.shows("Complaints", "last", Status="CLOSED"))
    await holds(scene, "Complaint", "description", "last", "Notion's")
    await scene.until(lambda: scene.page("Complaints", "new") is not None)
    await scene.settled()

    assert waited
    assert scene.shows("Complaints", "from", Source="WORKER", Description="Notion's")
    assert scene.shows("Complaints", "invalid", Source="FAMILY", System_ID="invalid", Complaint_Number="invalid")
    assert scene.page("Complaints", "deleted") is None
    directions = await scene.value(
        """select jsonb_object_agg("systemId", "syncDirection") from notion_sync."NotionSyncMapping"
           where "entityType" in ('Complaint', 'Incident') and "syncDirection" <> 'both'"""
    )
    assert directions == {"i from": "from_notion", "i to": "to_notion"}
