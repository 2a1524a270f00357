"""Junk in any place of a body is the client's mistake, never the server's."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from deploy.sandbox.control import ACTIONS
from deploy.sandbox.errors import NotionError
from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Api, Json, Notion, Table, add_row, text

JUNK: tuple[Any, ...] = (None, True, 5, -1.5, "", "junk", "2026-13-01", [], ["junk"], [None], {}, {"junk": 1}, [[]])


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value inside `node`."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


async def test_no_junk_breaks_the_server(sandbox: Sandbox, notion: Notion, api: Api, people_table: Table) -> None:
    page = await add_row(notion, people_table, "Ann")
    tom = sandbox.state.person("Tom Baker")["id"]
    values: Json = {
        "Name": {"title": [{"text": {"content": "x", "link": {"url": "u"}}, "annotations": {"bold": True}}]},
        "Email": {"type": "email", "email": "a@b.c"},
        "Status": {"select": {"name": "Active"}},
        "Tags": {"multi_select": [{"name": "A"}]},
        "Day": {"date": {"start": "2026-09-15T10:00:00", "end": None, "time_zone": "Australia/Sydney"}},
        "Who": {"people": [{"id": tom}]},
    }
    relation = {"data_source_id": people_table.source_id, "dual_property": {}}
    schema: Json = {
        "New": {"select": {"options": [{"name": "A", "color": "red", "description": "d"}]}},
        "Sum": {"type": "number", "number": {"format": "dollar"}},
        "State": {"status": {"options": [{"name": "A"}]}},
        "Other": {"relation": relation},
        "Email": {"name": "Mail"},
    }
    condition = {"property": "Status", "select": {"equals": ["Active"]}}
    since = {"timestamp": "created_time", "created_time": {"after": "2026-01-01"}}
    requests: tuple[tuple[str, str, Json], ...] = (
        ("POST", "/v1/pages", {"parent": {"type": "data_source_id", "data_source_id": people_table.source_id},
                               "properties": values, "icon": {"type": "emoji", "emoji": "🌱"}}),
        ("PATCH", f"/v1/pages/{page['id']}", {"properties": values, "in_trash": False, "is_locked": True}),
        ("POST", "/v1/databases", {"parent": {"type": "page_id", "page_id": sandbox.parent_page_id},
                                   "title": text("T"), "is_inline": True,
                                   "initial_data_source": {"properties": {"Name": {"title": {}}, **schema}}}),
        ("PATCH", f"/v1/data_sources/{people_table.source_id}", {"title": text("T"), "properties": schema}),
        ("POST", f"/v1/data_sources/{people_table.source_id}/query",
         {"filter": {"and": [condition, {"or": [since]}]}, "page_size": 5, "start_cursor": None,
          "sorts": [{"property": "Name", "direction": "ascending"},
                    {"timestamp": "created_time", "direction": "descending"}]}),
        ("POST", "/v1/comments", {"parent": {"page_id": page["id"]}, "rich_text": text("T")}),
        ("POST", "/v1/views", {"database_id": people_table.database_id, "data_source_id": people_table.source_id,
                               "name": "V", "type": "table", "filter": {"and": [condition]}, "configuration": {},
                               "sorts": [{"property": "Name", "direction": "ascending"}]}),
        ("POST", "/v1/search", {"query": "x", "filter": {"property": "object", "value": "page"}, "page_size": 2}),
    )  # fmt: skip
    rng = random.Random(12)

    for method, path, body in requests:
        for index in range(sum(1 for _ in places(body))):
            for junk in rng.sample(JUNK, k=3):
                spoilt = copy.deepcopy(body)
                container, key = list(places(spoilt))[index]
                container[key] = copy.deepcopy(junk)
                answer = await api(method, path, spoilt)
                assert answer.status in (200, 400, 404), (method, path, spoilt, answer.text)


async def test_no_junk_breaks_the_persons_side(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    page_id = (await add_row(notion, people_table, "Ann"))["id"]
    names = {"page": page_id, "database": "Participants", "target": page_id, "prop": "Status", "option": "Active"}
    rng = random.Random(12)
    async with aiohttp.ClientSession(sandbox.url) as session:
        for action in ACTIONS:
            for _ in range(30):
                takes = inspect.signature(getattr(sandbox.people, action)).parameters
                arguments = {
                    name: rng.choice((*JUNK, names.get(name), sandbox.parent_page_id)) if rng.random() < 0.5
                    else names.get(name)
                    for name in takes
                }
                async with session.post(f"/sandbox/people/{action}", json=arguments) as answer:
                    assert answer.status in (200, 400), (action, arguments, await answer.text())


async def test_nothing_is_moved_below_itself(sandbox: Sandbox, api: Api, people_table: Table) -> None:
    with pytest.raises(NotionError, match="into itself"):
        sandbox.people.move(sandbox.parent_page_id, "Participants")
    page_id = sandbox.people.create("Participants", {"Name": "Ann"})

    answer = await api("PATCH", f"/v1/databases/{people_table.database_id}", {"parent": {"page_id": page_id}})

    assert (answer.status, answer.code) == (400, "validation_error")
    assert sandbox.people.row(page_id)["properties"]["Name"] == "Ann"
