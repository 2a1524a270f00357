"""The database goes away for a moment while the service starts: it is on its way, and goes on."""

from __future__ import annotations

import psycopg

from deploy.sandbox.server import Sandbox
from tests.chaos.wire import BEFORE, Wire
from tests.system.service import Service, command, environment

BOT = "select value ->> 'id' from notion_sync.setting where name = 'bot'"


async def test_a_connection_that_breaks_while_the_token_is_checked_does_not_end_it(mapable_dsn: str) -> None:
    broken: list[str] = []

    def break_once(durable: tuple[str, ...], when: str) -> bool:
        due = when == BEFORE and not broken and any("insert into setting" in one and "bot" in one for one in durable)
        broken.extend(["then"] * due)
        return due

    async with Sandbox(token="ntn_test", rate_limit=0, seed=5) as sandbox, Wire(mapable_dsn) as wire:
        env = environment(wire.dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        code, _, said = await command(env, "setup")
        assert code == 0, said
        wire.watcher = break_once

        async with Service(env) as service:
            await service.event("stream.started")
            async with await psycopg.AsyncConnection.connect(mapable_dsn) as db:
                row = await (await db.execute(BOT)).fetchone()
            assert await service.stop() == 0

        assert broken == ["then"]
        assert row == (sandbox.state.bot_id,)
