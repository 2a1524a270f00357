"""What people add in Notion is theirs: properties, options, views, page text and comments outlive all that we do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from deploy.sandbox.server import Sandbox
from tests.system.one_of_each import PLACES
from tests.system.plant import Plant, planted

OWN: Final = "Our own note"
TEXT: Final = "What we agreed on at the kitchen table"
SELECTS: Final = {
    "Participants": "Status", "NDIS Plans": "Status", "Care Plans": "Status", "Incidents": "Incident Type",
    "Complaints": "Source", "Risks": "Risk Level", "Payment Transactions": "Status",
}
CHANGES: Final = (
    """update "User" set name = 'Pat Changed' where id = 'p'""",
    """update "User" set role = 'USER' where id = 'p'""",
    """update "User" set role = 'PARTICIPANT' where id = 'p'""",
    """update "NDISPlan" set "remainingBudget" = 1, status = 'EXPIRED' where id = 'n'""",
    """update "CarePlan" set "planName" = 'Changed', status = 'Completed' where id = 'c'""",
    """update "Incident" set description = 'Changed', "incidentType" = 'OTHER' where id = 'i'""",
    """update "Complaint" set description = 'Changed', source = 'OTHER' where id = 'k'""",
    """update "Risk" set title = 'Changed', "riskLevel" = 'HIGH' where id = 'r'""",
    """update "PaymentTransaction" set status = 'COMPLETED' where id = 't'""",
)
AND_BACK: Final = (
    """create temp table kept as table "Risk" """, """delete from "Risk" where id = 'r'""",
    """insert into "Risk" select * from kept where id = 'r'""",
)


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn, NOTION_REVERT_GRACE_SECONDS="0") as plant:
        yield plant


def adds(plant: Plant, database: str, system_id: str) -> None:
    """Add one of everything, as people do who work with a page."""
    people, page = plant.sandbox.people, plant.page_id(database, system_id)
    people.add_property(database, OWN)
    people.add_property(database, "Our own choice", "select")
    select = people.source(database)["properties"]
    ours = next(prop for prop in select.values() if prop["name"] == SELECTS[database])
    kept = [{"id": option["id"], "name": option["name"]} for option in ours["config"]["options"]]
    people.change_schema(
        database, {SELECTS[database]: {"select": {"options": [*kept, {"name": "Theirs", "color": "pink"}]}}}
    )
    people.edit(page, {OWN: f"{TEXT} {system_id}", "Our own choice": "Mine"})
    people.add_view(database, "Our own view", kind="board")
    people.add_text(page, TEXT)
    people.comment(page, f"{TEXT}?")


def theirs(sandbox: Sandbox) -> dict[str, Any]:
    """Return all that people added, as it stands there now."""
    people = sandbox.people
    found: dict[str, Any] = {}
    for database, (_, system_id, _) in PLACES.items():
        (row,) = people.rows(database, {"System ID": system_id})
        properties = {prop["name"]: prop for prop in people.source(database)["properties"].values()}
        options = properties[SELECTS[database]]["config"]["options"]
        found[database] = {
            "page": row["id"],
            "values": [row["properties"][OWN], row["properties"]["Our own choice"]],
            "schema": [properties[OWN], properties["Our own choice"]],
            "option": [option for option in options if option["name"] == "Theirs"],
            "views": [view for view in people.views(database) if view["name"] == "Our own view"],
            "text": [
                block for block in sandbox.store.all("block").values() if block["parent"].get("page_id") == row["id"]
            ],
            "comments": [comment for comment in people.comments(row["id"]) if TEXT in comment["text"]],
        }
    return found


async def test_what_people_add_outlives_updates_sweeps_setup_and_repairs(plant: Plant) -> None:
    async with plant.ran(NOTION_POLL_SECONDS="0.2"):
        for database, (_, system_id, _) in PLACES.items():
            adds(plant, database, system_id)
        added = theirs(plant.sandbox)
        await plant.run(*CHANGES, *AND_BACK)

        async def arrived() -> bool:
            risk, incident = plant.page("Risks", "r"), plant.page("Incidents", "i")
            return (risk["Title"], incident["Description"]) == ("Changed", "Changed")

        await plant.until(arrived)
        await plant.quiet()
        swept = await plant.types("sweep")
        # the list of options that setup completes is written as a whole
        plant.sandbox.people.remove_option("Risks", "Risk Level", "MEDIUM")
        setup = await plant.types("setup")
    plant.sandbox.people.edit(plant.page_id("Participants", "p"), {"Email": "typed@example.org"})
    await plant.run("""update "Risk" set title = 'Changed again' where id = 'r'""")
    repaired = await plant.types("verify", "--repair")

    assert [ended.code for ended in (swept, setup, repaired)] == [0, 0, 0], (swept.err, setup.err, repaired.out)
    assert plant.page("Participants", "p")["Email"] == "pat@example.org"
    assert plant.page("Risks", "r")["Title"] == "Changed again"
    assert all(all(each.values()) for each in added.values())
    assert theirs(plant.sandbox) == added
    assert not any(OWN in str(request.body) for request in plant.sandbox.requests)
