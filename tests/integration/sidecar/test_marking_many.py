"""Many keys at once are copied into the queue where none of them is there, and marked one by one where some are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import fresh, work
from state.changes import Key, Priority, Reason
from state.database import Pool

MANY: Final[Mapping[Key, int | None]] = {Key("risk", f"r{n}"): None for n in range(300)}


async def mark(pool: Pool, keys: Mapping[Key, int | None], *, priority: Priority = Priority.LIVE) -> None:
    async with pool.connection() as conn, conn.transaction():
        await work.mark(conn, keys, reason=Reason.OURS, priority=priority)


async def value(pool: Pool, query: str) -> Any:
    async with pool.connection() as conn:
        row = await (await conn.execute(query.encode())).fetchone()
    return row[0] if row is not None else None


async def test_many_are_marked_as_one_by_one(pool: Pool) -> None:
    number = int(await value(pool, "select pg_current_xact_id()::text")) % 2**32
    await mark(pool, {Key("risk", "alone"): number})

    await mark(pool, dict.fromkeys(MANY, number))

    told = "select count(distinct (reasons, priority, xid, not_before, attempts, fence)) from work"
    assert await value(pool, "select count(*) from work") == len(MANY) + 1
    assert await value(pool, told) == 1
    assert await value(pool, "select count(distinct gen) from work") == len(MANY) + 1
    assert await value(pool, "select bool_and(due_at <= clock_timestamp()) from work")


@pytest.mark.parametrize("odd", ["a\tb", "a\nb\r", "a\\b", "\\N", "\\.", "é🦘", " ", ""])
async def test_ids_are_kept_as_they_are(pool: Pool, odd: str) -> None:
    await mark(pool, {**MANY, Key("risk", odd): None})

    async with pool.connection() as conn:
        row = await (await conn.execute("select count(*) from work where system_id = %s", (odd,))).fetchone()
    assert row == (1,)


async def test_a_key_that_waits_already_keeps_what_it_waits_for(pool: Pool) -> None:
    await mark(pool, {Key("risk", "r7"): None})
    before = await value(pool, "select (gen, marked_at)::text from work")

    await mark(pool, MANY, priority=Priority.BACKFILL)

    assert await value(pool, "select count(*) from work") == len(MANY)
    assert await value(pool, "select priority from work where system_id = 'r7'") == Priority.LIVE
    assert await value(pool, "select (gen, marked_at)::text from work where system_id = 'r7'") != before


async def test_whoever_marks_one_of_them_at_that_moment_loses_nothing(pool: Pool) -> None:
    async with pool.connection() as conn:
        await work.mark(conn, {Key("risk", "late"): None}, reason=Reason.THEIRS, priority=Priority.LIVE)
        async with conn.transaction():
            copied = await fresh.copied_in(conn, {**MANY, Key("risk", "late"): None}, reasons=1, priority=0)
            # the transaction goes on
            await work.mark(conn, {Key("risk", "after"): None}, reason=Reason.OURS, priority=Priority.LIVE)

    assert not copied
    assert await value(pool, "select array_agg(system_id order by system_id) from work") == ["after", "late"]


@given(st.integers(0, 2**63 - 2**33), st.integers(-(2**31), 2**31 - 1))
def test_a_short_transaction_number_gets_the_epoch_that_is_nearest(xmax: int, ahead: int) -> None:
    full = max(0, xmax + ahead)

    assert fresh.nearest(full % 2**32, xmax) == full
