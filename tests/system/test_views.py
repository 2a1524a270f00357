"""Setup adds a few useful views once; what people do with them afterwards is theirs."""

from __future__ import annotations

from deploy.sandbox.server import Sandbox
from tests.system.service import command, environment

NAMES = {
    "NDIS Plans": "Plans ending soon", "Incidents": "Open incidents", "Complaints": "Open complaints",
    "Risks": "High and critical risks",
}


def views(sandbox: Sandbox, database: str) -> list[str]:
    return sorted(view["name"] for view in sandbox.people.views(database))


async def test_views_are_added_once(mapable_dsn: str) -> None:
    async with Sandbox(token="ntn_test", rate_limit=0, seed=3) as sandbox:
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)

        assert (await command(env, "setup"))[0] == 0

        assert {database: views(sandbox, database) for database in NAMES} == {
            database: sorted(["Default view", name]) for database, name in NAMES.items()
        }
        assert views(sandbox, "Participants") == ["Default view"]

        sandbox.clear_requests()
        assert (await command(env, "setup"))[0] == 0

        assert sandbox.count("POST", "/v1/views") == 0


async def test_views_that_can_not_be_made_do_not_fail_the_setup(mapable_dsn: str) -> None:
    async with Sandbox(token="ntn_test", rate_limit=0, seed=4) as sandbox:
        sandbox.faults.script(kind="400", when="before", method="POST", path_pattern="/v1/views", times=4)
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)

        code, _, said = await command(env, "setup")

        assert code == 0, said
        assert said.count("setup.view_not_made") == 4
