"""The verbs, as typed: help, settings, errors with what to do about them, and exit codes."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.invoked import Said, invoke, said
from tests.system.service import Service, environment
from tests.system.waiting import DATABASES

ARGUMENTS = {
    ("sync",): ("participant",), ("conflicts", "show"): ("1",),
    ("conflicts", "resolve"): ("1", "mapable", "--version", "1"), ("audit",): ("--person", "p"),
    ("deletes", "approve"): ("--all",), ("deletes", "reject"): ("--all",), ("parked", "retry"): ("--all",),
    ("parked", "drop"): ("--all", "--yes"), ("explain",): ("participant", "p"), ("adopt",): ("--failover",),
}  # fmt: skip
VERBS = (
    ("run",), ("setup",), ("backfill",), ("status",), ("slot", "show"), ("slot", "drop"), ("conflicts", "list"),
    ("webhook", "await"), ("webhook", "show"), ("webhook", "reset"), ("deletes", "list"),
    ("parked", "list"), ("doctor",), ("uninstall",), ("verify",), *ARGUMENTS,
)  # fmt: skip
TELLING: Final = {("doctor",)}
"""To these a database that is down is a finding, not a failure."""


@dataclass
class Desk:
    """A database, a stand-in, and somebody who types."""

    dsn: str
    sandbox: Sandbox
    env: dict[str, str]

    async def types(self, *arguments: str, **settings: str) -> Said:
        return await invoke({**self.env, **settings}, *arguments)

    def titles(self) -> list[str]:
        return sorted(database["title"] for database in self.sandbox.people.databases())


@pytest.fixture
async def desk(mapable_dsn: str) -> AsyncIterator[Desk]:
    """An empty MapAble and an empty workspace."""
    async with Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox:
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, LOG_LEVEL="warning")
        yield Desk(mapable_dsn, sandbox, env)


def a_port_without_a_server() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_shows_an_example_and_the_exit_codes(verb: tuple[str, ...]) -> None:
    shown = said({}, *verb, "--help")

    assert shown.code == 0
    assert "Example:" in shown.out
    assert "Exit codes:" in shown.out
    assert f"mapable-cdc {' '.join(verb)}" in shown.out.replace("Usage: main", "Usage: mapable-cdc")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_without_settings_every_verb_names_what_is_missing(verb: tuple[str, ...]) -> None:
    failure = said({}, *verb, *ARGUMENTS.get(verb, ())).failure

    assert "DATABASE_URL is missing" in failure
    assert "NOTION_API_KEY is missing" in failure


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in TELLING], ids=" ".join)
def test_a_database_that_is_not_there_is_told_without_its_url(verb: tuple[str, ...]) -> None:
    port = a_port_without_a_server()
    env = environment(f"postgresql://lea:geheim@127.0.0.1:{port}/m", "http://127.0.0.1:1", "ntn_x", "0" * 32)

    ended = said(env, *verb, *ARGUMENTS.get(verb, ()))

    assert ended.code == 3
    assert "the database can't be reached: nothing listens there" in ended.failure
    assert "DATABASE_URL" in ended.failure
    for secret in ("geheim", "lea", str(port), "postgresql://"):
        assert secret not in ended.err + ended.out


async def test_a_wrong_database_name_is_told_in_the_server_s_words(desk: Desk) -> None:
    failure = (await desk.types("status", DATABASE_URL=desk.dsn.replace("/mapable_", "/no_"))).failure

    assert "does not exist" in failure


async def test_setup_prints_the_lines_for_env_and_works_while_the_sync_is_off(desk: Desk) -> None:
    ended = await desk.types("setup", NOTION_SYNC_ENABLED="false")

    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if line.startswith("NOTION_")]
    assert [line.partition("=")[0] for line in lines] == [
        "NOTION_PARTICIPANTS_DB_ID", "NOTION_NDIS_PLANS_DB_ID", "NOTION_CARE_PLANS_DB_ID", "NOTION_INCIDENTS_DB_ID",
        "NOTION_COMPLAINTS_DB_ID", "NOTION_RISKS_DB_ID", "NOTION_PAYMENTS_DB_ID",
    ]
    assert desk.titles() == sorted(DATABASES)
    again = await desk.types("setup", **dict(line.split("=", 1) for line in lines), NOTION_PARENT_PAGE_ID="")
    assert again.code == 0, again.err
    assert [line for line in again.out.splitlines() if line.startswith("NOTION_")] == lines


@pytest.mark.parametrize("form", ["argument", "option", "setting", "url"])
async def test_the_parent_page_is_given_in_any_way(desk: Desk, form: str) -> None:
    page = desk.sandbox.parent_page_id
    arguments: tuple[str, ...]
    match form:
        case "argument":
            arguments, setting = (page.replace("-", ""),), ""
        case "option":
            arguments, setting = ("--parent-page-id", page), ""
        case "url":
            arguments, setting = (f"https://www.notion.so/acme/CRM-{page.replace('-', '')}?pvs=4",), "f" * 32
        case _:
            arguments, setting = (), page

    switched_off = {
        f"NOTION_SYNC_{name}": "false"
        for name in ("NDIS_PLANS", "CARE_PLANS", "INCIDENTS", "COMPLAINTS", "PARTICIPANTS", "PAYMENTS")
    }
    ended = await desk.types("setup", *arguments, NOTION_PARENT_PAGE_ID=setting, **switched_off)

    assert ended.code == 0, ended.err
    assert desk.titles() == ["Risks"]


async def test_what_is_typed_wrong_at_setup_is_usage(desk: Desk) -> None:
    for arguments, words in (
        (("nonsense",), "PAGE: not a Notion id or URL"),
        (("1" * 32, "--parent-page-id", "2" * 32), "name two pages"),
        ((), "no parent page is known"),
    ):
        ended = await desk.types("setup", *arguments, NOTION_PARENT_PAGE_ID="")
        assert ended.code == 2
        assert words in ended.failure


async def test_a_configured_id_may_be_a_pasted_url_and_a_wrong_one_is_a_setting(desk: Desk) -> None:
    await desk.types("setup")
    source = desk.sandbox.people.source("Risks")
    bare = source["parent"]["database_id"].replace("-", "")

    right = await desk.types("setup", NOTION_RISKS_DB_ID=f"https://www.notion.so/acme/Risks-{bare}?v={'a' * 32}")
    wrong = await desk.types("setup", NOTION_RISKS_DB_ID="a" * 32)

    assert right.code == 0, right.err
    assert wrong.code == 2
    assert "NOTION_RISKS_DB_ID names no database" in wrong.failure


async def test_a_parent_that_is_not_shared_needs_a_person(desk: Desk) -> None:
    desk.sandbox.people.unshare(desk.sandbox.parent_page_id)

    ended = await desk.types("setup")

    assert ended.code == 3
    assert "not shared with the connection" in ended.failure
    assert "••• > Connections" in ended.failure


@pytest.mark.parametrize("verb", ["setup", "run"])
async def test_a_token_that_notion_refuses_needs_a_person(desk: Desk, verb: str) -> None:
    ended = await desk.types(verb, NOTION_API_KEY="ntn_of_somebody_else")

    assert ended.code == 3
    assert "NOTION_API_KEY" in ended.failure
    assert "ntn_of_somebody_else" not in ended.err


async def test_a_missing_capability_needs_a_person(desk: Desk) -> None:
    desk.sandbox.switches.update({"insert_content": False})

    ended = await desk.types("setup")

    assert ended.code == 3
    assert "read, update and insert content" in ended.failure


async def test_a_second_setup_at_the_same_time_is_refused(desk: Desk) -> None:
    await desk.types("status")
    async with await psycopg.AsyncConnection.connect(desk.dsn) as other:
        await other.execute("select pg_advisory_lock(hashtextextended('mapable-cdc setup notion_sync', 0))")

        ended = await desk.types("setup")

    assert ended.code == 3
    assert "another setup is running" in ended.failure
    assert desk.titles() == []


async def test_setup_that_is_killed_in_the_middle_is_finished_by_the_next_one(desk: Desk) -> None:
    desk.sandbox.switches.update({"latency_s": 0.05})
    async with Service(desk.env, "setup") as killed:
        await desk.sandbox.wait_for(lambda: desk.sandbox.count("POST", "/v1/databases") == 4, 20)
        killed.kill()
    desk.sandbox.switches.update({"latency_s": 0.0})

    ended = await desk.types("setup")

    assert ended.code == 0, ended.err
    assert desk.titles() == sorted(DATABASES)


@pytest.mark.parametrize("arguments", [("backfill",), ("backfill", "--dry-run"), ("run",)], ids=" ".join)
async def test_before_setup_the_other_verbs_say_that_it_comes_first(desk: Desk, arguments: tuple[str, ...]) -> None:
    ended = await desk.types(*arguments)

    assert ended.code == 3
    assert "no Notion database is known for Participants" in ended.failure
    assert "mapable-cdc setup PAGE" in ended.failure


async def test_an_entity_that_is_switched_off_can_t_be_filled(desk: Desk) -> None:
    ended = await desk.types("backfill", "--entity", "risk", NOTION_SYNC_RISKS="false")

    assert ended.code == 2
    assert "NOTION_SYNC_RISKS" in ended.failure


@pytest.mark.parametrize("arguments", [("backfill",), ("sweep",), ("verify", "--repair")], ids=" ".join)
async def test_while_the_sync_is_disabled_no_verb_writes_in_its_stead(desk: Desk, arguments: tuple[str, ...]) -> None:
    await desk.types("setup")
    desk.sandbox.clear_requests()

    ended = await desk.types(*arguments, NOTION_SYNC_ENABLED="false")

    assert ended.code == 2
    assert "the sync is disabled (NOTION_SYNC_ENABLED=false)" in ended.failure
    assert not list(desk.sandbox.requests)


@pytest.mark.parametrize("arguments", [("backfill", "--dry-run"), ("verify",)], ids=" ".join)
async def test_while_the_sync_is_disabled_both_sides_can_still_be_looked_at(
    desk: Desk, arguments: tuple[str, ...]
) -> None:
    await desk.types("setup")

    ended = await desk.types(*arguments, NOTION_SYNC_ENABLED="false")

    assert ended.code == 0, ended.err


@pytest.mark.parametrize("verb", [("list",), ("retry",), ("drop", "--yes")], ids=" ".join)
async def test_a_misspelt_entity_is_told_with_those_that_there_are(desk: Desk, verb: tuple[str, ...]) -> None:
    ended = await desk.types("parked", *verb, "--entity", "incidents")

    assert ended.code == 2
    assert "'incident'" in ended.err


async def test_status_of_an_empty_sync_is_all_zero(desk: Desk) -> None:
    shown = json.loads((await desk.types("status", "--json")).out)

    assert shown["pages"] == []
    assert shown["parked"] == 0
    assert shown["slot"] is None
    assert {name: waiting["keys"] for name, waiting in shown["queue"].items()} == {
        "live": 0, "manual": 0, "backfill": 0,
    }


async def test_what_people_wrote_in_notion_is_shown_as_it_stands(desk: Desk) -> None:
    await desk.types("setup")
    async with await psycopg.AsyncConnection.connect(desk.dsn, autocommit=True) as db:
        await db.execute(
            """update notion_sync.data_source set paused = '{"title": "[/] [bold] :warning: is gone"}'
               where entity = 'risk'"""
        )

    shown = await desk.types("status")

    assert shown.code == 0, shown.err
    assert "[/] [bold] :warning: is gone" in shown.out


async def test_where_there_is_no_slot_show_is_a_finding_and_drop_is_done(desk: Desk) -> None:
    shown, dropped = await desk.types("slot", "show"), await desk.types("slot", "drop")

    assert (shown.code, shown.out.strip()) == (1, "There is no slot mapable_cdc.")
    assert (dropped.code, dropped.out.strip()) == (0, "There is no slot mapable_cdc.")


async def test_an_unexpected_database_error_is_told_by_its_kind_only(desk: Desk) -> None:
    await desk.types("status")
    async with await psycopg.AsyncConnection.connect(desk.dsn, autocommit=True) as db:
        await db.execute("drop table notion_sync.parked")

    ended = await desk.types("status")

    assert ended.code == 3
    assert "the database failed: UndefinedTable (SQLSTATE 42P01)" in ended.failure
    assert "relation" not in ended.err


async def test_a_port_that_is_taken_is_told(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        ended = await desk.types("run", HTTP_PORT=str(taken.getsockname()[1]))

    assert ended.code == 3
    assert "HTTP_PORT can't be listened on" in ended.failure
    assert "Set HTTP_PORT to a free port" in ended.failure
