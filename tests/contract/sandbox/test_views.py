"""Views of a database: made, changed and deleted by the connection and by persons.

Source: Notion's reference of the view endpoints (2026-03-19).
"""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from deploy.sandbox.errors import NotionError
from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Receiver, settled
from tests.contract.sandbox.shapes import NOBODY, Answer, Api, Json, Notion, Table, make_table

OPEN: Json = {"property": "Status", "select": {"equals": "Active"}}
NEWEST: list[Json] = [{"property": "Day", "direction": "descending"}]


async def make(api: Api, table: Table, name: str = "Open", **fields: Any) -> Answer:
    body = {
        "database_id": table.database_id, "data_source_id": table.source_id, "name": name, "type": "table", **fields,
    }  # fmt: skip
    return await api("POST", "/v1/views", body)


async def listed(api: Api, table: Table) -> list[str]:
    """Return the ids of a database's views."""
    return [one["id"] for one in (await api("GET", f"/v1/views?database_id={table.database_id}")).body["results"]]


async def test_a_new_database_has_one_table_view(api: Api, people_table: Table) -> None:
    answer = await api("GET", f"/v1/views?database_id={people_table.database_id}")

    (reference,) = answer.body["results"]
    assert set(reference) == {"object", "id"}
    assert (answer.body["type"], answer.body["has_more"], answer.body["next_cursor"]) == ("view", False, None)
    view = (await api("GET", f"/v1/views/{reference['id']}")).body
    assert (view["type"], view["filter"], view["sorts"]) == ("table", None, None)
    assert view["parent"] == {"type": "database_id", "database_id": people_table.database_id}
    assert view["data_source_id"] == people_table.source_id


async def test_a_view_keeps_its_filter_and_sorts_as_they_were_written(
    sandbox: Sandbox, api: Api, people_table: Table
) -> None:
    made = await make(api, people_table, filter=OPEN, sorts=NEWEST)

    assert made.status == 200, made.text
    view = (await api("GET", f"/v1/views/{made.body['id']}")).body
    assert (view["name"], view["filter"], view["sorts"]) == ("Open", OPEN, NEWEST)
    assert view["created_by"] == {"object": "user", "id": sandbox.state.bot_id}
    assert view["url"].endswith(f"?v={view['id'].replace('-', '')}")
    assert (await listed(api, people_table))[-1] == view["id"]


@pytest.mark.parametrize("kind", ["table", "board", "list", "calendar", "timeline", "gallery"])
async def test_views_have_types(api: Api, people_table: Table, kind: str) -> None:
    assert (await make(api, people_table, type=kind)).body["type"] == kind


async def test_a_view_is_changed_in_parts(api: Api, people_table: Table) -> None:
    view_id = (await make(api, people_table, filter=OPEN)).body["id"]

    await api("PATCH", f"/v1/views/{view_id}", {"name": "All"})
    changed = await api("PATCH", f"/v1/views/{view_id}", {"filter": None, "sorts": NEWEST})

    assert (changed.body["name"], changed.body["filter"], changed.body["sorts"]) == ("All", None, NEWEST)


async def test_the_last_view_of_a_database_stays(api: Api, people_table: Table) -> None:
    (default,) = await listed(api, people_table)
    made = (await make(api, people_table)).body["id"]

    deleted = await api("DELETE", f"/v1/views/{default}")
    refused = await api("DELETE", f"/v1/views/{made}")

    assert (deleted.status, deleted.body["id"]) == (200, default)
    assert (refused.status, refused.code) == (400, "validation_error")
    assert await listed(api, people_table) == [made]
    assert (await api("GET", f"/v1/views/{default}")).status == 404


