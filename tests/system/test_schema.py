"""People at work on the databases themselves: properties and options renamed, removed, retyped, brought back, unshared.

`looked_at` does what the event of a schema change does; the tests without it show what happens when none comes.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.sandbox.requestlog import Request
from tests.system import waiting
from tests.system.scene import Scene
from tests.system.service import command

pytestmark = pytest.mark.asyncio(loop_scope="module")

RISKS: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select %(of)s || ' ' || n, 'Risk ' || n, '', %(level)s, 'falls', '', now() from generate_series(1, %(count)s) n
"""
CARE_PLAN: Final = """
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
values (%(id)s, 'ada', 'p', '[]', '[]', '2026-01-01', '2026-01-01', %(status)s, now())
"""
REPORTED: Final = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "ndisReported", "updatedAt")
values ('reported', 'SERIOUS_INCIDENT', 'A fall', '2026-03-05', 'ada', true, now())
"""
NOT_LIVE: Final = """
select count(*) from notion_sync."NotionSyncMapping" where "pageState" <> 'live' and "systemId" <> 'purged 1'
"""
STATE: Final = """select "pageState" from notion_sync."NotionSyncMapping" where "systemId" = 'purged 1'"""
LOST: Final = "select system_id, detail from notion_sync.audit_log where action = 'field.seen_after_pause'"
LOOK: Final = "insert into notion_sync.setting values ('schema_due', 'true') on conflict (name) do nothing"
LOOKED: Final = "select not exists (select from notion_sync.setting where name = 'schema_due')"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def ada(scene: Scene) -> None:
    """One participant, whom everything can belong to."""
    await scene.participant("ada")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_set_aside(scene: Scene) -> Any:
    """Whatever people do, no work is parked, no page unlinked, and the process does not start over."""
    yield
    await scene.settled()
    assert await scene.value("select count(*) from notion_sync.parked") == 0
    assert await scene.value(NOT_LIVE) == 0
    assert not [event for event in scene.service.events if event.get("event") == "active.interrupted"]


async def risks(scene: Scene, of: str, count: int, level: str = "HIGH") -> None:
    await scene.run(RISKS, of=of, count=count, level=level)
    await scene.settled()
    scene.sandbox.clear_requests()


async def looked_at(scene: Scene) -> None:
    await scene.run(LOOK)
    await scene.until_true(LOOKED)
    await scene.settled()


async def told(scene: Scene) -> dict[str, Any]:
    _, text = await scene.get("/readyz")
    found: dict[str, Any] = json.loads(text)
    return found


async def until_told(scene: Scene, key: str, holds: bool = True) -> Any:
    """Return what /readyz tells under `key` once it tells it, or no longer does."""

    found: dict[str, Any] = {}

    async def says() -> bool:
        nonlocal found
        found = await told(scene)
        return (key in found) is holds

    await waiting.until(scene.sandbox, says, 40.0)
    return found.get(key)


def schema_writes(scene: Scene) -> list[Request]:
    return [
        request for request in scene.sandbox.requests
        if request.method == "PATCH" and request.path.startswith("/v1/data_sources/")
    ]


def options(scene: Scene, database: str, prop: str) -> dict[str, str]:
    """Return the option ids of a select by name."""
    found = next(one for one in scene.sandbox.people.source(database)["properties"].values() if one["name"] == prop)
    return {option["name"]: option["id"] for option in found["config"]["options"]}


async def test_a_renamed_property_goes_on(scene: Scene) -> None:
    await risks(scene, "named", 1)
    scene.sandbox.people.rename_property("Risks", "Category", "Kind of risk")

    await scene.run("""update "Risk" set category = 'fire' where id = 'named 1'""")

    await scene.until(lambda: scene.shows("Risks", "named 1", Kind_of_risk="fire"))
    await looked_at(scene)
    assert "pausedFields" not in await told(scene)
    scene.sandbox.people.rename_property("Risks", "Kind of risk", "Category")


async def test_a_removed_property_pauses_itself_alone_until_setup_made_it_again(scene: Scene) -> None:
    await risks(scene, "removed", 3)
    scene.sandbox.people.remove_property("Risks", "Category")

    await scene.run("""update "Risk" set title = 'Other', category = 'fire' where id = 'removed 1'""")
    await scene.run(RISKS, of="new", count=1, level="LOW")

    await scene.until(lambda: scene.shows("Risks", "removed 1", Title="Other"))
    await scene.until(lambda: scene.shows("Risks", "new 1", Risk_Level="LOW"))
    reasons = await until_told(scene, "pausedFields")
    assert list(reasons) == ["risk.category"]
    assert "Category of Risks was removed" in reasons["risk.category"]
    _, out, _ = await command(scene.env, "status", "--json")
    assert json.loads(out)["paused"] == [
        {"entity": "risk", "field": "category", "reason": reasons["risk.category"]}
    ]

    code, _, said = await command(scene.env, "setup")

    assert code == 0, said
    await scene.until(lambda: scene.shows("Risks", "removed 1", Category="fire"))
    await scene.until(lambda: scene.shows("Risks", "removed 3", Category="falls"))
    await scene.until(lambda: scene.shows("Risks", "new 1", Category="falls"))
    await until_told(scene, "pausedFields", holds=False)


async def test_a_checkbox_that_is_removed_unreports_no_incident(scene: Scene) -> None:
    await scene.run(REPORTED)
    await scene.until(lambda: scene.shows("Incidents", "reported", NDIS_Reported=True))
    await scene.settled()
    scene.sandbox.people.remove_property("Incidents", "NDIS Reported")

    scene.sandbox.people.edit(scene.page_id("Incidents", "reported"), {"Description": "Edited"})
    await scene.look("incident", "reported")
    code, _, said = await command(scene.env, "setup")

    assert code == 0, said
    await scene.until(lambda: scene.shows("Incidents", "reported", NDIS_Reported=True, Description="Edited"))
    assert await scene.rows('select "ndisReported", description from "Incident"') == [
        {"ndisReported": True, "description": "Edited"}
    ]
    await until_told(scene, "pausedFields", holds=False)


async def test_a_property_that_a_person_made_again_is_taken_and_filled(scene: Scene) -> None:
    await risks(scene, "by hand", 2)
    scene.sandbox.people.remove_property("Risks", "Category")
    await looked_at(scene)
    await until_told(scene, "pausedFields")
    await scene.run("""update "Risk" set category = 'fire' where id = 'by hand 1'""")
    scene.sandbox.people.add_property("Risks", "Category")

    await looked_at(scene)

    await scene.until(lambda: scene.shows("Risks", "by hand 1", Category="fire"))
    await scene.until(lambda: scene.shows("Risks", "by hand 2", Category="falls"))
    await until_told(scene, "pausedFields", holds=False)


async def test_what_a_retyped_property_lost_is_written_again_when_it_has_its_type_back(scene: Scene) -> None:
    await risks(scene, "retyped", 2)
    scene.sandbox.people.retype_property("Risks", "Category", "number")
    await looked_at(scene)
    assert "has the type number" in (await until_told(scene, "pausedFields"))["risk.category"]
    scene.sandbox.people.edit(scene.page_id("Risks", "retyped 2"), {"Category": 7})
    await scene.run("""update "Risk" set title = 'Other' where id = 'retyped 1'""")
    await scene.until(lambda: scene.shows("Risks", "retyped 1", Title="Other"))
    scene.sandbox.people.retype_property("Risks", "Category", "rich_text")

    await looked_at(scene)

    await scene.until(lambda: scene.shows("Risks", "retyped 1", Category="falls"))
    await scene.until(lambda: scene.shows("Risks", "retyped 2", Category="falls"))
    await until_told(scene, "pausedFields", holds=False)
    assert await scene.rows(LOST) == [{"system_id": "retyped 2", "detail": {"notion": "7"}}]


async def test_a_renamed_option_keeps_its_meaning_and_costs_no_call_a_page(scene: Scene) -> None:
    await risks(scene, "many", 120, "MEDIUM")
    before = await scene.rows('select * from "Risk" order by id')
    scene.sandbox.people.rename_option("Risks", "Risk Level", "MEDIUM", "Mittel")

    await looked_at(scene)

    assert await scene.rows("""select * from "Risk" where title <> 'sentinel' order by id""") == [
        row for row in before if row["title"] != "sentinel"
    ]
    asked = [request for request in scene.sandbox.requests if "sentinel" not in str(request.body)]
    assert {(request.method, request.path.split("/")[2]) for request in asked} <= {
        ("GET", "databases"), ("GET", "data_sources"),
    }
    await scene.run("""update "Risk" set "riskLevel" = 'MEDIUM', title = 'x' where id = 'named 1'""")
    await scene.until(lambda: scene.shows("Risks", "named 1", Risk_Level="Mittel"))
    assert "MEDIUM" not in options(scene, "Risks", "Risk Level")
    code, _, said = await command(scene.env, "setup")
    assert code == 0, said
    assert "MEDIUM" not in options(scene, "Risks", "Risk Level")


async def test_a_removed_option_is_put_back_in_the_schema_and_on_the_pages_that_showed_it(scene: Scene) -> None:
    await risks(scene, "critical", 3, "CRITICAL")
    await risks(scene, "not so", 3, "LOW")
    scene.sandbox.people.add_property("Risks", "Their own", "number")
    scene.sandbox.people.edit(scene.page_id("Risks", "not so 1"), {"Risk Level": "WATCHED"})
    own = options(scene, "Risks", "Risk Level")["WATCHED"]
    scene.sandbox.people.remove_option("Risks", "Risk Level", "CRITICAL")
    assert scene.shows("Risks", "critical 1", Risk_Level=None)
    scene.sandbox.clear_requests()

    await looked_at(scene)

    held = [f"critical {n}" for n in (1, 2, 3)]
    await scene.until(lambda: all(scene.shows("Risks", one, Risk_Level="CRITICAL") for one in held))
    assert len(schema_writes(scene)) == 1
    written = [request for request in scene.writes() if "sentinel" not in str(request.body)]
    names = {row["id"]: row["properties"]["System ID"] for row in scene.sandbox.people.rows("Risks")}
    # three changes share a look at what was edited, and that may find the person's option, which is put back
    by_name = [name for request in written if (name := names[request.object_id]) != "not so 1"]
    assert sorted(by_name) == held, [request.body for request in written]
    assert options(scene, "Risks", "Risk Level")["WATCHED"] == own
    assert options(scene, "Risks", "Risk Level")["Mittel"]
    assert await scene.value(
        "select detail from notion_sync.audit_log where action = 'schema.option_restored' order by id desc limit 1"
    ) == {"labels": ["CRITICAL"]}
    assert await scene.value(
        "select restored -> 'riskLevel' ? 'CRITICAL' from notion_sync.data_source where entity = 'risk'"
    )
    scene.sandbox.people.edit(scene.page_id("Risks", "not so 1"), {"Risk Level": "LOW"})


async def test_a_write_of_a_removed_option_puts_it_back_though_nobody_told(scene: Scene) -> None:
    await risks(scene, "silent", 2, "LOW")
    scene.sandbox.people.remove_option("Risks", "Status", "CLOSED")

    await scene.run("""update "Risk" set status = 'CLOSED' where id like 'silent%'""")

    await scene.until(lambda: scene.shows("Risks", "silent 1", Status="CLOSED"))
    await scene.until(lambda: scene.shows("Risks", "silent 2", Status="CLOSED"))
    assert len(schema_writes(scene)) == 1


async def test_an_option_that_a_person_made_again_by_hand_is_ours(scene: Scene) -> None:
    await risks(scene, "remade", 1, "LOW")
    scene.sandbox.people.remove_option("Risks", "Status", "ASSESSED")
    scene.sandbox.people.edit(scene.page_id("Risks", "remade 1"), {"Status": "ASSESSED"})
    await looked_at(scene)

    await scene.run("""update "Risk" set status = 'ASSESSED' where id = 'remade 1'""")
    await scene.settled()

    assert scene.shows("Risks", "remade 1", Status="ASSESSED")
    assert not schema_writes(scene)
    await scene.until_true(
        "select options -> 'status' ->> %(id)s = 'ASSESSED' from notion_sync.data_source where entity = 'risk'",
        id=options(scene, "Risks", "Status")["ASSESSED"],
    )
    ids = await scene.value("select options -> 'status' from notion_sync.data_source where entity = 'risk'")
    assert len(ids) == 5


async def test_the_label_of_a_free_column_is_known_by_the_option_that_its_first_write_made(scene: Scene) -> None:
    await scene.run(CARE_PLAN, id="plan 1", status="Fresh")
    await scene.until(lambda: scene.shows("Care Plans", "plan 1", Status="Fresh"))
    await scene.settled()
    scene.sandbox.people.rename_option("Care Plans", "Status", "Fresh", "Neu")

    await scene.run(CARE_PLAN, id="plan 2", status="Fresh")

    await scene.until(lambda: scene.shows("Care Plans", "plan 2", Status="Neu"))
    assert "Fresh" not in options(scene, "Care Plans", "Status")
    scene.sandbox.people.remove_option("Care Plans", "Status", "Neu")
    await looked_at(scene)
    await scene.until(lambda: scene.shows("Care Plans", "plan 1", Status="Fresh"))
    await scene.until(lambda: scene.shows("Care Plans", "plan 2", Status="Fresh"))


@pytest.mark.parametrize(
    ("taken", "given", "reason"), [("unshare", "share", "not shared"), ("trash", "restore", "in Notion's trash")]
)
async def test_a_database_out_of_reach_pauses_its_entity_alone_until_it_is_back(
    scene: Scene, taken: str, given: str, reason: str
) -> None:
    await risks(scene, taken, 2)
    getattr(scene.sandbox.people, taken)("Risks")

    await scene.run("""update "Risk" set title = 'Later' where id like %(like)s""", like=f"{taken}%")
    paused = await until_told(scene, "paused")
    await scene.run("""update "User" set name = %(name)s where id = 'ada'""", name=f"Ada {taken}")

    await scene.until(lambda: scene.shows("Participants", "ada", Name=f"Ada {taken}"))
    assert list(paused) == ["risk"]
    assert "Risks" in paused["risk"]
    assert reason in paused["risk"]
    await scene.until_true("select unavailable is not null from notion_sync.data_source where entity = 'risk'")
    _, out, _ = await command(scene.env, "status", "--json")
    assert [(one["entity"], one["field"]) for one in json.loads(out)["paused"]] == [("risk", None)]
    assert reason in json.loads(out)["paused"][0]["reason"]

    getattr(scene.sandbox.people, given)("Risks")
    await scene.run(LOOK)

    await scene.until(lambda: scene.shows("Risks", f"{taken} 1", Title="Later"))
    await scene.until(lambda: scene.shows("Risks", f"{taken} 2", Title="Later"))
    await until_told(scene, "paused", holds=False)


async def test_a_page_out_of_reach_by_itself_is_unlinked(scene: Scene) -> None:
    await risks(scene, "purged", 1)
    scene.sandbox.people.purge(scene.page_id("Risks", "purged 1"))

    await scene.run("""update "Risk" set title = 'Other' where id = 'purged 1'""")

    await scene.until_true(f"select ({STATE}) = 'unlinked'")
    assert "paused" not in await told(scene)
