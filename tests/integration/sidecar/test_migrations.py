"""The sidecar's schema is brought up to date on start, by however many processes, and never by an older program."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg import sql

from state.database import Connection, conninfo
from state.errors import FatalError
from state.migrations import available, migrate

NUMBERS = tuple(number for number, _, _ in available())
# what the first implementation's table had, by name and in its words
SEED_COLUMNS = {
    "entityType", "systemId", "notionPageId", "notionDatabaseId", "lastSyncedAt", "syncDirection", "conflictState",
}  # fmt: skip


async def opened(dsn: str) -> Connection:
    info = conninfo(dsn, schema="notion_sync", application_name="tests", statement_timeout_s=30)
    return await psycopg.AsyncConnection.connect(info, autocommit=True)


async def migrated(dsn: str, schema: str = "notion_sync") -> tuple[int, ...]:
    async with await opened(dsn) as conn:
        return await migrate(conn, schema)


async def test_an_empty_database_gets_all_of_them_once(mapable_dsn: str) -> None:
    assert await migrated(mapable_dsn) == NUMBERS
    assert await migrated(mapable_dsn) == ()


async def test_processes_that_start_at_once_wait_for_each_other(mapable_dsn: str) -> None:
    applied = await asyncio.gather(*(migrated(mapable_dsn) for _ in range(6)))

    assert sorted(applied, key=len) == [(), (), (), (), (), NUMBERS]


async def test_an_older_program_refuses_a_newer_schema(mapable_dsn: str) -> None:
    await migrated(mapable_dsn)
    async with await opened(mapable_dsn) as conn:
        await conn.execute("insert into migration (number, name) values (9001, 'of tomorrow')")

    with pytest.raises(FatalError, match=r"made by a newer version of this program \(migration 9001\)") as caught:
        await migrated(mapable_dsn)

    assert "Run the newer version" in caught.value.hint


async def test_one_that_fails_leaves_nothing_behind(mapable_dsn: str) -> None:
    async with await opened(mapable_dsn) as conn:
        await conn.execute("create schema notion_sync")
        # in the way of a table of the first one
        await conn.execute("create table notion_sync.parked (x int)")
        with pytest.raises(psycopg.errors.DuplicateTable):
            await migrate(conn, "notion_sync")
        left = await conn.execute("select tablename from pg_tables where schemaname = 'notion_sync'")
        tables = await left.fetchall()

        await conn.execute("drop table notion_sync.parked")
        again = await migrate(conn, "notion_sync")

    assert tables == [("parked",)]
    assert again == NUMBERS


async def test_the_schemas_name_is_free_to_choose_and_nothing_stands_elsewhere(mapable_dsn: str) -> None:
    async with await opened(mapable_dsn) as conn:
        tables = "select count(*) from pg_tables where schemaname = 'public'"
        before = await (await conn.execute(tables)).fetchone()
        await migrate(conn, 'the "sync"')
        after = await (await conn.execute(tables)).fetchone()
        await conn.execute(sql.SQL("select from {}.work").format(sql.Identifier('the "sync"')))

    assert before == after


async def test_a_role_that_may_not_is_told_what_to_run(mapable_dsn: str) -> None:
    async with await opened(mapable_dsn) as conn:
        await conn.execute("create role humble nosuperuser")
        try:
            await conn.execute("set role humble")
            with pytest.raises(FatalError) as caught:
                await migrate(conn, "notion_sync")
        finally:
            await conn.execute("reset role")
            await conn.execute("drop role humble")

    assert "create schema if not exists" in caught.value.hint


async def test_the_mapping_has_the_seeds_columns_and_rules(mapable_dsn: str) -> None:
    await migrated(mapable_dsn)
    add = """
        insert into "NotionSyncMapping" ("entityType", "systemId", "notionPageId", "syncDirection", "conflictState")
        values (%s, %s, %s, %s, %s)
    """
    async with await opened(mapable_dsn) as conn:
        cursor = await conn.execute('select * from "NotionSyncMapping"')
        columns = {column.name for column in cursor.description or ()}
        for direction, conflict in (("to_notion", "none"), ("from_notion", "pending"), ("both", "resolved")):
            await conn.execute(add, ("User", direction, direction, direction, conflict))

        for row, broken in (
            (("User", "both", "p9", "both", "none"), psycopg.errors.UniqueViolation),
            (("Risk", "r1", "both", "both", "none"), psycopg.errors.UniqueViolation),
            (("Risk", "r1", "p1", "sideways", "none"), psycopg.errors.CheckViolation),
            (("Risk", "r1", "p1", "both", "maybe"), psycopg.errors.CheckViolation),
        ):
            with pytest.raises(broken):
                await conn.execute(add, row)

    assert columns >= SEED_COLUMNS
