"""Notion fails in every way it can: nothing is lost, nothing is doubled, and it is left alone while it is down."""

from __future__ import annotations

from itertools import pairwise

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.test_crashes import ROWS
from tests.system.waiting import duplicates, pages_by_system_id, quiet, scalar, until

KINDS = ("409", "429", "500", "502", "503", "504", "529", "reset", "malformed", "timeout")


def probes(sandbox: Sandbox) -> int:
    """Return how many requests came a while after the one before."""
    at_s = [request.at_s for request in sandbox.requests]
    return sum(later - earlier > 7 for earlier, later in pairwise(at_s))


@pytest.mark.parametrize("with_committed_id", [True, False], ids=["Notion names the page", "Notion says nothing"])
async def test_faults_before_and_after_the_change_is_saved_double_and_lose_nothing(
    demo_dsn: str, with_committed_id: bool
) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=5) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(
            demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id,
            NOTION_CREATE_LOOKUP_SECONDS="1.5", NOTION_REQUEST_TIMEOUT_SECONDS="3",
        )
        code, _, said = await command(env, "setup")
        assert code == 0, said
        sandbox.switches.update({"query_lag_s": 0.5})
        faults = [
            sandbox.faults.script(
                kind=kind, when=when, path_pattern="/v1/pages.*", skip=6 + 19 * number + (9 if when == "after" else 0),
                times=2, with_committed_id=with_committed_id, retry_after=1 if kind == "429" else None,
            )
            for number, kind in enumerate(KINDS)
            for when in ("before", "after")
            if not (kind == "429" and when == "after")
        ]

        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db, 90)
            await db.execute("""update "Incident" set description = description || ' more'""")
            await db.execute("""delete from "Risk" where id in (select id from "Risk" order by id limit 5)""")

            async def followed() -> bool:
                return pages_by_system_id(sandbox, "Risks").total() == 30

            await until(sandbox, followed)
            await quiet(sandbox, db, 90)
            assert await service.stop() == 0

        assert {(fault.kind, fault.when): fault.applied for fault in faults} == {
            (fault.kind, fault.when): 2 for fault in faults
        }
        assert duplicates(sandbox) == {}
        for database, count in ROWS.items():
            assert pages_by_system_id(sandbox, database).total() == await scalar(db, count), database
        shown = {row["properties"]["Description"] for row in sandbox.people.rows("Incidents")}
        assert all(text.endswith(" more") for text in shown)
        assert await scalar(db, "select count(*) from notion_sync.parked") == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_while_notion_is_down_it_is_asked_at_most_ten_times_a_minute(demo_dsn: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=8) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, NOTION_POLL_SECONDS="1")
        code, _, said = await command(env, "setup")
        assert code == 0, said
        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db)
            sandbox.switches.update({"outage": True})
            await db.execute("""update "Risk" set category = 'changed'""")
            await db.execute("""update "Incident" set description = description || ' more'""")
            # three failures in a row are an outage, from then on it counts
            await sandbox.wait_for(lambda: sandbox.count(status=503) >= 3, 30)
            await sandbox.wait_for(lambda: all(request.status for request in sandbox.requests), 30)
            sandbox.clear_requests()

            await sandbox.wait_for(lambda: sandbox.count() > 10, 140)

            at_s = [request.at_s for request in sandbox.requests]
            assert max(sum(start <= other < start + 60 for other in at_s) for start in at_s) <= 10
            sandbox.switches.update({"outage": False})
            await quiet(sandbox, db)
            assert await service.stop() == 0


async def test_while_notion_is_down_the_log_is_acknowledged_and_the_queue_stays_bounded(demo_dsn: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=6) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        code, _, said = await command(env, "setup")
        assert code == 0, said
        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db)
            sandbox.switches.update({"outage": True})
            sandbox.clear_requests()

            for number in range(40):
                await db.execute("""update "Risk" set "mitigationPlan" = %s""", (f"plan {number}",))
                await db.execute("""update "Risk" set category = %s""", (f"category {number}",))
            marker = await scalar(db, "select pg_current_wal_lsn()::text")

            async def acknowledged() -> bool:
                query = "select confirmed_flush_lsn >= %s from pg_replication_slots where database = current_database()"
                row = await (await db.execute(query, (marker,))).fetchone()
                return row is not None and bool(row[0])

            await until(sandbox, acknowledged)
            rows = await scalar(db, 'select count(*) from "Risk"')
            # every change of a row waits as one
            assert await scalar(db, "select count(*) from notion_sync.work where entity = 'risk'") == rows
            # what was in flight when it went down (ten at most), what made sure of it, and then a probe in 7.5 seconds
            await sandbox.wait_for(lambda: probes(sandbox) >= 2, 40)
            assert sandbox.count() - probes(sandbox) <= 10 + 3

            sandbox.switches.update({"outage": False})

            async def delivered() -> bool:
                return {row["properties"]["Category"] for row in sandbox.people.rows("Risks")} == {"category 39"}

            await until(sandbox, delivered)
            await quiet(sandbox, db)
            assert await scalar(db, "select count(*) from notion_sync.parked") == 0
            assert await service.stop() == 0
