"""What the sandbox's tests share: a movable clock, a raw client, and short forms of requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox

Json = dict[str, Any]
Notion = Any
"""notion-client's AsyncClient. Its methods are typed as sync or async at once, which strict mode can't await."""

VERSION = "2026-03-11"
OLDER = "2025-09-03"
TOKEN = "ntn_test"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Clock:
    """Seconds that move only when a test says so."""

    def __init__(self, now_s: float = 1_790_000_003.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def move(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the body as text, and as JSON where it is JSON."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Json:
        parsed: Json = json.loads(self.text)
        return parsed

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Api:
    """Requests as they are on the wire, for what a client library would not let through."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox) -> None:
        self._session = session
        self._sandbox = sandbox

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = VERSION,
        token: str | None = TOKEN,
        raw: bytes | None = None,
        timeout_s: float = 5.0,
    ) -> Answer:
        headers = {"Content-Type": "application/json"}
        if version is not None:
            headers["Notion-Version"] = version
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        sent = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url = f"{self._sandbox.url}{path}"
        async with self._session.request(method, url, data=sent, headers=headers, timeout=timeout) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def plain(items: list[Json]) -> str:
    return "".join(item["plain_text"] for item in items)


@dataclass(frozen=True, slots=True)
class Table:
    """A database made for a test."""

    database_id: str
    source_id: str


async def make_table(sandbox: Sandbox, notion: Notion, title: str, properties: Json | None = None) -> Table:
    made = await notion.databases.create(
        parent={"type": "page_id", "page_id": sandbox.parent_page_id},
        title=text(title),
        initial_data_source={"properties": properties or {"Name": {"title": {}}}},
    )
    return Table(made["id"], made["data_sources"][0]["id"])


async def add_row(notion: Notion, table: Table, name: str = "", **properties: Any) -> Json:
    values = {"Name": {"title": text(name)}, **properties} if name else properties
    page: Json = await notion.pages.create(parent={"data_source_id": table.source_id}, properties=values)
    return page


async def names(notion: Notion, table: Table, **query: Any) -> list[str]:
    """Return the names of the rows that a query answers with, in its order."""
    answer = await notion.data_sources.query(table.source_id, **query)
    return [plain(row["properties"]["Name"]["title"]) for row in answer["results"]]


async def read_back(notion: Notion, table: Table, name: str, written: Json) -> Any:
    page = await add_row(notion, table, "Ann", **{name: written})
    value = (await notion.pages.retrieve(page["id"]))["properties"][name]
    assert value == page["properties"][name]
    return value[value["type"]]


async def refusal(notion: Notion, table: Table, name: str, written: Any) -> str:
    with pytest.raises(APIResponseError) as caught:
        await add_row(notion, table, "Ann", **{name: written})
    assert (caught.value.status, caught.value.code) == (400, "validation_error")
    return str(caught.value)
