"""Databases and data sources: what they look like, and what changing a schema does to options and rows."""

from __future__ import annotations

from typing import Any

import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Api, Clock, Json, Notion, Table, add_row, make_table, plain, text


async def schema(notion: Notion, table: Table) -> Json:
    properties: Json = (await notion.data_sources.retrieve(table.source_id))["properties"]
    return properties


async def change(notion: Notion, table: Table, properties: Json) -> Json:
    answer: Json = await notion.data_sources.update(table.source_id, properties=properties)
    return answer


async def refusal(notion: Notion, table: Table, properties: Json) -> str:
    with pytest.raises(APIResponseError) as caught:
        await change(notion, table, properties)
    assert caught.value.status == 400
    return str(caught.value)


async def test_a_database_is_a_container_of_its_data_source(sandbox: Sandbox, notion: Notion) -> None:
    table = await make_table(sandbox, notion, "Risks")

    database = await notion.databases.retrieve(table.database_id)
    source = await notion.data_sources.retrieve(table.source_id)

    assert table.database_id != table.source_id
    assert "properties" not in database
    assert database["data_sources"] == [{"id": table.source_id, "name": "Risks"}]
    assert database["parent"] == {"type": "page_id", "page_id": sandbox.parent_page_id}
    assert source["parent"] == {"type": "database_id", "database_id": table.database_id}
    assert source["database_parent"] == database["parent"]
    assert source["properties"] == {
        "Name": {"id": "title", "name": "Name", "description": None, "type": "title", "title": {}}
    }


async def test_the_two_ids_are_not_interchangeable(api: Api, people_table: Table) -> None:
    assert (await api("GET", f"/v1/databases/{people_table.source_id}")).status == 404
    assert (await api("GET", f"/v1/data_sources/{people_table.database_id}")).status == 404


async def test_a_database_can_be_renamed_trashed_and_restored(notion: Notion, people_table: Table) -> None:
    renamed = await notion.databases.update(people_table.database_id, title=text("People"), description=text("All"))
    assert (plain(renamed["title"]), plain(renamed["description"])) == ("People", "All")

    trashed = await notion.databases.update(people_table.database_id, in_trash=True)
    assert trashed["in_trash"] is True
    with pytest.raises(APIResponseError, match="archived"):
        await notion.databases.update(people_table.database_id, title=text("Again"))
    restored = await notion.databases.update(people_table.database_id, in_trash=False)
    assert restored["in_trash"] is False


async def test_another_data_source_can_be_added(notion: Notion, people_table: Table) -> None:
    added = await notion.data_sources.create(
        parent={"type": "database_id", "database_id": people_table.database_id},
        properties={"Title": {"title": {}}},
        title=text("More"),
    )

    listed = (await notion.databases.retrieve(people_table.database_id))["data_sources"]
    assert [source["id"] for source in listed] == [people_table.source_id, added["id"]]
    with pytest.raises(APIResponseError, match="multiple data sources"):
        await notion.pages.create(parent={"database_id": people_table.database_id}, properties={})


async def test_children_of_the_parent_page_list_its_databases(sandbox: Sandbox, notion: Notion) -> None:
    tables = [await make_table(sandbox, notion, f"Table {number}") for number in range(3)]
    sandbox.people.add_text(sandbox.parent_page_id, "Welcome")

    first = await notion.blocks.children.list(sandbox.parent_page_id, page_size=2)
    rest = await notion.blocks.children.list(sandbox.parent_page_id, start_cursor=first["next_cursor"])

    blocks = first["results"] + rest["results"]
    assert (len(first["results"]), first["has_more"], rest["has_more"]) == (2, True, False)
    assert [block["id"] for block in blocks[:3]] == [table.database_id for table in tables]
    assert blocks[0]["type"] == "child_database"
    assert blocks[0]["child_database"] == {"title": "Table 0"}
    assert (blocks[3]["type"], plain(blocks[3]["paragraph"]["rich_text"])) == ("paragraph", "Welcome")


