"""The sweep, on its schedule and by command: what happened while nobody looked is found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.waiting import DATABASES, Connection, quiet, scalar

LOSE_THE_PLACE = "update notion_sync.look set edited_until = now() + interval '1 year'"
LAST_SWEPT = "update notion_sync.look set swept_at = swept_at - interval '2 hours'"
LIVE = """select count(*) from notion_sync."NotionSyncMapping" where "pageState" = 'live'"""


@asynccontextmanager
async def filled(dsn: str, **settings: str) -> AsyncIterator[tuple[Sandbox, Connection, dict[str, str]]]:
    """The demo, every row of which has its page, and nothing running."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=7) as sandbox,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db,
    ):
        env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, **settings)
        for verb in ("setup", "backfill"):
            code, _, said = await command(env, verb)
            assert code == 0, said
        sandbox.clear_requests()
        yield sandbox, db, env


def read(sandbox: Sandbox) -> int:
    return sandbox.count("POST", "/v1/data_sources/.*/query")


async def test_what_changed_while_nothing_ran_is_found_though_the_place_was_lost(demo_dsn: str) -> None:
    async with filled(demo_dsn, NOTION_POLL_SECONDS="60") as (sandbox, db, env):
        pages = await scalar(db, LIVE)
        assert pages > 100
        (risk,) = sandbox.people.rows("Risks")[:1]
        (incident,) = sandbox.people.rows("Incidents")[:1]
        sandbox.people.edit(risk["id"], {"Title": "Edited"})
        sandbox.people.trash(incident["id"])
        copy = sandbox.people.duplicate(sandbox.people.rows("Complaints")[0]["id"])
        await db.execute(LOSE_THE_PLACE.encode())

        async with Service(env) as service:
            await service.event("stream.started")
            code, out, said = await command(env, "sweep", "--json")
            assert await service.stop() == 0

        assert code == 0, said
        found = {item["entity"]: item for item in json.loads(out)["sweeps"]}
        assert sum(item["pages"] for item in found.values()) == pages
        assert (found["risk"]["differing"], found["incident"]["missing"]) == (1, 1)
        assert found["complaint"]["unknown"] == 1
        assert sum(item["differing"] + item["missing"] + item["unknown"] for item in found.values()) == 3
        assert await scalar(db, "select page_id || ' ' || kind from notion_sync.stray_page") == f"{copy} copy"


async def test_a_sweep_reads_a_hundred_pages_at_a_time_and_writes_nothing(demo_dsn: str) -> None:
    async with filled(demo_dsn) as (sandbox, db, env):
        hundreds = sum(-(-len(sandbox.people.rows(name)) // 100) or 1 for name in DATABASES)

        code, out, said = await command(env, "sweep")

        assert code == 0, said
        assert "participant" in out
        assert read(sandbox) == hundreds
        assert sandbox.count() == hundreds
        assert await scalar(db, "select count(*) from notion_sync.work") == 0


async def test_one_entity_can_be_swept_alone(demo_dsn: str) -> None:
    async with filled(demo_dsn) as (sandbox, _, env):
        code, out, said = await command(env, "sweep", "--entity", "risk", "--json")

        assert code == 0, said
        assert [item["entity"] for item in json.loads(out)["sweeps"]] == ["risk"]
        assert read(sandbox) == 1


async def test_a_database_that_cannot_be_read_is_named_and_the_others_are_swept(demo_dsn: str) -> None:
    async with filled(demo_dsn) as (sandbox, _, env):
        sandbox.people.unshare("Risks")

        code, out, said = await command(env, "sweep", "--json")

        assert code == 1, said
        found = {item["entity"]: item for item in json.loads(out)["sweeps"]}
        assert "not shared" in found["risk"]["trouble"]
        assert found["incident"]["pages"] == len(sandbox.people.rows("Incidents"))


async def test_sweeps_come_at_their_interval_and_that_survives_a_restart(demo_dsn: str) -> None:
    async with filled(demo_dsn, NOTION_SWEEP_SECONDS="3600") as (sandbox, db, env):
        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db)
            assert read(sandbox) == 0
            await db.execute(LAST_SWEPT.encode())
            await service.event("entity.swept", times=len(DATABASES))
            await quiet(sandbox, db)
            sandbox.clear_requests()
            service.kill()

        async with Service(env) as service:
            await service.event("stream.started")
            # a row's way through shows that the loops have had their turns
            await db.execute("""update "Risk" set title = 'Ramp' where id = (select min(id) from "Risk")""")
            await sandbox.wait_for(lambda: sandbox.count("PATCH") == 1)
            assert read(sandbox) == 0
            await db.execute(LAST_SWEPT.encode())
            await service.event("entity.swept", times=len(DATABASES))
            assert await service.stop() == 0