async def test_lists_are_of_a_database_or_a_data_source_in_pages(
    api: Api, sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    await make_table(sandbox, notion, "Others")
    for number in range(3):
        await make(api, people_table, f"V{number}")

    path = f"/v1/views?data_source_id={people_table.source_id}&page_size=3"
    first = (await api("GET", path)).body
    rest = (await api("GET", f"{path}&start_cursor={first['next_cursor']}")).body

    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [one["id"] for one in (*first["results"], *rest["results"])] == await listed(api, people_table)
    assert (await api("GET", "/v1/views")).code == "validation_error"


BAD: dict[str, Json] = {
    "no name": {"name": None},
    "an empty name": {"name": ""},
    "an unknown type": {"type": "carpet"},
    "a filter on a property that is not there": {"filter": {"property": "Colour", "select": {"equals": "red"}}},
    "a filter of the wrong type": {"filter": {"property": "Status", "number": {"equals": 1}}},
    "a sort on a property that is not there": {"sorts": [{"property": "Colour", "direction": "ascending"}]},
    "sorts that are no list": {"sorts": {}},
    "an unknown key": {"colour": "red"},
    "a bad id": {"database_id": "nobody"},
    "a dashboard, which is not simulated": {"type": "dashboard"},
    "a place, which is not simulated": {"position": {"type": "end"}},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
async def test_a_bad_view_is_refused(api: Api, people_table: Table, fields: Json) -> None:
    before = await listed(api, people_table)

    answer = await make(api, people_table, **fields)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert ("not simulated" in answer.message) == any("not simulated" in name for name in BAD if BAD[name] is fields)
    assert await listed(api, people_table) == before


@pytest.mark.parametrize("missing", ["name", "type", "data_source_id"])
async def test_what_is_missing_is_named(api: Api, people_table: Table, missing: str) -> None:
    body = {
        "database_id": people_table.database_id, "data_source_id": people_table.source_id, "name": "N", "type": "list",
    }  # fmt: skip
    del body[missing]

    answer = await api("POST", "/v1/views", body)

    assert answer.status == 400
    assert f"body.{missing} should be defined" in answer.message


async def test_what_is_not_there_or_not_shared_is_404(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    view_id = (await make(api, people_table)).body["id"]
    assert (await make(api, people_table, database_id=NOBODY)).status == 404
    assert (await api("GET", f"/v1/views/{NOBODY}")).status == 404

    sandbox.people.unshare("Participants")

    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await api(method, f"/v1/views/{view_id}", body)).status == 404
    assert (await api("GET", f"/v1/views?database_id={people_table.database_id}")).status == 404


async def test_views_of_a_database_in_the_trash_cannot_be_made_or_changed(
    sandbox: Sandbox, api: Api, people_table: Table
) -> None:
    view_id = (await make(api, people_table)).body["id"]
    sandbox.people.trash("Participants")

    assert (await make(api, people_table, "More")).code == "validation_error"
    assert (await api("PATCH", f"/v1/views/{view_id}", {"name": "x"})).code == "validation_error"


@pytest.mark.parametrize(
    ("lacking", "refused"),
    [
        ("insert_content", {"POST"}),
        ("update_content", {"POST", "PATCH", "DELETE"}),
        ("read_content", {"GET"}),
    ],
)
async def test_capabilities_are_asked_for(
    sandbox: Sandbox, api: Api, people_table: Table, lacking: str, refused: set[str]
) -> None:
    view_id = (await make(api, people_table)).body["id"]
    sandbox.switches.update({lacking: False})

    answers = {
        "POST": await make(api, people_table, "More"),
        "GET": await api("GET", f"/v1/views/{view_id}"),
        "PATCH": await api("PATCH", f"/v1/views/{view_id}", {"name": "x"}),
        "DELETE": await api("DELETE", f"/v1/views/{view_id}"),
    }

    assert {method for method, answer in answers.items() if answer.status == 403} == refused
    assert all(answer.code == "restricted_resource" for answer in answers.values() if answer.status == 403)


async def test_a_persons_view_is_seen_by_the_connection(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    view_id = sandbox.people.add_view("Participants", "Mine", kind="board", filter=OPEN, person="Mei Chen")

    view = (await api("GET", f"/v1/views/{view_id}")).body

    assert (view["name"], view["type"], view["filter"]) == ("Mine", "board", OPEN)
    assert view["created_by"]["id"] == sandbox.state.person("Mei Chen")["id"]
    assert [one["name"] for one in sandbox.people.views("Participants")] == ["Default view", "Mine"]
    with pytest.raises(NotionError):
        sandbox.people.add_view("Participants", "Bad", filter={"property": "Colour", "select": {"equals": "red"}})


async def test_views_are_told(sandbox: Sandbox, api: Api, hook: Receiver, people_table: Table) -> None:
    view_id = (await make(api, people_table)).body["id"]
    await settled(sandbox)
    await api("PATCH", f"/v1/views/{view_id}", {"name": "All", "sorts": NEWEST})
    await settled(sandbox)
    await api("DELETE", f"/v1/views/{view_id}")
    await settled(sandbox)

    assert hook.kinds == ["view.created", "view.updated", "view.deleted"]
    created, updated, deleted = hook.events
    assert created["data"]["view_type"] == "table"
    assert updated["data"]["updated_fields"] == ["name", "sorts"]
    for event in (created, updated, deleted):
        assert event["entity"] == {"id": view_id, "type": "view"}
        assert event["data"]["parent"] == {
            "id": people_table.database_id, "type": "database", "data_source_id": people_table.source_id,
        }  # fmt: skip


async def test_views_over_the_control_api(sandbox: Sandbox, people_table: Table) -> None:
    async with aiohttp.ClientSession(sandbox.url) as session:
        made = {"database": "Participants", "name": "Mine", "kind": "list", "sorts": NEWEST}
        async with session.post("/sandbox/people/add_view", json=made) as answer:
            view_id = (await answer.json())["id"]

        async with session.get("/sandbox/views?database=Participants") as answer:
            shown = await answer.json()

    assert (shown[-1]["id"], shown[-1]["type"], shown[-1]["sorts"]) == (view_id, "list", NEWEST)