async def test_search_finds_data_sources_by_title_after_its_lag(
    sandbox: Sandbox, notion: Notion, monotonic: Clock
) -> None:
    sandbox.switches.search_lag_s = 30.0
    table = await make_table(sandbox, notion, "Incidents")
    question = {"query": "incid", "filter": {"property": "object", "value": "data_source"}}

    assert (await notion.search(**question))["results"] == []
    monotonic.move(31)

    assert [found["id"] for found in (await notion.search(**question))["results"]] == [table.source_id]


@pytest.mark.parametrize(
    "properties",
    [
        {"Only": {"rich_text": {}}},
        {"A": {"title": {}}, "B": {"title": {}}},
        {"A": {"title": {}}, "B": {"nonsense": {}}},
        {"A": {"title": {}}, "B": {"number": {"format": "shilling"}}},
        {"A": {"title": {}}, "B": {"select": {"options": [{"name": "a,b"}]}}},
        {"A": {"title": {}}, "B": {"select": {"options": [{"name": "High"}, {"name": "high"}]}}},
        {"A": {"title": {}}, "B": {"select": {"options": [{"name": "High", "color": "magenta"}]}}},
        {"A": {"title": {}}, "B": {"select": {"options": [{"name": str(n)} for n in range(101)]}}},
        {"A": {"title": {}}, "B": {"formula": {"expression": "1"}}},
    ],
)
async def test_a_bad_schema_is_refused_and_leaves_nothing(sandbox: Sandbox, notion: Notion, properties: Json) -> None:
    with pytest.raises(APIResponseError) as caught:
        await make_table(sandbox, notion, "Bad", properties)

    assert (caught.value.status, caught.value.code) == (400, "validation_error")
    assert sandbox.people.databases() == []


async def test_property_ids_are_short_and_url_encoded(notion: Notion, people_table: Table) -> None:
    properties = await schema(notion, people_table)

    assert properties["Name"]["id"] == "title"
    ids = [prop["id"] for name, prop in properties.items() if name != "Name"]
    assert all("%" in property_id for property_id in ids)
    assert len(set(ids)) == len(ids)


