"""`mapable-cdc backfill`: forecasts that change nothing, runs that can be cut short, and what it says."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from deploy.sandbox.server import Sandbox
from tests.system.invoked import Said, invoke
from tests.system.service import PROGRAM, Service, environment
from tests.system.waiting import Connection

PEOPLE = """
insert into "User" (id, name, email, role, "updatedAt")
select 'c' || to_char(n, 'FM000'), 'Person ' || n, 'p' || n || '@example.org', 'PARTICIPANT', now()
from generate_series(1, %(count)s) n
"""
RISKS = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
select 'r' || to_char(n, 'FM000'), 'Risk ' || n, '', 'LOW', '', '', 'c001', now()
from generate_series(1, %(count)s) n
"""
ONLY_TWO = {
    f"NOTION_SYNC_{name}": "false" for name in ("NDIS_PLANS", "CARE_PLANS", "INCIDENTS", "COMPLAINTS", "PAYMENTS")
}


@dataclass
class Desk:
    """Participants and risks in MapAble, their databases in the stand-in, and somebody who types."""

    db: Connection
    sandbox: Sandbox
    env: dict[str, str]

    async def types(self, *arguments: str, **settings: str) -> Said:
        return await invoke({**self.env, **settings}, *arguments)

    async def forecasts(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return what a dry run says, by entity."""
        said = await self.types("backfill", "--dry-run", "--json", *arguments)
        assert said.code in (0, 1), said.err
        return {item["entity"]: item for item in json.loads(said.out)}

    def writes(self) -> int:
        """Return how many requests changed, or may have changed, something in Notion."""
        return sum(
            request.method != "GET" and not request.path.endswith("/query") for request in self.sandbox.requests
        )

    def pages(self, database: str) -> int:
        return len(self.sandbox.people.rows(database))

    def doubles(self) -> list[str]:
        """Return the System IDs that more than one page carries."""
        ids = [
            row["properties"]["System ID"]
            for database in ("Participants", "Risks")
            for row in self.sandbox.people.rows(database)
        ]
        return sorted({one for one in ids if ids.count(one) > 1})

    async def sidecar(self) -> dict[str, list[Any]]:
        """Return every row of every table of the sidecar, the use of the request window left out."""
        cursor = await self.db.execute("select tablename from pg_tables where schemaname = 'notion_sync' order by 1")
        found = {}
        for (table,) in await cursor.fetchall():
            if table != "request_window":
                query = sql.SQL("select t::text from notion_sync.{} t order by 1").format(sql.Identifier(table))
                rows = await self.db.execute(query)
                found[table] = await rows.fetchall()
        return found


@pytest.fixture
async def desk(mapable_dsn: str) -> AsyncIterator[Desk]:
    """Twelve participants and three risks, set up and not filled yet."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, **ONLY_TWO)
        desk = Desk(db, sandbox, {**env, "LOG_LEVEL": "warning"})
        await db.execute(PEOPLE, {"count": 12})
        await db.execute(RISKS, {"count": 3})
        ended = await desk.types("setup")
        assert ended.code == 0, ended.err
        sandbox.clear_requests()
        yield desk


async def test_a_dry_run_counts_and_changes_nothing_on_either_side(desk: Desk) -> None:
    before = await desk.sidecar()

    told = await desk.forecasts()

    assert {name: (item["create"], item["update"], item["unchanged"]) for name, item in told.items()} == {
        "participant": (12, 0, 0), "risk": (3, 0, 0),
    }
    assert desk.writes() == 0
    assert await desk.sidecar() == before


async def test_a_backfill_brings_every_row_and_a_second_one_asks_nothing(desk: Desk) -> None:
    first = await desk.types("backfill")
    assert (first.code, first.out.strip()) == (0, "Every row is in Notion."), first.err
    assert (desk.pages("Participants"), desk.pages("Risks")) == (12, 3)
    desk.sandbox.clear_requests()

    second = await desk.types("backfill")

    assert second.code == 0
    assert len(desk.sandbox.requests) == 0
    assert "\r" not in first.err
    assert "rows/s" not in first.err


async def test_a_dry_run_later_tells_updates_and_pages_that_would_go(desk: Desk) -> None:
    await desk.types("backfill")
    await desk.db.execute("""update "User" set name = 'Renamed' where id in ('c002', 'c003')""")
    await desk.db.execute("""update "User" set role = 'USER' where id = 'c004'""")
    await desk.db.execute("""delete from "Risk" where id = 'r003'""")
    before = await desk.sidecar()
    desk.sandbox.clear_requests()

    told = await desk.forecasts()

    counts = {
        name: (item["create"], item["update"], item["unchanged"], item["trash"]) for name, item in told.items()
    }
    assert counts == {"participant": (0, 3, 9, 0), "risk": (0, 0, 2, 1)}
    assert len(desk.sandbox.requests) == 0
    assert await desk.sidecar() == before


async def test_a_dry_run_after_a_lost_sidecar_knows_the_pages_that_stand(desk: Desk) -> None:
    await desk.types("backfill")
    await desk.db.execute("drop schema notion_sync cascade")
    await desk.types("setup")
    await desk.db.execute("""update "User" set name = 'Renamed' where id = 'c002'""")
    desk.sandbox.people.duplicate(desk.sandbox.people.find("Risks", {"System ID": "r002"}))
    desk.sandbox.clear_requests()

    told = await desk.forecasts()

    assert (told["participant"]["create"], told["participant"]["update"]) == (0, 1)
    assert (told["risk"]["create"], told["risk"]["invalid"]) == (0, 1)
    assert "two pages" in told["risk"]["reasons"][-1]["reason"]
    assert desk.writes() == 0


async def test_a_backfill_after_a_lost_sidecar_takes_the_pages_that_stand(desk: Desk) -> None:
    await desk.types("backfill")
    await desk.db.execute("drop schema notion_sync cascade")
    await desk.types("setup")
    await desk.db.execute("""update "User" set name = 'Renamed' where id = 'c002'""")
    desk.sandbox.clear_requests()

    ended = await desk.types("backfill", NOTION_CONFLICT_STRATEGY="last-write-wins")

    assert ended.code == 0, ended.err
    assert desk.sandbox.count("POST", "/v1/pages") == 0
    assert (desk.pages("Participants"), desk.pages("Risks"), desk.doubles()) == (12, 3, [])


async def test_a_value_that_notion_can_t_hold_is_a_finding_of_the_dry_run(desk: Desk) -> None:
    await desk.db.execute("""update "User" set email = repeat('x', 201) || '@example.org' where id = 'c001'""")

    ended = await desk.types("backfill", "--dry-run", "--entity", "participant")

    assert ended.code == 1
    assert re.search(r"participant\.email: 1 rows: ", ended.out)
    assert "xxxx" not in ended.out


async def test_only_the_entity_that_is_named_is_filled(desk: Desk) -> None:
    ended = await desk.types("backfill", "--entity", "participant")

    assert ended.code == 0
    assert (desk.pages("Participants"), desk.pages("Risks")) == (12, 0)


async def test_parked_rows_are_listed_and_the_next_backfill_tries_them_again(desk: Desk) -> None:
    desk.sandbox.faults.script(kind="400", method="POST", body_contains="c005", times=None)

    ended = await desk.types("backfill", "--json")

    assert ended.code == 1
    assert json.loads(ended.out) == {
        "parked": [
            {"entity": "participant", "systemId": "c005", "reason": "notion_validation_error",
             "message": "Notion answered 400 validation_error", "attempts": 1},
        ],
    }
    assert desk.pages("Participants") == 11
    listed = await desk.types("backfill")
    assert listed.code == 1
    assert "c005" in listed.out
    desk.sandbox.faults.clear()
    healed = await desk.types("backfill")
    assert (healed.code, desk.pages("Participants")) == (0, 12)


async def test_a_property_that_was_made_again_is_filled_again(desk: Desk) -> None:
    await desk.types("backfill")
    desk.sandbox.people.remove_property("Participants", "Email")
    await desk.types("setup")
    assert {row["properties"]["Email"] for row in desk.sandbox.people.rows("Participants")} == {None}

    ended = await desk.types("backfill")

    assert ended.code == 0
    assert None not in {row["properties"]["Email"] for row in desk.sandbox.people.rows("Participants")}


async def test_a_token_that_was_revoked_ends_the_backfill(desk: Desk) -> None:
    desk.sandbox.faults.script(kind="401", times=None)

    ended = await desk.types("backfill")

    assert ended.code == 3
    assert "NOTION_API_KEY" in ended.failure


async def test_ctrl_c_in_the_middle_leaves_nothing_twice(desk: Desk) -> None:
    # the rest is not answered, so that there is a middle however long Ctrl-C takes to arrive
    desk.sandbox.faults.script(kind="timeout", method="POST", path_pattern="/v1/pages", skip=6, times=None)
    async with Service(desk.env, "backfill") as cut:
        await desk.sandbox.wait_for(lambda: desk.pages("Participants") >= 3, 20)
        cut.process.send_signal(signal.SIGINT)
        assert await cut.process.wait() == 130
    said = "\n".join(cut.lines)
    assert "interrupted" in said
    assert "what to do: Run the command again" in said
    assert "Traceback" not in said
    desk.sandbox.faults.clear()

    ended = await desk.types("backfill", NOTION_CREATE_LOOKUP_SECONDS="0.5")

    assert ended.code == 0, ended.err
    assert (desk.pages("Participants"), desk.pages("Risks")) == (12, 3)


async def test_on_a_terminal_a_bar_shows_rate_and_time_left(desk: Desk) -> None:
    desk.sandbox.switches.update({"latency_s": 0.3})
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "--env-file", os.devnull, "backfill", env={**desk.env, "COLUMNS": "120"}, stderr=theirs,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)

    assert await process.wait() == 0
    assert re.search(r"\d+/15", shown)
    assert re.search(r"\d+\.\d rows/s", shown)
    assert re.search(r"left \S*\d:\d\d", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))


def read_all(terminal: int) -> str:
    """Return all that a terminal showed until its program ended."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


async def test_a_backfill_beside_a_run_lets_it_do_the_work_and_goes_on_when_that_dies(desk: Desk) -> None:
    desk.sandbox.switches.update({"latency_s": 0.25})
    async with Service({**desk.env, "LOG_LEVEL": "debug"}) as active:
        await active.event("stream.started")
        async with Service(desk.env, "backfill") as watching:
            await watching.line("`mapable-cdc run` is active and does the work")
            await desk.sandbox.wait_for(lambda: desk.pages("Participants") >= 4, 20)
            active.kill()
            await active.process.wait()

            assert await watching.process.wait() == 0

    assert (desk.pages("Participants"), desk.pages("Risks")) == (12, 3)
    assert desk.doubles() == []


async def test_a_backfill_beside_a_run_ends_when_the_run_has_done_it(desk: Desk) -> None:
    async with Service({**desk.env, "LOG_LEVEL": "debug"}) as active:
        await active.event("stream.started")

        ended = await desk.types("backfill")

        assert ended.code == 0, ended.err
        assert (desk.pages("Participants"), desk.pages("Risks")) == (12, 3)
        assert await active.stop() == 0
