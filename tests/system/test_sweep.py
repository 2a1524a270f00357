"""The sweep, on its schedule and by command: what happened while nobody looked is found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.waiting import DATABASES, Connection, quiet, scalar

LOSE_THE_PLACE = """
insert into notion_sync.look (entity, database_id, edited_until)
select entity, database_id, now() + interval '1 year' from notion_sync.data_source
"""
LAST_SWEPT = "update notion_sync.look set swept_at = swept_at - interval '2 hours'"
LIVE = """select count(*) from notion_sync."NotionSyncMapping" where "pageState" = 'live'"""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Filled:
    """The demo, every row of which has its page, and nothing running."""

    sandbox: Sandbox
    db: Connection
    env: dict[str, str]

    async def sweep(self, *arguments: str) -> tuple[int, dict[str, dict[str, int]]]:
        """Run the verb; return its exit code and what it found, by entity."""
        code, out, said = await command(self.env, "sweep", "--json", *arguments)
        assert code in (0, 1), said
        return code, {item["entity"]: item for item in json.loads(out)["sweeps"]}


@asynccontextmanager
async def filled(dsn: str) -> AsyncIterator[Filled]:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=7) as sandbox,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db,
    ):
        env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        for verb in ("setup", "backfill"):
            code, _, said = await command(env, verb)
            assert code == 0, said
        yield Filled(sandbox, db, env)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(demo_scene_dsn: str) -> AsyncIterator[Filled]:
    """One for the tests that leave every page as it is."""
    async with filled(demo_scene_dsn) as found:
        yield found


def read(sandbox: Sandbox) -> int:
    return sandbox.count("POST", "/v1/data_sources/.*/query")


async def test_what_changed_while_nothing_ran_is_found_though_the_place_was_lost(demo_dsn: str) -> None:
    async with filled(demo_dsn) as stage:
        sandbox, db = stage.sandbox, stage.db
        pages = await scalar(db, LIVE)
        (risk,) = sandbox.people.rows("Risks")[:1]
        (incident,) = sandbox.people.rows("Incidents")[:1]
        sandbox.people.edit(risk["id"], {"Title": "Edited"})
        sandbox.people.trash(incident["id"])
        copy = sandbox.people.duplicate(sandbox.people.rows("Complaints")[0]["id"])
        await db.execute(LOSE_THE_PLACE.encode())

        async with Service({**stage.env, "NOTION_POLL_SECONDS": "60"}) as service:
            await service.event("edits.looked_for", times=len(DATABASES))
            assert await scalar(db, "select count(*) from notion_sync.stray_page") == 0
            code, found = await stage.sweep()
            assert await service.stop() == 0

        assert code == 0
        assert sum(item["pages"] for item in found.values()) == pages
        assert (found["risk"]["differing"], found["incident"]["missing"]) == (1, 1)
        assert found["complaint"]["unknown"] == 1
        assert sum(item["differing"] + item["missing"] + item["unknown"] for item in found.values()) == 3
        assert await scalar(db, "select page_id || ' ' || kind from notion_sync.stray_page") == f"{copy} copy"


async def test_a_sweep_reads_a_hundred_pages_at_a_time_and_writes_nothing(kept: Filled) -> None:
    hundreds = sum(-(-len(kept.sandbox.people.rows(name)) // 100) for name in DATABASES)
    kept.sandbox.clear_requests()

    code, _ = await kept.sweep()

    assert code == 0
    assert read(kept.sandbox) == kept.sandbox.count() == hundreds
    assert await scalar(kept.db, "select count(*) from notion_sync.work") == 0


async def test_one_entity_can_be_swept_alone(kept: Filled) -> None:
    kept.sandbox.clear_requests()

    code, found = await kept.sweep("--entity", "risk")

    assert (code, set(found)) == (0, {"risk"})
    assert read(kept.sandbox) == 1


async def test_a_person_sees_a_table(kept: Filled) -> None:
    code, out, said = await command(kept.env, "sweep", "--entity", "risk")

    assert code == 0, said
    assert "risk" in out
    assert "differing" in out


async def test_a_database_that_cannot_be_read_is_named_and_the_others_are_swept(kept: Filled) -> None:
    kept.sandbox.people.unshare("Risks")

    code, found = await kept.sweep()

    kept.sandbox.people.share("Risks")
    assert code == 1
    assert "not shared" in str(found["risk"]["trouble"])
    assert found["incident"]["pages"] == len(kept.sandbox.people.rows("Incidents"))


async def test_sweeps_come_at_their_interval_and_that_survives_a_restart(kept: Filled) -> None:
    sandbox, db = kept.sandbox, kept.db
    env = {**kept.env, "NOTION_SWEEP_SECONDS": "3600"}
    async with Service(env) as service:
        await service.event("stream.started")
        await quiet(sandbox, db)
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
