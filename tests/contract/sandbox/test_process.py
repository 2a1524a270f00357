"""The stand-in as a process: where it listens, how it stops, and what it remembers."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import TOKEN, Api, Json, text

ROOT = Path(__file__).parents[3]
Call = Callable[..., Awaitable[Json]]


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Json, Call]]:
    """Run the stand-in; yield (process, its first line, a function for API calls)."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.sandbox", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        where: Json = json.loads(await running.stdout.readline())
        headers = {"Authorization": f"Bearer {where['token']}", "Notion-Version": "2026-03-11"}
        async with aiohttp.ClientSession(where["url"], headers=headers) as session:

            async def call(method: str, path: str, body: Any = None) -> Json:
                async with session.request(method, path, json=body) as answer:
                    parsed: Json = await answer.json()
                    return parsed

            yield running, where, call
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def add_table(call: Call, where: Json) -> str:
    made = await call(
        "POST",
        "/v1/databases",
        {"parent": {"page_id": where["parent_page_id"]}, "title": text("Participants")},
    )
    return str(made["data_sources"][0]["id"])


async def add_page(call: Call, source_id: str, name: str) -> Json:
    return await call(
        "POST", "/v1/pages", {"parent": {"data_source_id": source_id}, "properties": {"Name": {"title": text(name)}}}
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_stops_when_asked(how: signal.Signals) -> None:
    async with process("--token", "ntn_mine", "--rate-limit", "1", "--rate-window-s", "600") as (running, where, call):
        assert set(where) == {"url", "token", "parent_page_id"}
        assert where["token"] == "ntn_mine"
        assert (await call("GET", f"/v1/pages/{where['parent_page_id']}"))["object"] == "page"
        assert (await call("GET", "/v1/users/me"))["code"] == "rate_limited"

        running.send_signal(how)

        assert await asyncio.wait_for(running.wait(), 5) == 0


async def test_a_killed_process_has_forgotten_nothing_it_answered(tmp_path: Path) -> None:
    options = ("--state", str(tmp_path / "state with space.db"), "--seed", "1", "--switch", "normalise=true")
    async with process(*options) as (running, where, call):
        source_id = await add_table(call, where)
        page = await add_page(call, source_id, " Ann ")
        cursor = (await call("GET", "/v1/users?page_size=1"))["next_cursor"]
        running.kill()
        await running.wait()

    async with process(*options) as (_, again, call):
        assert again["parent_page_id"] == where["parent_page_id"]
        read = await call("GET", f"/v1/pages/{page['id']}")
        added = await add_page(call, source_id, "Bob")
        listed = await call("POST", f"/v1/data_sources/{source_id}/query", {})
        users = await call("GET", f"/v1/users?start_cursor={cursor}")

    assert {**read, "request_id": ""} == {**page, "request_id": ""}
    assert read["properties"]["Name"]["title"][0]["plain_text"] == "Ann"
    assert added["id"] != page["id"]
    assert len(listed["results"]) == 2
    assert len(users["results"]) == 3


async def test_without_a_file_nothing_is_kept() -> None:
    async with Sandbox(token=TOKEN, rate_limit=0) as sandbox:
        page_id = sandbox.parent_page_id

    async with Sandbox(token=TOKEN, rate_limit=0) as sandbox, aiohttp.ClientSession() as session:
        assert (await Api(session, sandbox)("GET", f"/v1/pages/{page_id}")).status == 404


async def test_deletions_and_moves_survive_a_restart(tmp_path: Path) -> None:
    state_file = tmp_path / "state.db"
    async with Sandbox(token=TOKEN, rate_limit=0, state_file=state_file) as sandbox, aiohttp.ClientSession() as session:
        api = Api(session, sandbox)
        made = await api("POST", "/v1/databases", {"parent": {"page_id": sandbox.parent_page_id}, "title": text("T")})
        source_id = made.body["data_sources"][0]["id"]
        for name in ("kept", "purged", "moved", "trashed"):
            sandbox.people.create("T", {"Name": name})
        sandbox.people.purge(sandbox.people.find("T", {"Name": "purged"}))
        sandbox.people.move(sandbox.people.find("T", {"Name": "moved"}))
        sandbox.people.trash(sandbox.people.find("T", {"Name": "trashed"}))

    async with Sandbox(token=TOKEN, rate_limit=0, state_file=state_file) as sandbox:
        rows = sandbox.people.rows("T", trashed=True)
        assert [(row["properties"]["Name"], row["in_trash"]) for row in rows] == [("kept", False), ("trashed", True)]
        assert sandbox.people.source("T")["id"] == source_id


def test_it_imports_nothing_of_the_product() -> None:
    for module in (ROOT / "deploy" / "sandbox").glob("*.py"):
        imports = [line for line in module.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert not [line for line in imports if line.split()[1].partition(".")[0] in ("cdc", "sinks", "state")]
