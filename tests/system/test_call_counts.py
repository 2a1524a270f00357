"""Notion's budget is the scarce resource: what a backfill, a change and a second look cost in requests."""

from __future__ import annotations

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.test_crashes import ROWS
from tests.system.waiting import DATABASES, quiet, scalar

# values that don't come back as they were sent where Notion trims, cuts milliseconds and lowers addresses
CHANGED_BY_NOTION = """
select (select count(*) from "User" where role = 'PARTICIPANT' and (email <> lower(email) or name <> trim(name)))
    + (select count(*) from "Incident" where "occurredAt" <> date_trunc('second', "occurredAt"))
    + (select count(*) from "PaymentTransaction" where "createdAt" <> date_trunc('second', "createdAt"))
"""


@pytest.mark.parametrize("normalise", [False, True], ids=["as sent", "Notion normalises"])
async def test_a_backfill_costs_one_create_a_row_and_a_second_one_nothing(demo_dsn: str, normalise: bool) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=7) as sandbox,
        await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as db,
    ):
        env = environment(demo_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        code, _, said = await command(env, "setup")
        assert code == 0, said
        sandbox.switches.update({"normalise": normalise})
        assert await scalar(db, CHANGED_BY_NOTION) > 10
        rows = sum([await scalar(db, count) for count in ROWS.values()])
        sandbox.clear_requests()

        code, _, said = await command(env, "backfill")

        assert code == 0, said
        assert sandbox.count("POST", "/v1/pages") == rows
        # participants come first, so that hardly any relation has to be finished in a second pass
        assert sandbox.count("PATCH") <= rows // 20, [r.body for r in sandbox.requests.select("PATCH")]
        assert sandbox.count("POST", "/v1/data_sources/.*/query") == len(DATABASES)

        sandbox.clear_requests()
        code, _, said = await command(env, "backfill")

        assert code == 0, said
        assert sandbox.count() == 0

        async with Service(env) as service:
            await service.event("slot.created")
            await service.event("entity.marked", times=len(DATABASES))
            await quiet(sandbox, db)
            assert sandbox.count("PATCH") + sandbox.count("POST") == 0

            await db.execute("""update "Risk" set title = 'Ramp' where id = (select min(id) from "Risk")""")
            await sandbox.wait_for(lambda: sandbox.count("PATCH") == 1)
            await quiet(sandbox, db)
            assert sandbox.count("PATCH") == 1
            (patch,) = sandbox.requests.select("PATCH")
            assert len(patch.body["properties"]) == 1
            assert await service.stop() == 0
