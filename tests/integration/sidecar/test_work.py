"""The work queue: marks that coalesce, leases, fences, and no mark that is cleared by work that began before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from state import parking, streamed, work
from state.changes import Key, Lsn, Priority, Reason
from state.database import Pool
from state.work import Claim, LeaseLost, Parked, WorkQueue

RISK = Key("risk", "r1")


@pytest.fixture
def queue(pool: Pool) -> WorkQueue:
    return WorkQueue(pool, lease_s=60.0)


async def mark(
    pool: Pool, *keys: Key, reason: Reason = Reason.OURS, priority: Priority = Priority.LIVE
) -> None:
    async with pool.connection() as conn:
        await work.mark(conn, dict.fromkeys(keys, None), reason=reason, priority=priority)


async def finish(pool: Pool, *claims: Claim) -> None:
    async with pool.connection() as conn:
        await work.finish(conn, claims)


async def claim(queue: WorkQueue, limit: int = 100, **narrowed: object) -> tuple[Claim, ...]:
    return await queue.claim(limit=limit, lowest=Priority.BACKFILL, **narrowed)  # type: ignore[arg-type]


async def one(queue: WorkQueue) -> Claim:
    (found,) = await claim(queue)
    return found


def ids(claims: Sequence[Claim]) -> list[str]:
    return [each.system_id for each in claims]


async def parked(pool: Pool) -> tuple[Parked, ...]:
    async with pool.connection() as conn:
        return await parking.named(conn)


async def left(pool: Pool) -> int:
    async with pool.connection() as conn:
        row = await (await conn.execute("select count(*) from work")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_key_marked_often_waits_once_with_all_its_reasons(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK, priority=Priority.BACKFILL)
    await mark(pool, RISK, reason=Reason.THEIRS)
    await mark(pool, RISK, priority=Priority.BACKFILL)

    found = await one(queue)

    assert found.reasons == Reason.OURS | Reason.THEIRS
    assert found.priority == Priority.LIVE


async def test_what_is_done_is_gone(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)

    await finish(pool, await one(queue))

    assert await left(pool) == 0
    assert await claim(queue) == ()


async def test_a_mark_during_the_work_survives_it_and_is_due_at_once(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    first = await one(queue)
    await mark(pool, RISK, reason=Reason.THEIRS)
    assert await claim(queue) == ()

    await finish(pool, first)

    second = await one(queue)
    assert second.gen > first.gen
    assert second.fence > first.fence
    assert second.attempts == 1


async def test_two_workers_never_hold_one_key(pool: Pool, queue: WorkQueue) -> None:
    keys = [Key("risk", f"r{number:03}") for number in range(100)]
    await mark(pool, *keys)

    batches = await asyncio.gather(*(claim(queue, limit=30) for _ in range(5)))

    held = [system_id for batch in batches for system_id in ids(batch)]
    assert len(held) == len(set(held)) == 100


async def test_better_work_is_claimed_first_and_bulk_only_when_asked_for(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, Key("risk", "bulk"), priority=Priority.BACKFILL)
    await mark(pool, Key("risk", "by hand"), priority=Priority.MANUAL)
    await mark(pool, Key("risk", "live"), priority=Priority.LIVE)

    assert ids(await queue.claim(limit=1, lowest=Priority.BACKFILL)) == ["live"]
    assert ids(await queue.claim(limit=9, lowest=Priority.MANUAL)) == ["by hand"]
    assert ids(await queue.claim(limit=9, lowest=Priority.BACKFILL)) == ["bulk"]


async def test_paused_entities_are_passed_over(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK, Key("incident", "i1"))

    assert ids(await claim(queue, paused=["risk"])) == ["i1"]
    assert ids(await claim(queue)) == ["r1"]


async def test_a_worker_whose_lease_ran_out_writes_nothing(pool: Pool) -> None:
    short, queue = WorkQueue(pool, lease_s=0.0), WorkQueue(pool, lease_s=60.0)
    await mark(pool, RISK)
    late = (await claim(short))[0]
    new = await one(queue)

    with pytest.raises(LeaseLost):
        await queue.renew(late)
    async with pool.connection() as conn, conn.transaction():
        with pytest.raises(LeaseLost):
            await work.hold(conn, late)
    async with pool.connection() as conn:
        with pytest.raises(LeaseLost):
            await work.park(conn, late, reason="r", message="m")
    await finish(pool, late)

    assert await left(pool) == 1
    assert await parked(pool) == ()
    await finish(pool, new)
    assert await left(pool) == 0


async def test_a_renewed_lease_knows_of_marks_since(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    first = await one(queue)
    await mark(pool, RISK, reason=Reason.THEIRS)

    renewed = await queue.renew(first)

    assert (renewed.fence, renewed.reasons) == (first.fence, Reason.OURS | Reason.THEIRS)
    await finish(pool, renewed)
    assert await left(pool) == 0


@pytest.mark.parametrize(("lease_s", "written"), [(100.0, False), (30.0, True)])
async def test_a_lease_is_made_to_last_when_a_quarter_of_it_is_used_up(
    pool: Pool, lease_s: float, written: bool
) -> None:
    await mark(pool, RISK)
    claimed = await one(WorkQueue(pool, lease_s=lease_s))
    async with pool.connection() as conn:
        versions = "select xmin::text from work"
        before = await (await conn.execute(versions)).fetchone()

        await WorkQueue(pool, lease_s=60.0).renew(claimed)

        assert (await (await conn.execute(versions)).fetchone() != before) is written
        lasts = "select due_at > clock_timestamp() + interval '44 s' from work"
        assert await (await conn.execute(lasts)).fetchone() == (True,)


async def test_a_new_process_takes_the_leases_of_the_dead_one_without_counting_them(
    pool: Pool, queue: WorkQueue
) -> None:
    await mark(pool, RISK)
    dead = await one(queue)

    assert await queue.take_over() == 1

    again = await one(queue)
    assert again.attempts == dead.attempts == 1
    with pytest.raises(LeaseLost):
        await queue.renew(dead)


async def test_a_claim_that_nobody_holds_is_freed_and_others_are_not(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    lost = await one(queue)
    await mark(pool, Key("risk", "r2"))
    held = await one(queue)
    await mark(pool, Key("risk", "r3"))

    assert await queue.free_lost([held.fence]) == 1

    assert sorted(ids(await claim(queue))) == ["r1", "r3"]
    await queue.renew(held)
    with pytest.raises(LeaseLost):
        await queue.renew(lost)


async def test_what_is_given_back_waits_unless_it_is_marked(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    async with pool.connection() as conn:
        await work.release(conn, await one(queue), wait_s=60.0, counts=True)
    assert await claim(queue) == ()
    due_s = await queue.next_due_s()
    assert due_s is not None
    assert 50 < due_s <= 60

    await mark(pool, RISK)

    assert (await one(queue)).attempts == 2


async def test_what_is_given_back_is_due_at_once_when_it_was_marked_meanwhile(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    held = await one(queue)
    await mark(pool, RISK)

    async with pool.connection() as conn:
        await work.release(conn, held, wait_s=60.0, counts=True)

    assert ids(await claim(queue)) == ["r1"]


async def test_a_hot_key_waits_whatever_marks_it(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    held = await one(queue)
    await mark(pool, RISK)
    async with pool.connection() as conn:
        await work.release(conn, held, wait_s=60.0, counts=False, hold_marks=True)

    await mark(pool, RISK)

    assert await claim(queue) == ()


async def test_parked_work_is_out_of_the_queue_until_it_is_done_after_all(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    async with pool.connection() as conn:
        await work.park(conn, await one(queue), reason="notion_validation_error", message="Notion answered 400")
    (aside,) = await parked(pool)
    assert (aside.system_id, aside.reason, await left(pool)) == ("r1", "notion_validation_error", 0)

    await mark(pool, RISK)
    await finish(pool, await one(queue))

    assert await parked(pool) == ()


async def test_what_is_tried_again_is_looked_at_on_both_sides_behind_everything_else(
    pool: Pool, queue: WorkQueue
) -> None:
    other = Key("incident", "i1")
    await mark(pool, RISK, other)
    async with pool.connection() as conn:
        for held in await claim(queue):
            await work.park(conn, held, reason="r", message="m")

        assert await parking.try_again(conn, after_s=60.0) == 0
        assert await parking.try_again(conn, entity="risk") == 1

    found = await one(queue)
    # whichever side it was parked for, nobody need tell of it a second time
    assert (found.key, found.reasons, found.priority) == (RISK, Reason.OURS | Reason.THEIRS, Priority.BACKFILL)
    assert len(await parked(pool)) == 2


async def test_a_late_worker_does_not_take_for_done_what_the_next_one_parked(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    late = (await claim(WorkQueue(pool, lease_s=0.0)))[0]
    async with pool.connection() as conn:
        await work.park(conn, await one(queue), reason="r", message="m")
    await mark(pool, RISK)

    await finish(pool, late)

    assert [item.system_id for item in await parked(pool)] == ["r1"]
    assert await left(pool) == 1


async def test_a_mark_during_the_work_survives_its_being_parked(pool: Pool, queue: WorkQueue) -> None:
    await mark(pool, RISK)
    held = await one(queue)
    await mark(pool, RISK)

    async with pool.connection() as conn:
        await work.park(conn, held, reason="r", message="m")

    assert ids(await claim(queue)) == ["r1"]


async def test_writers_in_any_order_do_not_deadlock(pool: Pool, queue: WorkQueue) -> None:
    keys = [Key("risk", f"r{number:03}") for number in range(200)]

    async def marked(order: Sequence[Key]) -> None:
        for _ in range(5):
            await mark(pool, *order)

    async def worked() -> None:
        for _ in range(10):
            await finish(pool, *await claim(queue, limit=50))

    await asyncio.gather(marked(keys), marked(keys[::-1]), worked(), worked(), queue.take_over())

    await queue.take_over()
    while batch := await claim(queue):
        await finish(pool, *batch)
    assert await left(pool) == 0


async def test_the_position_in_the_log_never_moves_back(pool: Pool) -> None:
    async with pool.connection() as conn:
        for lsn in (50, 100, 70):
            await streamed.save(conn, "slot", Lsn(lsn))
        row = await (await conn.execute("select position = '0/0'::pg_lsn + 100 from stream_position")).fetchone()

    assert row == (True,)
