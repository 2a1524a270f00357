"""The thin path through everything: a row committed in MapAble appears in Notion."""

from __future__ import annotations

import psycopg

from deploy.sandbox.server import Sandbox
from tests.system.service import Service, command, environment

INSERT = """
insert into "User" (id, name, email, role, "updatedAt")
values (%(id)s, %(name)s, %(email)s, 'PARTICIPANT', now())
"""


async def test_an_inserted_participant_gets_a_page_and_an_update_changes_it(mapable_dsn: str) -> None:
    async with Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox:
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        code, _, said = await command(env, "setup")
        assert code == 0, said

        async with Service(env) as service, await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db:
            await service.event("stream.started")
            await db.execute(INSERT, {"id": "c1", "name": "Amelia", "email": "amelia@example.org"})
            await sandbox.wait_for(lambda: len(sandbox.people.rows("Participants")) == 1)
            row = sandbox.people.rows("Participants")[0]
            assert row["properties"]["Name"] == "Amelia"

            await db.execute("""update "User" set name = 'Amelia T' where id = 'c1'""")
            await sandbox.wait_for(lambda: sandbox.people.rows("Participants")[0]["properties"]["Name"] == "Amelia T")
            assert await service.stop() == 0
