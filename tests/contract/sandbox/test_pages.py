"""Pages: partial updates, trash, times and authors, sharing, capabilities."""

from __future__ import annotations

import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Api, Clock, Notion, Table, add_row, make_table, plain, text


async def test_an_update_leaves_what_it_does_not_name(notion: Notion, people_table: Table) -> None:
    page = await add_row(
        notion, people_table, "Ann", Budget={"number": 5}, Tags={"multi_select": [{"name": "A"}, {"name": "B"}]}
    )

    updated = await notion.pages.update(page["id"], properties={"Tags": {"multi_select": [{"name": "C"}]}})

    assert plain(updated["properties"]["Name"]["title"]) == "Ann"
    assert updated["properties"]["Budget"]["number"] == 5
    assert [tag["name"] for tag in updated["properties"]["Tags"]["multi_select"]] == ["C"]
    assert (await notion.pages.retrieve(page["id"]))["properties"] == updated["properties"]


async def test_the_same_create_twice_makes_two_pages(notion: Notion, people_table: Table) -> None:
    first, second = await add_row(notion, people_table, "Ann"), await add_row(notion, people_table, "Ann")

    assert first["id"] != second["id"]
    assert len((await notion.data_sources.query(people_table.source_id))["results"]) == 2


async def test_a_page_names_its_parents(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    assert page["parent"] == {
        "type": "data_source_id",
        "data_source_id": people_table.source_id,
        "database_id": people_table.database_id,
    }
    assert page["url"] == f"https://www.notion.so/{page['id'].replace('-', '')}"
    by_database = await notion.pages.create(parent={"database_id": people_table.database_id}, properties={})
    assert by_database["parent"] == page["parent"]


async def test_a_page_under_a_page_has_only_a_title(sandbox: Sandbox, notion: Notion) -> None:
    page = await notion.pages.create(
        parent={"page_id": sandbox.parent_page_id}, properties={"title": {"title": text("Notes")}}
    )

    assert plain(page["properties"]["title"]["title"]) == "Notes"
    with pytest.raises(APIResponseError, match="not a property"):
        await notion.pages.create(parent={"page_id": sandbox.parent_page_id}, properties={"Name": {"title": []}})


async def test_times_are_floored_to_the_minute_and_move_only_on_real_changes(
    notion: Notion, people_table: Table, clock: Clock
) -> None:
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5})
    assert page["created_time"] == page["last_edited_time"] == "2026-09-21T14:13:00.000Z"

    clock.move(120)
    same = await notion.pages.update(page["id"], properties={"Budget": {"number": 5.0}})
    changed = await notion.pages.update(page["id"], properties={"Budget": {"number": 6}})

    assert same["last_edited_time"] == page["last_edited_time"]
    assert changed["last_edited_time"] == "2026-09-21T14:15:00.000Z"
    assert changed["created_time"] == page["created_time"]


