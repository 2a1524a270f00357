"""`explain` and `parked`: why a record is as it is and what happens next, and work that was set aside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.invoked import Said, invoke
from tests.system.scene import PARTICIPANT, Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAN: Final = """
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt")
values (%(id)s, %(owner)s, %(id)s, '2026-03-02 20:00', '2027-03-02 20:00', 1234.5, 0, now())
"""
COMPLAINT: Final = """
insert into "Complaint" (id, "complaintNumber", source, description, "receivedAt", "updatedAt")
values ('kept out', 'C-1', 'FAMILY', 'Late', '2026-03-06 01:00', '2026-01-01')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service that decides no clash by itself, and puts nothing back while a test looks."""
    async with staged(
        scene_dsn, NOTION_CONFLICT_STRATEGY="manual-review", NOTION_REVERT_GRACE_SECONDS="600",
        NOTION_POLL_SECONDS="0", NOTION_SYNC_RISKS="true", NOTION_CREATE_LOOKUP_SECONDS="1",
    ) as scene:
        yield scene


async def types(scene: Scene, *arguments: str, **settings: str) -> Said:
    return await invoke({**scene.env, "LOG_LEVEL": "error", **settings}, *arguments)


async def told(scene: Scene, entity: str, system_id: str, *options: str, **settings: str) -> dict[str, Any]:
    said = await types(scene, "explain", entity, system_id, "--json", *options, **settings)
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    found["by_field"] = {each["field"]: each for each in found["fields"]}
    return found


async def test_a_record_in_sync_is_told_with_its_values_as_people_write_them(scene: Scene) -> None:
    await scene.participant("owner", "Ann")
    await scene.run(PLAN.replace("%(id)s", "'synced'").replace("%(owner)s", "'owner'"))
    await scene.settled()

    said = await types(scene, "explain", "ndisplan", "synced", COLUMNS="240")
    found = await told(scene, "ndisplan", "synced")

    assert said.code == 0, said.err
    for shown in ("$1,234.50", "$0.00", "3 March 2026", "“synced”", "next: Nothing: both sides are as agreed."):
        assert shown in said.out
    assert {each["state"] for each in found["fields"]} == {"equal"}
    assert found["by_field"]["totalBudget"]["mapable"] == found["by_field"]["totalBudget"]["notion"] == "1234.50"
    assert found["notionBy"] == "this sync"
    assert found["lately"][0]["action"] == "page.created"


async def test_it_costs_one_request_and_none_offline_and_leaves_nothing_behind(scene: Scene) -> None:
    await scene.participant("cheap")
    await scene.settled()
    scene.sandbox.clear_requests()

    offline = await told(scene, "participant", "cheap", "--offline")
    none = len(scene.sandbox.requests)
    await told(scene, "participant", "cheap")

    assert none == 0
    assert [(request.method, request.object_id) for request in scene.sandbox.requests] == [("GET", offline["pageId"])]
    assert {each["state"] for each in offline["fields"]} == {"as agreed"}
    assert not any("cheap" in line for line in scene.service.lines)


async def test_edits_on_one_side_say_where_they_will_go(scene: Scene) -> None:
    await scene.participant("edited", "Before")
    await scene.settled()
    page = scene.page_id("Participants", "edited")

    scene.sandbox.people.edit(page, {"Name": "After", "Email": "new@example.org"})
    found = await told(scene, "participant", "edited")

    name, email = found["by_field"]["name"], found["by_field"]["email"]
    assert (name["mapable"], name["notion"], name["state"]) == ("Before", "After", "differs")
    assert name["why"] == "the page's value goes to MapAble"
    assert (email["notion"], email["state"]) == ("new@example.org", "refused")
    assert "Email" in email["why"]
    assert found["notionBy"] not in (None, "this sync")
    assert "Name, Email are brought in line" in found["next"]


async def test_a_frozen_field_names_its_conflict(scene: Scene) -> None:
    await scene.participant("frozen", "Before")
    await scene.settled()
    page = scene.page_id("Participants", "frozen")
    scene.sandbox.people.edit(page, {"Name": "In Notion"})
    await scene.run("""update "User" set name = 'In MapAble' where id = 'frozen'""")
    await scene.settled()

    found = await told(scene, "participant", "frozen")

    (conflict,) = found["conflicts"]
    assert (conflict["field"], found["conflictState"]) == ("name", "pending")
    assert found["by_field"]["name"]["state"] == "frozen"
    assert found["by_field"]["name"]["why"].startswith(f"conflict {conflict['id']} ")
    assert "Name waits for a person: `mapable-cdc conflicts`" in found["next"]
    assert found["next"].endswith("The rest is as agreed.")


@pytest.mark.parametrize(("entity", "system_id", "settings", "next_step"), [
    ("participant", "nobody", {}, "Nothing: there is no such row, and no page."),
    ("participant", "no-member", {}, "Nothing: the row's role is not PARTICIPANT, so it is due no page."),
    ("participant", "no-member", {"NOTION_SYNC_ENABLED": "false"},
     "Nothing: the sync is disabled (NOTION_SYNC_ENABLED=false)."),
    ("participant", "no-member", {"NOTION_SYNC_PARTICIPANTS": "false"},
     "Nothing: the entity is switched off (NOTION_SYNC_PARTICIPANTS=false)."),
])  # fmt: skip
async def test_a_record_that_is_not_in_notion_says_why(
    scene: Scene, entity: str, system_id: str, settings: dict[str, str], next_step: str
) -> None:
    await scene.run(
        """insert into "User" (id, name, email, role, "updatedAt") values ('no-member', 'n', 'n', 'PROVIDER', now())
           on conflict do nothing"""
    )

    found = await told(scene, entity, system_id, **settings)

    assert found["next"] == next_step
    assert found["pageId"] is None


async def test_a_page_that_a_person_took_away_is_told_apart(scene: Scene) -> None:
    for system_id in ("in the trash", "unshared"):
        await scene.participant(system_id)
    await scene.settled()
    scene.sandbox.people.trash(scene.page_id("Participants", "in the trash"))
    scene.sandbox.people.unshare(scene.page_id("Participants", "unshared"))

    ids = ("in the trash", "unshared")
    seen = {system_id: (await told(scene, "participant", system_id))["page"] for system_id in ids}
    for system_id in seen:
        await scene.look("participant", system_id)
    found = {system_id: await told(scene, "participant", system_id) for system_id in seen}

    assert seen == {
        "in the trash": "in Notion's trash", "unshared": "gone: purged, or no longer shared with the connection",
    }
    assert {each["pageState"] for each in found.values()} == {"unlinked"}
    assert found["in the trash"]["next"].startswith("Nothing is sent: a person put its page into Notion's trash.")
    assert found["unshared"]["next"].startswith("Nothing is sent: its page is purged, or no longer shared")


async def test_a_record_whose_database_can_t_be_used_says_so(scene: Scene) -> None:
    scene.sandbox.people.unshare("Complaints")
    await scene.run(COMPLAINT)
    await scene.until_true("select unavailable is not null from notion_sync.data_source where entity = 'complaint'")

    found = await told(scene, "complaint", "kept out")
    scene.sandbox.people.share("Complaints")
    await scene.run("insert into notion_sync.setting values ('schema_due', 'true') on conflict do nothing")
    await scene.until(lambda: scene.page("Complaints", "kept out") is not None)
    await scene.settled()
    after = await told(scene, "complaint", "kept out")

    assert found["next"].startswith("Nothing until its database can be used: ")
    assert found["pageId"] is None
    assert after["next"] == "Nothing: both sides are as agreed."


async def test_a_delete_that_is_held_says_how_to_decide(scene: Scene) -> None:
    for number in range(8):
        await scene.run(PARTICIPANT, id=f"gone-{number}", name="x")
    await scene.settled()
    await scene.run("""delete from "User" where id like 'gone-%'""")
    await scene.settled()
    held = await scene.value("select min(system_id) from notion_sync.deletion where state = 'held'")

    found = await told(scene, "participant", held)

    assert (found["row"], found["delete"], found["pageState"]) == (False, "held", "live")
    assert f"`mapable-cdc deletes approve {held}`" in found["next"]


async def test_parked_work_is_listed_explained_and_tried_again(scene: Scene) -> None:
    fault = scene.sandbox.faults.script(kind="400", method="POST", path_pattern="/v1/pages", body_contains="odd one")
    await scene.run(PARTICIPANT, id="odd", name="odd one")
    await scene.until_true("select exists (select from notion_sync.parked where system_id = 'odd')")

    listed = await types(scene, "parked", "list", "--json")
    shown = await types(scene, "parked", "list", COLUMNS="200")
    found = await told(scene, "participant", "odd")
    refused = await types(scene, "parked", "drop", "odd")
    retried = await types(scene, "parked", "retry", "odd")

    (item,) = json.loads(listed.out)["parked"]
    assert listed.code == shown.code == 1
    assert fault.applied == 1
    assert (item["entity"], item["systemId"], item["reason"], item["attempts"]) == (
        "participant", "odd", "notion_validation_error", 1
    )
    assert "odd" in shown.out
    assert found["next"].startswith("It is parked (notion_validation_error: ")
    assert "tried again when either side changes, when its database is mended, and after a day" in found["next"]
    assert "`mapable-cdc parked retry odd`" in found["next"]
    assert refused.code == 2
    assert "--yes" in refused.failure
    assert (retried.code, retried.out) == (0, "1 will be tried again.\n")
    await scene.until(lambda: scene.page("Participants", "odd") is not None)
    await scene.settled()
    assert await scene.audited("odd") >= {"work.retried", "page.created"}
    assert (await types(scene, "parked", "retry", "odd")).code == 1


async def test_parked_work_is_dropped_for_good(scene: Scene) -> None:
    scene.sandbox.faults.script(kind="400", method="POST", path_pattern="/v1/pages", body_contains="another odd one")
    await scene.run(PARTICIPANT, id="odder", name="another odd one")
    await scene.until_true("select exists (select from notion_sync.parked where system_id = 'odder')")

    dropped = await types(scene, "parked", "drop", "--entity", "participant", "--yes")
    await scene.settled()

    assert (dropped.code, dropped.out) == (0, "1 dropped.\n")
    assert scene.page("Participants", "odder") is None
    assert (await types(scene, "parked", "list")).code == 0
    assert await scene.audited("odder") == {"work.dropped"}


async def test_a_relation_whose_target_has_no_page_yet_says_what_it_waits_for(scene: Scene) -> None:
    fault = scene.sandbox.faults.script(
        kind="503", method="POST", path_pattern="/v1/pages", body_contains="late owner", times=None
    )
    await scene.run(PARTICIPANT, id="late", name="late owner")
    await scene.run(PLAN.replace("%(id)s", "'waits'").replace("%(owner)s", "'late'"))
    await scene.until(lambda: scene.page("NDIS Plans", "waits") is not None or fault.applied > 2)

    found = await told(scene, "ndisplan", "waits", "--offline")
    owner = await told(scene, "participant", "late", "--offline")
    scene.sandbox.faults.clear()

    assert found["by_field"]["participant"]["state"] == "waits"
    assert "Participant follows when the record it points at has a page." in found["next"]
    assert owner["queue"] is not None or "look" in owner["next"]
    await scene.until(lambda: scene.page("Participants", "late") is not None, 60)
    await scene.settled()
    assert {each["state"] for each in (await told(scene, "ndisplan", "waits"))["fields"]} == {"equal"}
