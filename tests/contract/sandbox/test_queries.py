"""Queries: filters, sorts, cursors, the cap, lag, and an order that nobody may rely on."""

from __future__ import annotations

from typing import Any

import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Api, Clock, Json, Notion, Table, add_row, make_table, names, plain, text


@pytest.fixture
async def rows(sandbox: Sandbox, notion: Notion, people_table: Table, clock: Clock) -> list[Json]:
    tom = sandbox.state.person("Tom Baker")["id"]
    made = [
        await add_row(
            notion, people_table, "Ann",
            Email={"email": "ann@example.org"}, Budget={"number": 10}, Status={"select": {"name": "Active"}},
            Tags={"multi_select": [{"name": "A"}, {"name": "B"}]}, Day={"date": {"start": "2026-09-10"}},
            Done={"checkbox": True}, Who={"people": [{"id": tom}]},
        )
    ]  # fmt: skip
    clock.move(600)
    made.append(
        await add_row(
            notion, people_table, "Bob",
            Email={"email": "bob@example.com"}, Budget={"number": 20}, Status={"select": {"name": "Inactive"}},
            Tags={"multi_select": [{"name": "B"}]}, Day={"date": {"start": "2026-09-20T23:00:00-02:00"}},
        )
    )  # fmt: skip
    clock.move(600)
    made.append(await add_row(notion, people_table, "Cyd"))
    return made


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"property": "Name", "title": {"equals": "Ann"}}, "Ann"),
        ({"property": "Name", "rich_text": {"equals": "Ann"}}, "Ann"),
        ({"property": "title", "title": {"does_not_equal": "Ann"}}, "Bob Cyd"),
        ({"property": "Email", "email": {"contains": "EXAMPLE"}}, "Ann Bob"),
        ({"property": "Email", "email": {"does_not_contain": ".com"}}, "Ann Cyd"),
        ({"property": "Email", "email": {"starts_with": "bob"}}, "Bob"),
        ({"property": "Email", "email": {"ends_with": ".org"}}, "Ann"),
        ({"property": "Email", "email": {"is_empty": True}}, "Cyd"),
        ({"property": "Email", "email": {"is_not_empty": True}}, "Ann Bob"),
        ({"property": "Budget", "number": {"equals": 10}}, "Ann"),
        ({"property": "Budget", "number": {"does_not_equal": 10}}, "Bob Cyd"),
        ({"property": "Budget", "number": {"greater_than": 10}}, "Bob"),
        ({"property": "Budget", "number": {"greater_than_or_equal_to": 10}}, "Ann Bob"),
        ({"property": "Budget", "number": {"less_than": 20}}, "Ann"),
        ({"property": "Budget", "number": {"less_than_or_equal_to": 20}}, "Ann Bob"),
        ({"property": "Budget", "number": {"is_empty": True}}, "Cyd"),
        ({"property": "Done", "checkbox": {"equals": True}}, "Ann"),
        ({"property": "Done", "checkbox": {"does_not_equal": True}}, "Bob Cyd"),
        ({"property": "Status", "select": {"equals": "Active"}}, "Ann"),
        ({"property": "Status", "select": {"equals": ["Active", "Inactive"]}}, "Ann Bob"),
        ({"property": "Status", "select": {"does_not_equal": "Active"}}, "Bob Cyd"),
        ({"property": "Status", "select": {"is_empty": True}}, "Cyd"),
        ({"property": "Tags", "multi_select": {"contains": "B"}}, "Ann Bob"),
        ({"property": "Tags", "multi_select": {"does_not_contain": "A"}}, "Bob Cyd"),
        ({"property": "Day", "date": {"equals": "2026-09-10"}}, "Ann"),
        ({"property": "Day", "date": {"after": "2026-09-20"}}, "Bob"),
        ({"property": "Day", "date": {"before": "2026-09-21T01:00:00.001Z"}}, "Ann Bob"),
        ({"property": "Day", "date": {"before": "2026-09-21T01:00:00Z"}}, "Ann"),
        ({"property": "Day", "date": {"on_or_before": "2026-09-10"}}, "Ann"),
        ({"property": "Day", "date": {"on_or_after": "2026-09-21T01:00:00+00:00"}}, "Bob"),
        ({"property": "Day", "date": {"past_week": {}}}, "Bob"),
        ({"property": "Day", "date": {"this_week": {}}}, "Bob"),
        ({"property": "Day", "date": {"next_week": {}}}, "Bob"),
        ({"property": "Day", "date": {"on_or_before": "one_week_ago"}}, "Ann"),
        ({"property": "Day", "date": {"is_empty": True}}, "Cyd"),
        ({"property": "Who", "people": {"contains": "TOM"}}, "Ann"),
        ({"property": "Who", "people": {"does_not_contain": "TOM"}}, "Bob Cyd"),
        ({"property": "Who", "people": {"contains": "me"}}, ""),
        ({"timestamp": "created_time", "created_time": {"before": "2026-09-21T14:20:00Z"}}, "Ann"),
        ({"timestamp": "last_edited_time", "last_edited_time": {"on_or_after": "2026-09-21T14:23:00.000Z"}}, "Bob Cyd"),
        ({"timestamp": "last_edited_time", "last_edited_time": {"after": "2026-09-21T14:23:00.000Z"}}, "Cyd"),
        ({"or": [{"property": "Name", "title": {"equals": "Ann"}}, {"property": "Name", "title": {"equals": "Cyd"}}]},
         "Ann Cyd"),
        ({"and": [{"property": "Budget", "number": {"is_not_empty": True}},
                  {"or": [{"property": "Done", "checkbox": {"equals": True}},
                          {"property": "Budget", "number": {"greater_than": 100}}]}]}, "Ann"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("rows")
async def test_filters_find_what_they_say(
    sandbox: Sandbox, notion: Notion, people_table: Table, condition: Json, found: str
) -> None:
    if condition.get("property") == "Who":
        wanted = condition["people"]
        tom = sandbox.state.person("Tom Baker")["id"]
        condition = {**condition, "people": {key: tom if value == "TOM" else value for key, value in wanted.items()}}

    assert sorted(await names(notion, people_table, filter=condition)) == found.split()


@pytest.mark.parametrize(
    "query",
    [
        {"filter": {"property": "Missing", "title": {"equals": "x"}}},
        {"filter": {"property": "Budget", "rich_text": {"equals": "x"}}},
        {"filter": {"property": "Budget", "number": {"equals": "x"}}},
        {"filter": {"property": "Budget", "number": {"contains": 5}}},
        {"filter": {"property": "Name", "title": {"equals": "x", "contains": "y"}}},
        {"filter": {"property": "Name", "title": {"is_empty": False}}},
        {"filter": {"property": "Day", "date": {"after": "soon"}}},
        {"filter": {"timestamp": "edited", "edited": {"after": "2026-01-01"}}},
        {"filter": {"timestamp": "created_time", "property": "Name", "created_time": {"after": "2026-01-01"}}},
        {"filter": {"or": [{"and": [{"or": [{"property": "Name", "title": {"equals": "x"}}]}]}]}},
        {"filter": {}},
        {"sorts": [{"property": "Missing", "direction": "ascending"}]},
        {"sorts": [{"property": "Name"}]},
        {"sorts": [{"timestamp": "edited", "direction": "ascending"}]},
        {"page_size": 0},
        {"page_size": 101},
        {"page_size": "10"},
        {"start_cursor": "nonsense"},
        {"colour": "red"},
    ],
)
async def test_bad_queries_are_refused(api: Api, people_table: Table, query: Json) -> None:
    answer = await api("POST", f"/v1/data_sources/{people_table.source_id}/query", query)

    assert (answer.status, answer.code) == (400, "validation_error")


@pytest.mark.parametrize(
    ("sorts", "order"),
    [
        ([{"property": "Name", "direction": "descending"}], "Cyd Bob Ann"),
        ([{"property": "Budget", "direction": "ascending"}], "Ann Bob Cyd"),
        ([{"property": "Budget", "direction": "descending"}], "Bob Ann Cyd"),
        ([{"property": "Status", "direction": "ascending"}], "Ann Bob Cyd"),
        ([{"property": "Day", "direction": "descending"}], "Bob Ann Cyd"),
        ([{"timestamp": "created_time", "direction": "descending"}], "Cyd Bob Ann"),
        (
            [{"property": "Done", "direction": "ascending"}, {"property": "Name", "direction": "descending"}],
            "Cyd Bob Ann",
        ),
    ],
)
@pytest.mark.usefixtures("rows")
async def test_sorts_order_rows_with_the_empty_last(
    notion: Notion, people_table: Table, sorts: list[Json], order: str
) -> None:
    assert await names(notion, people_table, sorts=sorts) == order.split()


async def many(notion: Notion, table: Table, count: int) -> list[str]:
    for number in range(count):
        await add_row(notion, table, f"{number:02}")
    return [f"{number:02}" for number in range(count)]


async def walk(notion: Notion, table: Table, **query: Any) -> tuple[list[str], list[Json]]:
    """Return (names, answers) of all pages of a query."""
    answers: list[Json] = [await notion.data_sources.query(table.source_id, **query)]
    while answers[-1]["has_more"]:
        cursor = answers[-1]["next_cursor"]
        answers.append(await notion.data_sources.query(table.source_id, start_cursor=cursor, **query))
    found = [plain(row["properties"]["Name"]["title"]) for answer in answers for row in answer["results"]]
    return found, answers


async def test_cursors_walk_every_row_once(notion: Notion, people_table: Table) -> None:
    made = await many(notion, people_table, 12)

    found, answers = await walk(notion, people_table, page_size=5)

    assert sorted(found) == made
    assert [len(answer["results"]) for answer in answers] == [5, 5, 2]
    assert (answers[-1]["next_cursor"], answers[-1]["request_status"]) == (None, {"type": "complete"})
    assert (answers[0]["object"], answers[0]["type"]) == ("list", "page_or_data_source")


async def test_a_cursor_of_another_list_or_a_changed_one_is_refused(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    await many(notion, people_table, 3)
    other = await make_table(sandbox, notion, "Other")
    cursor = (await notion.data_sources.query(people_table.source_id, page_size=1))["next_cursor"]

    for source_id, wrong in ((other.source_id, cursor), (people_table.source_id, cursor[:-4] + "AAA=")):
        with pytest.raises(APIResponseError, match="start_cursor"):
            await notion.data_sources.query(source_id, start_cursor=wrong)


async def test_a_row_trashed_between_pages_shifts_nothing(notion: Notion, people_table: Table) -> None:
    pages = [await add_row(notion, people_table, name) for name in ("a", "b", "c", "d")]
    query = {"page_size": 2, "sorts": [{"property": "Name", "direction": "ascending"}]}
    first = await notion.data_sources.query(people_table.source_id, **query)

    await notion.pages.update(pages[0]["id"], in_trash=True)

    assert await names(notion, people_table, start_cursor=first["next_cursor"], **query) == ["c", "d"]


async def test_the_order_without_sorts_changes_from_query_to_query(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    made = await many(notion, people_table, 8)

    orders = {tuple(await names(notion, people_table)) for _ in range(4)}

    assert len(orders) > 1
    sandbox.switches.shuffle_unsorted = False
    assert await names(notion, people_table) == made


async def test_pages_may_be_short(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    made = await many(notion, people_table, 12)
    sandbox.switches.short_pages = True

    found, answers = await walk(notion, people_table, page_size=6)

    assert sorted(found) == made
    assert any(len(answer["results"]) < 6 for answer in answers[:-1])


async def test_rows_beyond_the_cap_are_out_of_reach_and_every_page_says_so(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    await many(notion, people_table, 9)
    sandbox.switches.query_result_cap = 7

    found, answers = await walk(notion, people_table, page_size=3)

    assert len(found) == 7
    incomplete = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
    assert [answer["request_status"] for answer in answers] == [incomplete] * 3
    assert answers[-1]["has_more"] is False


@pytest.mark.parametrize("switches", [{"query_lag_s": 5.0}, {"query_lag_queries": 2}])
async def test_queries_lag_behind_new_updated_and_trashed_rows(
    sandbox: Sandbox, notion: Notion, people_table: Table, monotonic: Clock, switches: dict[str, Any]
) -> None:
    edited, trashed = await add_row(notion, people_table, "old"), await add_row(notion, people_table, "gone")
    sandbox.switches.update(switches)

    await notion.pages.update(edited["id"], properties={"Name": {"title": text("new")}})
    await notion.pages.update(trashed["id"], in_trash=True)
    await add_row(notion, people_table, "added")

    assert plain((await notion.pages.retrieve(edited["id"]))["properties"]["Name"]["title"]) == "new"
    assert sorted(await names(notion, people_table)) == ["gone", "old"]
    assert await names(notion, people_table, filter={"property": "Name", "title": {"equals": "added"}}) == []
    monotonic.move(6)
    assert sorted(await names(notion, people_table)) == ["added", "new"]


async def test_archived_rows_are_a_list_of_their_own(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")

    sandbox.people.archive(page["id"])

    assert await names(notion, people_table) == []
    listed = await notion.request(
        path=f"data_sources/{people_table.source_id}/query", method="POST", body={"is_archived": True}
    )
    assert [row["id"] for row in listed["results"]] == [page["id"]]
    assert listed["results"][0]["in_trash"] is False
