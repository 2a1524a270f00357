"""The stand-in's page for people: what it is made of, and the rows that it shows."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Notion, Table, make_table


async def test_the_page_and_its_files_are_served_and_run_nothing_else(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(sandbox.url) as client:
        async with client.get("/sandbox/workspace") as page:
            html, policy = await page.text(), page.headers["Content-Security-Policy"]
        statuses = []
        for name in ("workspace.js", "cells.js", "workspace.css", "icon.svg"):
            assert f"/sandbox/files/{name}" in html
            async with client.get(f"/sandbox/files/{name}") as answer:
                statuses.append(answer.status)

    assert statuses == [200] * 4
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_a_board_has_columns_with_options_and_rows_with_titles(
    sandbox: Sandbox, notion: Notion, people_table: Table
) -> None:
    relation = {"data_source_id": people_table.source_id, "single_property": {}}
    await make_table(sandbox, notion, "Plans", {"Number": {"title": {}}, "Who": {"relation": relation}})
    ana = sandbox.people.create("Participants", {"Name": "Ana", "Status": "Active"})
    sandbox.people.create("Plans", {"Number": "P-1", "Who": [ana]})

    people = await board(sandbox, "Participants")
    plan = await board(sandbox, "Plans")

    status = next(column for column in people["columns"] if column["name"] == "Status")
    assert people["columns"][0]["type"] == "title"
    assert [option["name"] for option in status["options"]] == ["Active", "Inactive"]
    assert (people["rows"][0]["cells"]["Name"], people["rows"][0]["cells"]["Status"]) == ("Ana", "Active")
    assert plan["rows"][0]["cells"]["Who"] == ["Ana"]
    assert plan["title"] == "Plans"


@pytest.mark.parametrize(("find", "names"), [("", {"Ana", "Ben"}), ("ANA", {"Ana"}), ("nobody", set())])
async def test_rows_are_found_by_any_text(
    sandbox: Sandbox, people_table: Table, find: str, names: set[str]
) -> None:
    sandbox.people.create("Participants", {"Name": "Ana"})
    sandbox.people.create("Participants", {"Name": "Ben"})
    gone = sandbox.people.create("Participants", {"Name": "Ana too"})
    sandbox.people.trash(gone)

    found = await board(sandbox, "Participants", find)

    assert {row["cells"]["Name"] for row in found["rows"]} == names
    assert found["count"] == len(names)


async def test_a_database_that_is_not_there_is_told(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(sandbox.url) as client, client.get("/sandbox/board?database=None") as answer:
        assert answer.status == 400


async def board(sandbox: Sandbox, database: str, find: str = "") -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(sandbox.url) as client,
        client.get("/sandbox/board", params={"database": database, "find": find}) as answer,
    ):
        told: dict[str, Any] = await answer.json()
    return told
