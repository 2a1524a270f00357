"""What a pool hands out."""

from __future__ import annotations

from contextlib import AsyncExitStack

import psycopg

from state.database import conninfo, open_pool

SIZE = 3
END_ALL = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'pooled'"
LAST = "select distinct query from pg_stat_activity where application_name = 'pooled'"


async def test_connections_that_the_server_has_ended_are_not_handed_out(mapable_dsn: str) -> None:
    info = conninfo(mapable_dsn, schema="public", application_name="pooled", statement_timeout_s=30)
    async with (
        open_pool(info, name="tests", max_size=SIZE) as pool,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn,
    ):
        async with AsyncExitStack() as stack:
            for _ in range(SIZE):
                await stack.enter_async_context(pool.connection())
        ended = await (await conn.execute(END_ALL)).fetchall()
        answers = []
        for _ in range(2 * SIZE):
            async with pool.connection() as pooled:
                answers += await (await pooled.execute("select 42")).fetchall()

    assert ended == [(True,)] * SIZE
    assert answers == [(42,)] * 2 * SIZE


async def test_a_connection_that_stands_is_handed_out_without_asking_it(mapable_dsn: str) -> None:
    info = conninfo(mapable_dsn, schema="public", application_name="pooled", statement_timeout_s=30)
    async with (
        open_pool(info, name="tests", max_size=1) as pool,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn,
    ):
        async with pool.connection() as pooled:
            await pooled.execute("select 42")
        async with pool.connection():
            pass
        asked = await (await conn.execute(LAST)).fetchall()

    assert asked == [("select 42",)]
