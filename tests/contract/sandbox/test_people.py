"""What persons do in Notion's app, in Python and over the control API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Clock, Json, Notion, Table, add_row, make_table, names, plain, text

Control = Callable[..., Awaitable[Any]]


@pytest.fixture
async def control(sandbox: Sandbox) -> AsyncIterator[Control]:
    """Return a function that calls the control API and answers with (status, JSON)."""
    async with aiohttp.ClientSession(sandbox.url) as session:

        async def call(method: str, path: str, body: Json | None = None) -> tuple[int, Any]:
            async with session.request(method, path, json=body) as answer:
                return answer.status, await answer.json()

        yield call


async def test_people_edit_with_plain_values(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    tom = sandbox.state.person("Tom Baker")["id"]
    page_id = sandbox.people.create("Participants", {"Name": "Ann"}, person="Mei Chen")
    values = {
        "System ID": "x" * 5000, "Email": "ann@example.org", "Budget": 12.5, "Status": "Active", "Tags": ["A", "B"],
        "Day": "2026-09-15", "Done": True, "Phone": "123", "Site": "https://example.org", "Who": [tom],
    }  # fmt: skip

    sandbox.people.edit(page_id, values, person="Mei Chen")

    assert sandbox.people.row(page_id)["properties"] == {"Name": "Ann", **values}
    assert sandbox.people.row(page_id)["last_edited_by"] == "Mei Chen"
    read = await notion.pages.retrieve(page_id)
    assert read["created_by"]["id"] == sandbox.state.person("Mei Chen")["id"]
    sandbox.people.edit(page_id, dict.fromkeys(values))
    cleared = sandbox.people.row(page_id)["properties"]
    assert (cleared["System ID"], cleared["Email"], cleared["Tags"], cleared["Done"]) == ("", None, [], False)


async def test_people_edit_with_notions_write_form(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.edit(page["id"], {"Name": {"title": [{"text": {"content": "Bea"}, "annotations": {"bold": True}}]}})

    assert (await notion.pages.retrieve(page["id"]))["properties"]["Name"]["title"][0]["annotations"]["bold"] is True


async def test_people_trash_and_restore(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.trash(page["id"])
    assert (await notion.pages.retrieve(page["id"]))["in_trash"] is True
    sandbox.people.restore(page["id"])

    assert await names(notion, people_table) == ["Ann"]


async def test_a_duplicate_has_everything_with_the_system_id(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    page = await add_row(notion, people_table, "Ann", **{"System ID": {"rich_text": text("u1")}})

    copy_id = sandbox.people.duplicate(page["id"])

    copied = await notion.pages.retrieve(copy_id)
    assert copied["id"] != page["id"]
    assert copied["properties"] == page["properties"]
    assert copied["created_by"]["id"] != sandbox.state.bot_id


async def test_a_row_moved_out_has_another_parent(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.move(page["id"])

    moved = await notion.pages.retrieve(page["id"])
    assert moved["parent"] == {"type": "page_id", "page_id": sandbox.parent_page_id}
    assert plain(moved["properties"]["title"]["title"]) == "Ann"
    assert await names(notion, people_table) == []


async def test_people_change_the_schema(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5})

    sandbox.people.rename_property("Participants", "Budget", "Money")
    sandbox.people.retype_property("Participants", "Money", "rich_text")
    sandbox.people.add_property("Participants", "Mood", "select")
    sandbox.people.remove_property("Participants", "Site")
    sandbox.people.recolour_option("Participants", "Status", "Active", "red")

    properties = (await notion.data_sources.retrieve(people_table.source_id))["properties"]
    assert {"Money", "Mood"} < set(properties)
    assert not {"Budget", "Site"} & set(properties)
    assert properties["Status"]["select"]["options"][0]["color"] == "red"
    assert plain((await notion.pages.retrieve(page["id"]))["properties"]["Money"]["rich_text"]) == "5"


async def test_page_text_moves_the_time_but_no_property(
    sandbox: Sandbox, notion: Notion, people_table: Table, clock: Clock
) -> None:
    page = await add_row(notion, people_table, "Ann")
    clock.move(60)

    sandbox.people.add_text(page["id"], "Called on Monday")

    read = await notion.pages.retrieve(page["id"])
    blocks = (await notion.blocks.children.list(page["id"]))["results"]
    assert read["properties"] == page["properties"]
    assert read["last_edited_time"] > page["last_edited_time"]
    assert plain(blocks[0]["paragraph"]["rich_text"]) == "Called on Monday"


async def test_the_control_api_lists_databases_and_rows(
    sandbox: Sandbox, notion: Notion, people_table: Table, control: Control
) -> None:
    ann = await add_row(notion, people_table, "Ann", Status={"select": {"name": "Active"}})
    await add_row(notion, people_table, "Bob")

    _, databases = await control("GET", "/sandbox/databases")
    _, rows = await control("GET", "/sandbox/pages?database=Participants&where=Name=Ann&where=Status=Active")
    _, row = await control("GET", f"/sandbox/pages/{ann['id']}")

    assert (databases[0]["title"], databases[0]["data_sources"][0]["rows"]) == ("Participants", 2)
    assert databases[0]["data_sources"][0]["properties"]["Budget"] == "number"
    assert [found["id"] for found in rows] == [ann["id"]]
    assert row == rows[0]


async def test_the_control_api_does_what_people_do(
    sandbox: Sandbox, notion: Notion, people_table: Table, control: Control
) -> None:
    status, made = await control(
        "POST", "/sandbox/people/create", {"database": "Participants", "properties": {"Name": "Ann"}}
    )
    where = {"database": "Participants", "where": {"Name": "Ann"}}
    await control("POST", "/sandbox/people/edit", {**where, "properties": {"Budget": 3}, "person": "Tom Baker"})
    row = sandbox.people.row(made["id"])
    assert (status, row["properties"]["Budget"], row["last_edited_by"]) == (200, 3, "Tom Baker")

    await control(
        "POST", "/sandbox/people/rename_property", {"database": "Participants", "prop": "Budget", "name": "Money"}
    )
    await control("POST", "/sandbox/people/trash", {"page": made["id"]})
    await control("POST", "/sandbox/people/unshare", {"target": "Participants"})

    assert "Money" in sandbox.people.row(made["id"])["properties"]
    assert sandbox.people.row(made["id"])["in_trash"] is True
    assert not sandbox.state.visible(sandbox.people.source("Participants"))


async def test_the_control_api_sets_switches_and_faults(
    sandbox: Sandbox, notion: Notion, people_table: Table, control: Control
) -> None:
    _, switches = await control("PATCH", "/sandbox/switches", {"query_lag_s": 5, "normalise": True})
    assert (switches["query_lag_s"], sandbox.switches.normalise) == (5, True)
    _, fault = await control("POST", "/sandbox/faults", {"kind": 503, "when": "after", "method": "POST", "times": 2})
    assert (fault["kind"], sandbox.faults.scripts[0].times) == ("503", 2)
    await control("DELETE", "/sandbox/faults")
    assert sandbox.faults.scripts == ()
    await control("POST", "/sandbox/outage", {"on": True})
    assert sandbox.switches.outage is True

    await control("POST", "/sandbox/outage", {"on": False})
    _, counted = await control("GET", "/sandbox/requests?method=POST&path=/v1/databases&count=1")
    _, logged = await control("GET", "/sandbox/requests?status=200")
    assert counted == {"count": 1}
    assert logged[0]["path"] == "/v1/databases"
    await control("DELETE", "/sandbox/requests")
    assert sandbox.count() == 0


async def test_the_control_api_waits_for_moves_and_resets(
    sandbox: Sandbox, notion: Notion, people_table: Table, control: Control
) -> None:
    _, state = await control("GET", "/sandbox")
    assert set(state["persons"]) == {"Priya Nair", "Tom Baker", "Mei Chen"}
    sandbox.people.create("Participants", {"Name": "Ann"})

    _, moved = await control("GET", f"/sandbox/moves?after={state['moves']}")
    _, still = await control("GET", f"/sandbox/moves?after={moved['moves']}&timeout_s=0.01")
    _, reset = await control("POST", "/sandbox/reset")

    assert (moved["timed_out"], still["timed_out"]) == (False, True)
    assert sandbox.people.databases() == []
    assert reset["parent_page_id"] == sandbox.parent_page_id
    assert (await notion.pages.retrieve(sandbox.parent_page_id))["id"] == sandbox.parent_page_id


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sandbox/people/dance", {}),
        ("POST", "/sandbox/people/edit", {"page": "nonsense", "properties": {}}),
        ("POST", "/sandbox/people/edit", {"properties": {}}),
        ("POST", "/sandbox/people/create", {"database": "Nowhere", "properties": {}}),
        ("POST", "/sandbox/people/create", {"database": "Participants", "properties": {}, "person": "Nobody"}),
        ("PATCH", "/sandbox/switches", {"gravity": 1}),
        ("PATCH", "/sandbox/switches", {"outage": 1}),
        ("POST", "/sandbox/faults", {"kind": "earthquake"}),
        ("GET", "/sandbox/pages", None),
    ],
)
@pytest.mark.usefixtures("people_table")
async def test_mistakes_are_explained(control: Control, method: str, path: str, body: Json | None) -> None:
    status, answer = await control(method, path, body)

    assert status == 400
    assert answer["error"]


async def test_listeners_hear_of_every_change(sandbox: Sandbox, notion: Notion) -> None:
    heard: list[tuple[str, bool, bool]] = []
    table = await make_table(sandbox, notion, "Participants")
    sandbox.store.listen(lambda change: heard.append((change.kind, change.before is None, change.after is None)))

    page = await add_row(notion, table, "Ann")
    await notion.pages.update(page["id"], in_trash=True)
    sandbox.people.purge(page["id"])

    assert heard == [("page", True, False), ("page", False, False), ("page", False, True)]


async def test_the_workspaces_clock_can_be_ahead_or_behind(
    sandbox: Sandbox, notion: Notion, people_table: Table, clock: Clock
) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.switches.update({"clock_offset_s": -3600})
    sandbox.people.edit(page["id"], {"Email": "ann@example.org"})

    created, edited = (datetime.fromisoformat(page[key]) for key in ("created_time", "last_edited_time"))
    assert created == edited
    read = await notion.pages.retrieve(page["id"])
    assert datetime.fromisoformat(read["last_edited_time"]) == edited - timedelta(hours=1)