async def test_renaming_a_property_by_name_or_id_keeps_id_and_values(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann", Email={"email": "ann@example.org"})
    before = (await schema(notion, people_table))["Email"]["id"]

    await change(notion, people_table, {"Email": {"name": "E-mail"}})
    await change(notion, people_table, {before: {"name": "Mail"}})

    assert (await schema(notion, people_table))["Mail"]["id"] == before
    read = await notion.pages.retrieve(page["id"])
    assert read["properties"]["Mail"] == {"id": before, "type": "email", "email": "ann@example.org"}


async def test_null_removes_a_property_and_its_values(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann", Budget={"number": 5})
    before = (await schema(notion, people_table))["Budget"]["id"]

    await change(notion, people_table, {"Budget": None})
    await change(notion, people_table, {"Budget": {"number": {}}})

    budget = (await notion.pages.retrieve(page["id"]))["properties"]["Budget"]
    assert budget["number"] is None
    assert budget["id"] != before


@pytest.mark.parametrize(
    ("name", "written", "kind", "read"),
    [
        ("System ID", {"rich_text": text("12.5")}, "number", 12.5),
        ("System ID", {"rich_text": text("twelve")}, "number", None),
        ("System ID", {"rich_text": text("yes")}, "checkbox", True),
        (
            "System ID",
            {"rich_text": text("2026-09-15")},
            "date",
            {"start": "2026-09-15", "end": None, "time_zone": None},
        ),
        ("Budget", {"number": 8}, "email", "8"),
    ],
)
async def test_retyping_reads_the_value_as_text_again(
    notion: Notion, people_table: Table, name: str, written: Json, kind: str, read: Any
) -> None:
    page = await add_row(notion, people_table, "Ann", **{name: written})

    await change(notion, people_table, {name: {kind: {}}})

    assert (await notion.pages.retrieve(page["id"]))["properties"][name][kind] == read


async def test_retyping_to_select_makes_options_of_the_texts(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann", **{"System ID": {"rich_text": text("North")}})

    await change(notion, people_table, {"System ID": {"select": {}}})

    assert (await notion.pages.retrieve(page["id"]))["properties"]["System ID"]["select"]["name"] == "North"


async def test_the_title_can_be_neither_removed_nor_retyped_nor_doubled(notion: Notion, people_table: Table) -> None:
    assert "title" in await refusal(notion, people_table, {"Name": None})
    assert "title" in await refusal(notion, people_table, {"Name": {"rich_text": {}}})
    assert "title" in await refusal(notion, people_table, {"Email": {"title": {}}})
    assert "title" in await refusal(notion, people_table, {"Second": {"title": {}}})


async def test_a_schema_update_that_fails_changes_nothing(notion: Notion, people_table: Table) -> None:
    before = await schema(notion, people_table)

    assert "commas" in await refusal(
        notion, people_table, {"Email": None, "New": {"select": {"options": [{"name": "a,b"}]}}}
    )
    assert "exists" in await refusal(notion, people_table, {"Missing": {"name": "Other"}})
    assert "exists" in await refusal(notion, people_table, {"Email": {"name": "Day"}})
    assert await schema(notion, people_table) == before


async def test_option_lists_replace_and_rows_lose_what_is_gone(notion: Notion, people_table: Table) -> None:
    active = await add_row(notion, people_table, "Ann", Status={"select": {"name": "Active"}})
    inactive = await add_row(notion, people_table, "Bob", Status={"select": {"name": "Inactive"}})
    before = {option["name"]: option for option in (await schema(notion, people_table))["Status"]["select"]["options"]}

    await change(notion, people_table, {"Status": {"select": {"options": [{"name": "Active"}, {"name": "Paused"}]}}})

    after = {option["name"]: option for option in (await schema(notion, people_table))["Status"]["select"]["options"]}
    assert list(after) == ["Active", "Paused"]
    assert after["Active"] == before["Active"]
    kept = (await notion.pages.retrieve(active["id"]))["properties"]["Status"]["select"]
    assert kept == {"id": before["Active"]["id"], "name": "Active", "color": "green"}
    assert (await notion.pages.retrieve(inactive["id"]))["properties"]["Status"]["select"] is None


async def test_an_options_colour_and_name_stay_as_they_are(notion: Notion, people_table: Table) -> None:
    options = (await schema(notion, people_table))["Status"]["select"]["options"]

    recoloured = [{"id": options[0]["id"], "color": "red"}]
    assert "Cannot update color" in await refusal(notion, people_table, {"Status": {"select": {"options": recoloured}}})
    renamed = [{"id": options[0]["id"], "name": "Alive"}, options[1]]
    await change(notion, people_table, {"Status": {"select": {"options": renamed}}})
    assert (await schema(notion, people_table))["Status"]["select"]["options"] == options


async def test_a_status_starts_with_three_options_in_groups(notion: Notion, people_table: Table) -> None:
    await change(notion, people_table, {"State": {"status": {}}})

    status = (await schema(notion, people_table))["State"]["status"]
    assert [option["name"] for option in status["options"]] == ["Not started", "In progress", "Done"]
    assert [group["name"] for group in status["groups"]] == ["To-do", "In progress", "Complete"]


async def test_a_number_format_can_be_changed(notion: Notion, people_table: Table) -> None:
    assert (await schema(notion, people_table))["Budget"]["number"] == {"format": "australian_dollar"}

    await change(notion, people_table, {"Budget": {"number": {"format": "percent"}}})

    assert (await schema(notion, people_table))["Budget"]["number"] == {"format": "percent"}


async def test_a_schema_has_a_largest_size(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    sandbox.switches.schema_limit_bytes = 2000

    message = await refusal(
        notion, people_table, {"Wide": {"select": {"options": [{"name": f"Option {n}"} for n in range(50)]}}}
    )

    assert "Wide" in message
    assert "bytes" in message


async def test_people_rename_and_remove_options_for_all_rows(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    page = await add_row(notion, people_table, "Ann", Status={"select": {"name": "Active"}})
    option_id = page["properties"]["Status"]["select"]["id"]

    sandbox.people.rename_option("Participants", "Status", "Active", "Aktiv")
    renamed = (await notion.pages.retrieve(page["id"]))["properties"]["Status"]["select"]
    sandbox.people.remove_option("Participants", "Status", "Aktiv")
    removed = (await notion.pages.retrieve(page["id"]))["properties"]["Status"]["select"]

    assert renamed == {"id": option_id, "name": "Aktiv", "color": "green"}
    assert removed is None
