"""kill -9 at any moment: after the next start the same pages stand, each once, and nothing is missing."""

from __future__ import annotations

import time
from functools import partial

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.waiting import Connection, duplicates, pages_by_system_id, quiet, scalar, until

ROWS = {
    "Participants": """select count(*) from "User" where role = 'PARTICIPANT'""",
    "NDIS Plans": 'select count(*) from "NDISPlan"',
    "Care Plans": 'select count(*) from "CarePlan"',
    "Incidents": 'select count(*) from "Incident"',
    "Complaints": 'select count(*) from "Complaint"',
    "Risks": 'select count(*) from "Risk"',
    "Payment Transactions": 'select count(*) from "PaymentTransaction"',
}


LINKS = """
select "entityType", "systemId", "notionPageId" from notion_sync."NotionSyncMapping" where "pageState" = 'live'
"""


TRASHED = "select count(*) from notion_sync.audit_log where action = 'page.duplicate_trashed'"


def made(sandbox: Sandbox, pages: int) -> bool:
    return sandbox.count("POST", "/v1/pages") >= pages


async def links(db: Connection) -> dict[tuple[str, str], str]:
    """Return the page of every row that has one, as the sidecar knows it."""
    return {(row[0], row[1]): row[2] for row in await (await db.execute(LINKS.encode())).fetchall()}


@pytest.mark.timeout(300)  # five starts of the process, on a machine that may be busy
@pytest.mark.parametrize(
    ("verb", "query_lag_s", "looked_for_s"),
    [
        ("run", 0.0, 1.5), ("run", 0.7, 1.5), pytest.param("run", 10.0, 0.2, marks=pytest.mark.slow),
        ("backfill", 0.7, 1.5),
    ],
    ids=["fresh queries", "queries lag", "queries lag longer than is looked", "the verb"],
)
async def test_a_backfill_that_is_killed_again_and_again_makes_every_page_once(
    demo_dsn: str, verb: str, query_lag_s: float, looked_for_s: float
) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=2) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(
            demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id,
            NOTION_CREATE_LOOKUP_SECONDS=str(looked_for_s),
        )
        code, _, said = await command(env, "setup")
        assert code == 0, said
        sandbox.switches.update({"query_lag_s": query_lag_s, "latency_s": 0.02})

        known: dict[tuple[str, str], str] = {}
        for created in (5, 60, 130, 250):
            async with Service(env, verb) as service:
                await sandbox.wait_for(partial(made, sandbox, created), 30)
                service.kill()
            known |= await links(db)
        if verb == "backfill":
            code, _, said = await command(env, "backfill")
            assert code == 0, said
        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db)
            made_s = max(request.at_s for request in sandbox.requests if request.path == "/v1/pages")

            async def found_by_queries(made_s: float = made_s) -> bool:
                return time.monotonic() - made_s > query_lag_s

            # a sweep finds the second page of a row then
            await until(sandbox, found_by_queries, 15)
            code, _, said = await command(env, "sweep")
            assert code == 0, said
            await quiet(sandbox, db)
            assert await service.stop() == 0

        assert duplicates(sandbox) == {}
        for database, count in ROWS.items():
            assert pages_by_system_id(sandbox, database).total() == await scalar(db, count), database
        assert await scalar(db, "select count(*) from notion_sync.parked") == 0
        at_last = await links(db)
        assert len(known) >= 200
        assert {key: at_last[key] for key in known} == known
        shown = [row for database in ROWS for row in sandbox.people.rows(database, trashed=True)]
        assert {row["id"] for row in shown if not row["in_trash"]} == set(at_last.values())
        doubles = [row for row in shown if row["in_trash"]]
        assert await scalar(db, TRASHED) == len(doubles)
        assert sandbox.count("POST", "/v1/pages", 200) == len(at_last) + len(doubles)
        assert doubles or query_lag_s < looked_for_s, "no process was killed over a page that it had not linked"


