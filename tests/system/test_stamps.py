"""When a row was changed is only kept while somebody watched: after a gap it is unknown, and not what it was before."""

from __future__ import annotations

from typing import Any, Final

import psycopg
import pytest

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment
from tests.system.waiting import Connection, quiet, scalar

KNOWN: Final = "select count(*) from notion_sync.row_stamp where changed_at is not null and entity = '{entity}'"
ANN: Final = """
insert into "User" (id, name, email, role, "updatedAt") values ('ann', 'Ann', 'ann@e.org', 'PARTICIPANT', now())
"""
RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('risk', 'Risk', '', 'LOW', '', '', now())
"""


async def known(db: Connection, entity: str) -> Any:
    return await scalar(db, KNOWN.format(entity=entity))


@pytest.mark.parametrize("gap", ["slot", "switch"])
async def test_what_happened_in_a_gap_is_not_taken_for_what_was_known_before(mapable_dsn: str, gap: str) -> None:
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=3) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        await command(env, "setup")
        async with Service(env) as service:
            await service.event("stream.started")
            await db.execute(ANN.encode())
            await db.execute(RISK.encode())
            await quiet(sandbox, db)
            before = (await known(db, "participant"), await known(db, "risk"))
            assert await service.stop() == 0

        if gap == "slot":
            code, _, said = await command(env, "slot", "drop")
            assert code == 0, said
        else:
            async with Service({**env, "NOTION_SYNC_RISKS": "false"}) as service:
                await service.event("stream.started")
                assert await service.stop() == 0
        async with Service(env) as service:
            await service.event("stream.started")
            after = (await known(db, "participant"), await known(db, "risk"))
            assert await service.stop() == 0

        assert before == (1, 1)
        assert after == ((0, 0) if gap == "slot" else (1, 0))
