"""Writing an edit to MapAble's row: only where the row still holds what was seen, and only the column it is about."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from sinks.mapable.rows import SourceBusy
from sinks.mapable.writeback import WriteBack, Written
from sinks.mapping.entities import by_name, columns_of
from state.errors import TransientError

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
PLAN = by_name("ndisplan")


@pytest.fixture
async def db(demo_dsn: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(demo_dsn, autocommit=True) as conn:
        yield conn


async def plan(db: Connection, offset: int = 0) -> dict[str, Any]:
    names = ", ".join(f'"{column}"' for column in columns_of(PLAN))
    async with db.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f'select {names}, "updatedAt" from "NDISPlan" order by id limit 1 offset {offset}'.encode()  # noqa: S608
        )
        row = await cursor.fetchone()
        assert row is not None
        return row


async def write(db: Connection, row: dict[str, Any], changes: dict[str, Any]) -> Written:
    async with db.transaction():
        return await WriteBack("public").write(db, PLAN, row["id"], row, changes)


async def test_the_named_columns_and_the_time_of_change_are_written_and_nothing_else(db: Connection) -> None:
    before = await plan(db)

    written = await write(db, before, {"remainingBudget": Decimal("0.00"), "status": "SUSPENDED"})

    after = await plan(db)
    assert written == Written(done=("remainingBudget", "status"))
    assert after["updatedAt"] > before["updatedAt"]
    assert {name for name in after if after[name] != before[name]} == {"remainingBudget", "status", "updatedAt"}


async def test_a_column_that_changed_since_it_was_seen_is_left_alone(db: Connection) -> None:
    seen = await plan(db)
    await db.execute("""update "NDISPlan" set status = 'EXPIRED' where id = %s""", (seen["id"],))

    written = await write(db, seen, {"status": "SUSPENDED", "startDate": datetime(2026, 1, 2)})  # noqa: DTZ001

    after = await plan(db)
    assert written == Written(done=("startDate",), stale=("status",))
    assert (after["status"], after["startDate"]) == ("EXPIRED", datetime(2026, 1, 2))  # noqa: DTZ001


async def test_a_value_that_the_database_refuses_fails_its_column_and_not_the_row(db: Connection) -> None:
    seen, other = await plan(db), await plan(db, offset=1)

    written = await write(db, seen, {"planNumber": other["planNumber"], "status": "SUSPENDED"})

    after = await plan(db)
    assert written.done == ("status",)
    assert written.refused == {"planNumber": "Another record in MapAble has this value already."}
    assert (after["planNumber"], after["status"]) == (seen["planNumber"], "SUSPENDED")


async def test_a_text_too_long_for_the_index_that_keeps_it_unique_fails_its_column_and_not_the_row(
    db: Connection,
) -> None:
    seen = await plan(db)
    # hardly compressible, as an index would have it
    long = "".join(secrets.token_hex(32) for _ in range(150))

    written = await write(db, seen, {"planNumber": long, "status": "SUSPENDED"})

    after = await plan(db)
    assert written.done == ("status",)
    assert written.refused == {"planNumber": "This is longer than MapAble's database takes."}
    assert (after["planNumber"], after["status"]) == (seen["planNumber"], "SUSPENDED")


async def test_what_a_trigger_of_mapables_refuses_fails_its_column_and_not_the_row_and_is_not_quoted(
    db: Connection,
) -> None:
    seen = await plan(db)
    await db.execute(
        """create function refuse() returns trigger language plpgsql as $$
        begin if new.status = 'SUSPENDED' then raise exception 'not %', new.status; end if; return new; end $$"""
    )
    await db.execute('create trigger refuses before update on "NDISPlan" for each row execute function refuse()')

    written = await write(db, seen, {"status": "SUSPENDED", "startDate": datetime(2026, 1, 2)})  # noqa: DTZ001

    assert written.done == ("startDate",)
    assert written.refused == {"status": "MapAble's database refuses this value."}
    assert (await plan(db))["status"] == seen["status"]


async def test_a_row_that_is_gone_is_said_to_be(db: Connection) -> None:
    seen = await plan(db)

    written = await write(db, {**seen, "id": "nobody"}, {"status": "SUSPENDED"})

    assert written == Written(missing=True)


async def test_a_row_that_the_app_holds_is_not_waited_for(db: Connection, demo_dsn: str) -> None:
    seen = await plan(db)
    async with (
        await psycopg.AsyncConnection.connect(demo_dsn) as app,
        app.transaction(),
    ):
        await app.execute('select 1 from "NDISPlan" where id = %s for update', (seen["id"],))

        with pytest.raises(SourceBusy):
            await write(db, seen, {"status": "SUSPENDED"})

    assert (await plan(db))["status"] == seen["status"]


async def test_a_column_that_may_not_be_written_is_the_entitys_matter_and_quotes_nothing(db: Connection) -> None:
    seen = await plan(db)
    await db.execute('alter table "NDISPlan" rename status to state')

    with pytest.raises(TransientError) as caught:
        await write(db, seen, {"status": "SUSPENDED"})

    assert "SUSPENDED" not in str(caught.value)
