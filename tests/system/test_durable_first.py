"""While the queue can't be written, nothing is acknowledged and little is read: what is not durable is in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.system.scene import PARTICIPANT, Scene, staged

HUGE: Final = 200_000
# it grows by some 4 MB; where reading does not pause, the transaction is in memory as a whole, which takes 55 MB
ROOM_BYTES: Final = 25_000_000
WORKERS: Final = """
insert into "Worker" (id, "userId", "updatedAt")
select 'worker-' || n, n, now() from generate_series(1, %(rows)s::int) n
"""
STREAM: Final = """
from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = %(slot)s
"""
RECEIVED: Final = f"select r.write_lsn - '0/0' >= %(lsn)s {STREAM}"
SENT: Final = f"select r.sent_lsn - '0/0' >= %(lsn)s {STREAM}"
KEPT: Final = f"select (greatest(r.flush_lsn, s.confirmed_flush_lsn) - '0/0')::int8 {STREAM}"
INSERTED: Final = "select (pg_current_wal_insert_lsn() - '0/0')::int8"


@asynccontextmanager
async def queue_held(scene: Scene) -> AsyncIterator[None]:
    """Let nobody write to the queue for as long as the block runs."""
    async with scene.session() as other:
        await other.execute("lock table notion_sync.work in exclusive mode")
        yield


async def test_the_log_is_acknowledged_once_the_marks_are_durable_and_not_before(mapable_dsn: str) -> None:
    async with staged(mapable_dsn) as scene, scene.session() as app:
        slot = scene.env["REPLICATION_SLOT"]
        async with queue_held(scene):
            await app.execute(PARTICIPANT.encode(), {"id": "late", "name": "Late"})
            row = await (await app.execute(INSERTED.encode())).fetchone()
            await app.commit()
            await scene.until_true(RECEIVED, slot=slot, lsn=await scene.wal_end())
            kept = await scene.value(KEPT, slot=slot)

        assert row is not None
        assert kept <= row[0], "the commit, which comes after, is not durable with us"
        await scene.until_confirmed(await scene.wal_end())
        await scene.until(lambda: scene.page("Participants", "late") is not None)


async def test_a_huge_transaction_takes_bounded_memory_and_holds_nobody_up(mapable_dsn: str) -> None:
    async with staged(mapable_dsn) as scene:
        await scene.run('alter table "Worker" drop constraint "Worker_userId_fkey"')
        before = scene.peak_memory_bytes()
        async with queue_held(scene):
            await scene.run(WORKERS, rows=HUGE)
            committed = await scene.wal_end()
            # who read on would be through with it by then
            with pytest.raises(TimeoutError):
                await scene.until_true(SENT, 6.0, slot=scene.env["REPLICATION_SLOT"], lsn=committed)

        await scene.participant("after", "Live")
        assert await scene.value("select count(*) from notion_sync.work") > HUGE / 2

        # all of it is in the queue or through, and the log may go
        await scene.until_metric("mapable_cdc_keys_marked_total", HUGE)
        await scene.until_confirmed(committed)
        await scene.run("""update "User" set name = 'Livelier' where id = 'after'""")
        await scene.until(lambda: scene.shows("Participants", "after", Name="Livelier"))
        assert scene.peak_memory_bytes() - before < ROOM_BYTES