async def test_a_persons_edit_names_the_person(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")
    assert page["last_edited_by"] == {"object": "user", "id": sandbox.state.bot_id}

    sandbox.people.edit(page["id"], {"Budget": 7}, person="Tom Baker")

    read = await notion.pages.retrieve(page["id"])
    assert read["properties"]["Budget"]["number"] == 7
    assert read["last_edited_by"]["id"] == sandbox.state.person("Tom Baker")["id"]
    assert read["created_by"]["id"] == sandbox.state.bot_id


async def test_a_trashed_page_can_be_read_but_not_written(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    trashed = await notion.pages.update(page["id"], in_trash=True)

    assert trashed["in_trash"] is True
    assert (await notion.pages.retrieve(page["id"]))["in_trash"] is True
    assert (await notion.data_sources.query(people_table.source_id))["results"] == []
    for attempt in ({"properties": {"Budget": {"number": 1}}}, {"in_trash": True}, {"icon": None}):
        with pytest.raises(APIResponseError, match="Can't edit block that is archived") as caught:
            await notion.pages.update(page["id"], **attempt)
        assert (caught.value.status, caught.value.code) == (400, "validation_error")


async def test_restoring_brings_a_page_back_to_queries(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")
    await notion.blocks.delete(page["id"])

    restored = await notion.pages.update(page["id"], in_trash=False, properties={"Budget": {"number": 1}})

    assert (restored["in_trash"], restored["properties"]["Budget"]["number"]) == (False, 1)
    assert len((await notion.data_sources.query(people_table.source_id))["results"]) == 1


async def test_a_trashed_database_blocks_writes_to_its_rows(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")
    await notion.databases.update(people_table.database_id, in_trash=True)

    with pytest.raises(APIResponseError, match="archived ancestor"):
        await notion.pages.update(page["id"], properties={"Budget": {"number": 1}})
    with pytest.raises(APIResponseError, match="archived ancestor"):
        await add_row(notion, people_table, "Bob")
    with pytest.raises(APIResponseError, match="archived ancestor"):
        await notion.data_sources.update(people_table.source_id, properties={"New": {"number": {}}})


async def test_what_is_not_shared_is_not_found(sandbox: Sandbox, notion: Notion, api: Api, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.unshare(page["id"])
    assert (await api("GET", f"/v1/pages/{page['id']}")).status == 404
    assert (await notion.data_sources.query(people_table.source_id))["results"] == []
    sandbox.people.share(page["id"], None)
    sandbox.people.unshare("Participants")

    for method, path in (
        ("GET", f"/v1/pages/{page['id']}"),
        ("PATCH", f"/v1/pages/{page['id']}"),
        ("GET", f"/v1/databases/{people_table.database_id}"),
        ("POST", f"/v1/data_sources/{people_table.source_id}/query"),
    ):
        answer = await api(method, path, {} if method != "GET" else None)
        assert (answer.status, answer.code) == (404, "object_not_found")
    sandbox.people.share("Participants")
    assert (await api("GET", f"/v1/pages/{page['id']}")).status == 200


async def test_a_purged_page_is_not_found(sandbox: Sandbox, notion: Notion, api: Api, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.purge(page["id"])

    assert (await api("GET", f"/v1/pages/{page['id']}")).code == "object_not_found"


@pytest.mark.parametrize(
    ("switch", "method", "path"),
    [
        ("read_content", "GET", "/v1/pages/{page}"),
        ("read_content", "POST", "/v1/data_sources/{source}/query"),
        ("update_content", "PATCH", "/v1/pages/{page}"),
        ("update_content", "PATCH", "/v1/data_sources/{source}"),
        ("insert_content", "POST", "/v1/pages"),
    ],
)
async def test_a_missing_capability_is_restricted(
    sandbox: Sandbox, notion: Notion, api: Api, people_table: Table, switch: str, method: str, path: str
) -> None:
    page = await add_row(notion, people_table, "Ann")
    sandbox.switches.update({switch: False})

    answer = await api(method, path.format(page=page["id"], source=people_table.source_id), {})

    assert (answer.status, answer.code) == (403, "restricted_resource")


async def test_a_workspace_out_of_blocks_says_so(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.switches.out_of_blocks = True

    answer = await api("POST", "/v1/pages", {"parent": {"data_source_id": people_table.source_id}, "properties": {}})

    assert (answer.status, answer.body["additional_data"]) == (403, {"block_limit": "block_creation"})


async def test_a_full_data_source_takes_no_more_rows(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    sandbox.switches.row_limit = 0

    answer = await api("POST", "/v1/pages", {"parent": {"data_source_id": people_table.source_id}, "properties": {}})

    assert (answer.status, answer.code) == (409, "row_limit_exceeded")


async def test_filter_properties_works_in_every_form_clients_send(
    sandbox: Sandbox, notion: Notion, api: Api, people_table: Table
) -> None:
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5})
    budget_id = page["properties"]["Budget"]["id"]
    path = f"/v1/pages/{page['id']}"

    by_library = await notion.pages.retrieve(page["id"], filter_properties=[budget_id, "title"])
    assert sandbox.requests.select()[-1].query == {"filter_properties": [budget_id, "title"]}
    for query in (
        f"filter_properties={budget_id}&filter_properties=title",
        f"filter_properties[]={budget_id.replace('%', '%25')}&filter_properties[]=Name",
    ):
        read = await api("GET", f"{path}?{query}")
        patched = await api("PATCH", f"{path}?{query}", {})
        assert read.body["properties"] == patched.body["properties"] == by_library["properties"]
    assert set(by_library["properties"]) == {"Name", "Budget"}
    queried = await notion.data_sources.query(people_table.source_id, filter_properties=["Budget"])
    assert set(queried["results"][0]["properties"]) == {"Budget"}
    assert (await api("GET", f"{path}?filter_properties=Missing")).code == "validation_error"


async def test_a_property_can_be_read_alone(notion: Notion, api: Api, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5})

    item = await notion.pages.properties.retrieve(page["id"], page["properties"]["Budget"]["id"])
    title = await notion.pages.properties.retrieve(page["id"], "title")

    assert {key: item[key] for key in ("object", "type", "number", "id")} == {
        "object": "property_item",
        "type": "number",
        "number": 5,
        "id": page["properties"]["Budget"]["id"],
    }
    assert title["results"][0]["title"]["plain_text"] == "Ann"
    missing = await api("GET", f"/v1/pages/{page['id']}/properties/none")
    assert (missing.status, missing.message) == (400, "none is not a property that exists.")


async def test_a_page_can_be_moved_to_another_data_source(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    other = await make_table(sandbox, notion, "Former", {"Title": {"title": {}}, "Budget": {"number": {}}})
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5}, Done={"checkbox": True})

    moved = await notion.pages.move(page["id"], parent={"type": "data_source_id", "data_source_id": other.source_id})

    assert moved["parent"]["data_source_id"] == other.source_id
    assert set(moved["properties"]) == {"Title", "Budget"}
    assert moved["properties"]["Budget"]["number"] == 5
    assert (await notion.data_sources.query(people_table.source_id))["results"] == []
    with pytest.raises(APIResponseError, match="must be different"):
        await notion.pages.move(page["id"], parent={"type": "data_source_id", "data_source_id": other.source_id})


async def test_icons_and_locks_are_kept(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    updated = await notion.pages.update(page["id"], icon={"type": "emoji", "emoji": "🌱"}, is_locked=True)

    assert (updated["icon"], updated["is_locked"]) == ({"type": "emoji", "emoji": "🌱"}, True)
    edited = await notion.pages.update(page["id"], properties={"Budget": {"number": 1}})
    assert edited["properties"]["Budget"]["number"] == 1
