"""Property values: what is written, what is refused, and how it reads back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import (
    NOBODY,
    Api,
    Json,
    Notion,
    Table,
    add_row,
    make_table,
    plain,
    read_back,
    refusal,
    text,
)


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("Budget", {"number": 8}, 8),
        ("Budget", {"number": 8.5}, 8.5),
        ("Budget", {"number": 9007199254740993}, 9007199254740992),
        ("Budget", {"number": -0.1}, -0.1),
        ("Budget", {"number": None}, None),
        ("Email", {"email": " Ann@Example.org"}, " Ann@Example.org"),
        ("Email", {"email": None}, None),
        ("Phone", {"phone_number": "+61 400 000 000"}, "+61 400 000 000"),
        ("Site", {"url": "https://example.org"}, "https://example.org"),
        ("Done", {"checkbox": True}, True),
        ("Status", {"select": None}, None),
        ("Tags", {"multi_select": []}, []),
        ("Who", {"people": []}, []),
        ("Day", {"date": None}, None),
        ("Email", {"type": "email", "email": "a@b.c"}, "a@b.c"),
    ],
)
async def test_values_read_back(notion: Notion, people_table: Table, name: str, written: Json, read: Any) -> None:
    value = await read_back(notion, people_table, name, written)

    assert (value, type(value)) == (read, type(read))


async def test_numbers_are_doubles_on_the_wire(api: Api, people_table: Table) -> None:
    body = {"parent": {"data_source_id": people_table.source_id}, "properties": {"Budget": {"number": 1250.0}}}

    answer = await api("POST", "/v1/pages", body)
    too_large = await api("POST", "/v1/pages", raw=json.dumps(body).replace("1250.0", "1e400").encode())

    assert '"number":1250}' in answer.text
    assert (too_large.status, too_large.code) == (400, "validation_error")


async def test_values_that_were_not_written_are_empty(notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table)

    values = {name: value[value["type"]] for name, value in page["properties"].items()}
    assert values == {
        "Name": [], "System ID": [], "Email": None, "Budget": None, "Status": None, "Tags": [], "Day": None,
        "Done": False, "Phone": None, "Site": None, "Who": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "read"),
    [
        ("2026-09-15", "2026-09-15"),
        ("2026-09-15T09:00:00+10:00", "2026-09-15T09:00:00.000+10:00"),
        ("2026-09-15T09:00:00.123456-03:30", "2026-09-15T09:00:00.123-03:30"),
        ("2026-09-15T09:00:00Z", "2026-09-15T09:00:00.000+00:00"),
        ("2026-09-15T09:00", "2026-09-15T09:00:00.000+00:00"),
    ],
)
async def test_dates_keep_their_day_or_their_offset(notion: Notion, people_table: Table, start: str, read: str) -> None:
    value = await read_back(notion, people_table, "Day", {"date": {"start": start}})

    assert value == {"start": read, "end": None, "time_zone": None}


async def test_a_time_zone_becomes_an_offset(notion: Notion, people_table: Table) -> None:
    written = {"start": "2026-01-15T09:00:00", "end": "2026-07-15T09:00:00", "time_zone": "Australia/Sydney"}

    value = await read_back(notion, people_table, "Day", {"date": written})

    assert value == {
        "start": "2026-01-15T09:00:00.000+11:00",
        "end": "2026-07-15T09:00:00.000+10:00",
        "time_zone": None,
    }


@pytest.mark.parametrize(
    "written",
    [
        {"start": "15/09/2026"},
        {"start": "2026-02-30"},
        {"start": "2026-09-15T25:00:00Z"},
        {"start": 5},
        {"end": "2026-09-15"},
        {"start": "2026-09-15", "time_zone": "Australia/Sydney"},
        {"start": "2026-09-15T09:00:00Z", "time_zone": "Australia/Sydney"},
        {"start": "2026-09-15T09:00:00", "time_zone": "Nowhere/Special"},
        {"start": "2026-09-15", "end": "2026-09-16T09:00:00Z"},
    ],
)
async def test_bad_dates_are_refused(notion: Notion, people_table: Table, written: Json) -> None:
    assert "body.properties.Day.date" in await refusal(notion, people_table, "Day", {"date": written})


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("Missing", {"number": 1}, "Missing is not a property that exists."),
        ("Budget", {"rich_text": []}, "Budget is expected to be number."),
        ("Budget", {"number": "5"}, "body.properties.Budget.number should be a number"),
        ("Budget", {"number": True}, "body.properties.Budget.number should be a number"),
        ("Budget", None, "body.properties.Budget should be an object"),
        ("Budget", {}, "body.properties.Budget.number should be defined"),
        ("Done", {"checkbox": None}, "body.properties.Done.checkbox should be a boolean"),
        ("Email", {"email": ""}, "body.properties.Email.email should be populated"),
        ("Email", {"email": "x" * 201}, "email.length should be ≤ `200`, instead was `201`"),
        ("Phone", {"phone_number": "5" * 201}, "phone_number.length should be ≤ `200`, instead was `201`"),
        ("Site", {"url": "u" * 2001}, "url.length should be ≤ `2000`, instead was `2001`"),
        ("Status", {"select": {"name": "a,b"}}, "Invalid select option, commas not allowed: a,b"),
        ("Status", {"select": {"name": "n" * 101}}, "name.length should be ≤ `100`"),
        ("Status", {"select": {"id": "unknown"}}, "Status has no option with id"),
        ("Tags", {"multi_select": [{"name": str(n)} for n in range(101)]}, "multi_select.length should be ≤ `100`"),
        ("Who", {"people": [{"id": NOBODY}]}, "Could not find user"),
        ("Who", {"people": [{"id": NOBODY}] * 101}, "people.length should be ≤ `100`, instead was `101`"),
        ("Name", {"title": text("x") * 101}, "title.length should be ≤ `100`, instead was `101`"),
        ("Name", {"title": [{"text": {"content": "x", "link": {"url": "u" * 2001}}}]}, "url.length should be ≤ `2000`"),
        ("Name", {"title": [{"text": {}}]}, "text.content should be defined"),
        ("Name", {"title": "Ann"}, "body.properties.Name.title should be an array"),
    ],
)
async def test_unfit_values_are_refused_by_path(
    notion: Notion, people_table: Table, name: str, written: Any, said: str
) -> None:
    assert said in await refusal(notion, people_table, name, written)


async def test_select_makes_unknown_options_and_finds_known_ones(notion: Notion, people_table: Table) -> None:
    made = await read_back(notion, people_table, "Status", {"select": {"name": "Paused"}})
    again = await read_back(notion, people_table, "Status", {"select": {"name": "paused"}})
    by_id = await read_back(notion, people_table, "Status", {"select": {"id": made["id"]}})
    tags = await read_back(notion, people_table, "Tags", {"multi_select": [{"name": "A"}, {"name": "B"}]})

    assert made == again == by_id
    assert set(made) == {"id", "name", "color"}
    assert [tag["name"] for tag in tags] == ["A", "B"]
    source = await notion.data_sources.retrieve(people_table.source_id)
    options = source["properties"]["Status"]["select"]["options"]
    assert [option["name"] for option in options] == ["Active", "Inactive", "Paused"]


async def test_a_refused_request_makes_no_option(notion: Notion, people_table: Table) -> None:
    with pytest.raises(APIResponseError):
        await add_row(notion, people_table, "Ann", Status={"select": {"name": "New"}}, Budget={"number": "x"})

    source = await notion.data_sources.retrieve(people_table.source_id)
    assert len(source["properties"]["Status"]["select"]["options"]) == 2


async def test_status_never_makes_options(sandbox: Sandbox, notion: Notion) -> None:
    table = await make_table(sandbox, notion, "Tasks", {"Name": {"title": {}}, "State": {"status": {}}})

    assert (await read_back(notion, table, "State", {"status": {"name": "Done"}}))["name"] == "Done"
    assert "Invalid status" in await refusal(notion, table, "State", {"status": {"name": "Doing"}})


async def test_read_only_properties_are_refused_and_still_read(sandbox: Sandbox, notion: Notion) -> None:
    table = await make_table(
        sandbox,
        notion,
        "Tasks",
        {
            "Name": {"title": {}},
            "Made": {"created_time": {}},
            "By": {"created_by": {}},
            "No": {"unique_id": {"prefix": "T"}},
        },
    )

    for name, written in (("Made", {"created_time": "2026-01-01T00:00:00.000Z"}), ("No", {"unique_id": {"number": 1}})):
        assert "Fix one" in await refusal(notion, table, name, written)
    await add_row(notion, table, "A")
    second = (await add_row(notion, table, "B"))["properties"]
    assert second["No"]["unique_id"] == {"prefix": "T", "number": 2}
    assert second["By"]["created_by"]["id"] == sandbox.state.bot_id
    assert second["Made"]["created_time"].endswith(":00.000Z")


async def test_external_files_read_back(sandbox: Sandbox, notion: Notion) -> None:
    table = await make_table(sandbox, notion, "Papers", {"Name": {"title": {}}, "Files": {"files": {}}})
    written = {"name": "a.pdf", "type": "external", "external": {"url": "https://example.org/a.pdf"}}

    assert await read_back(notion, table, "Files", {"files": [written]}) == [written]
    assert "not simulated" in await refusal(
        notion, table, "Files", {"files": [{"name": "b", "file_upload": {"id": NOBODY}}]}
    )


async def test_properties_may_be_keyed_by_id_but_not_twice(notion: Notion, people_table: Table) -> None:
    budget_id = (await notion.data_sources.retrieve(people_table.source_id))["properties"]["Budget"]["id"]

    page = await add_row(notion, people_table, "Ann", **{budget_id: {"number": 7}})

    assert page["properties"]["Budget"]["number"] == 7
    with pytest.raises(APIResponseError, match="a second time"):
        await add_row(notion, people_table, "Ann", **{budget_id: {"number": 7}, "Budget": {"number": 8}})


async def test_normalisation_trims_text_drops_millis_and_lowers_email(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    sandbox.switches.normalise = True

    page = await add_row(
        notion,
        people_table,
        "  Ann  ",
        Email={"email": "Ann@Example.ORG"},
        Day={"date": {"start": "2026-09-15T09:00:00.123Z"}},
        **{"System ID": {"rich_text": [*text("  a "), *text(" b "), *text("  ")]}},
    )

    values = page["properties"]
    assert plain(values["Name"]["title"]) == "Ann"
    assert plain(values["System ID"]["rich_text"]) == "a  b"
    assert values["Email"]["email"] == "ann@example.org"
    assert values["Day"]["date"]["start"] == "2026-09-15T09:00:00.000+00:00"