async def test_changes_committed_while_it_is_killed_while_streaming_arrive(demo_dsn: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=3) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(
            demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, NOTION_CREATE_LOOKUP_SECONDS="0.5"
        )
        code, _, said = await command(env, "setup")
        assert code == 0, said
        async with Service(env) as service:
            await service.event("stream.started")
            await quiet(sandbox, db)
            sandbox.clear_requests()
            await db.execute("""update "Risk" set title = title || ' (1)'""")
            await sandbox.wait_for(lambda: sandbox.count("PATCH") >= 5)
            service.kill()
        await db.execute("""update "Risk" set title = title || ' (2)'""")
        await db.execute("""delete from "Complaint" where source = 'ANONYMOUS'""")
        async with Service(env) as service:
            await service.event("stream.started")
            await db.execute("""update "Incident" set status = 'CLOSED'""")
            await service.event("changes.marked")
            service.kill()
        async with Service(env) as service:
            await service.event("stream.started")
            await db.execute("""update "User" set name = 'last' where id = (select min(id) from "User")""")

            async def all_there() -> bool:
                titles = {row["properties"]["Title"] for row in sandbox.people.rows("Risks")}
                states = {row["properties"]["Status"] for row in sandbox.people.rows("Incidents")}
                wanted = await (await db.execute('select title from "Risk"')).fetchall()
                return titles == {row[0] for row in wanted} and states == {"CLOSED"}

            await until(sandbox, all_there)
            await quiet(sandbox, db)
            assert await service.stop() == 0

        assert duplicates(sandbox) == {}
        assert pages_by_system_id(sandbox, "Complaints").total() == await scalar(db, ROWS["Complaints"])


async def test_a_second_process_stands_by_and_takes_over_when_the_first_is_killed(mapable_dsn: str) -> None:
    insert = """insert into "User" (id, name, email, role, "updatedAt") values (%s, %s, %s, 'PARTICIPANT', now())"""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=4) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        code, _, said = await command(env, "setup")
        assert code == 0, said
        async with Service(env) as first:
            await first.event("stream.started")
            async with Service(env) as second:
                role = await second.event("role.changed")
                assert role["role"] == "standby"
                first.kill()
                await db.execute(insert, ("c1", "Amelia", "a@example.org"))
                await second.event("stream.started")
                await sandbox.wait_for(lambda: pages_by_system_id(sandbox, "Participants")["c1"] == 1)
                assert await second.stop() == 0


async def test_a_page_becomes_one_row_however_often_the_program_is_killed_over_it(mapable_dsn: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=6) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(
            mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, NOTION_POLL_SECONDS="0.05",
            NOTION_CREATE_ROWS="incident", NOTION_CREATE_LOOKUP_SECONDS="0.5",
        )
        code, _, said = await command(env, "setup")
        assert code == 0, said
        sandbox.switches.update({"latency_s": 0.01})
        pages = 40
        for number in range(pages):
            sandbox.people.create("Incidents", {
                "Incident Type": "NEAR_MISS", "Description": f"Fall {number}", "Occurred At": "2026-03-04T08:15:00Z",
            })
        rows = 'select count(*) from "Incident"'

        for least in (1, 8, 20, 33):
            async with Service(env) as service:

                async def there(least: int = least) -> bool:
                    return bool(await scalar(db, rows) >= least)

                await until(sandbox, there, 30)
                service.kill()
        async with Service(env) as service:

            async def all_there() -> bool:
                shown = [row["properties"]["System ID"] for row in sandbox.people.rows("Incidents")]
                return all(shown) and len(set(shown)) == pages

            await until(sandbox, all_there)
            await quiet(sandbox, db)
            assert await service.stop() == 0

        assert await scalar(db, rows) == await scalar(db, 'select count(distinct description) from "Incident"') == pages
        assert len(sandbox.people.rows("Incidents")) == pages
        assert await scalar(db, """select count(*) from notion_sync.audit_log where action = 'row.created'""") == pages
