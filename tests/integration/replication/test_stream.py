"""The stream against a real server: what comes again, what keeps the link alive, what ends it and how."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from cdc.replication.faults import LinkLost
from cdc.replication.frames import Keepalive, XLogData
from cdc.replication.link import connect
from cdc.replication.stream import ReplicationStream
from state.changes import Lsn
from tests.integration.replication.cable import Cable
from tests.integration.replication.source import NEVER_S, WAIT_S, Source, read_for_ever

LISTED = {"listed": ("name",)}
INSERTS = ("insert into listed values ('a')", "insert into listed values ('b')", "insert into listed values ('c')")
MANY = 20_000
SHORT = {"wal_sender_timeout": "1s"}


async def keys(source: Source, stream: ReplicationStream) -> list[str | None]:
    return [row.key for transaction in await source.read(stream, LISTED) for row in transaction.rows]


def kind(payload: bytes) -> bytes:
    """Return the letter for what a message is; both plugins have the same ones."""
    return payload.removeprefix(b'{"action":"')[:1]


async def test_what_was_acknowledged_does_not_come_again(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        seen = await source.read(stream, LISTED)
        stream.acknowledge(seen[1].commit.end_lsn)

    async with source.stream() as again:
        assert await keys(source, again) == ["c"]


async def test_what_was_not_acknowledged_comes_again(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        first = await keys(source, stream)

    async with source.stream() as again:
        assert await keys(source, again) == first == ["a", "b", "c"]


async def test_the_commit_position_itself_would_bring_the_transaction_again(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        seen = await source.read(stream, LISTED)
        stream.acknowledge(seen[1].commit.commit_lsn)

    async with source.stream() as again:
        assert await keys(source, again) == ["b", "c"]


async def test_a_stream_can_start_further_on(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        seen = await source.read(stream, LISTED)

    async with source.stream(start_lsn=seen[0].commit.end_lsn) as again:
        assert await keys(source, again) == ["b", "c"]


async def test_an_acknowledgement_reaches_the_server_at_once(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream(feedback_interval_s=NEVER_S) as stream:
        [*_, last] = await source.read(stream, LISTED)
        stream.acknowledge(last.commit.end_lsn)

        await source.acknowledged(last.commit.end_lsn)


async def test_an_acknowledgement_never_moves_backwards(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        first, *_, last = await source.read(stream, LISTED)
        stream.acknowledge(last.commit.end_lsn)
        stream.acknowledge(first.commit.end_lsn)

        assert stream.acknowledged_lsn == last.commit.end_lsn


async def test_what_was_not_received_is_not_acknowledged(source: Source) -> None:
    async with source.stream() as stream:
        stream.acknowledge(Lsn(2**60))
        await source.read(stream, LISTED)
    await source.run(*INSERTS)

    async with source.stream() as again:
        assert await keys(source, again) == ["a", "b", "c"]


async def test_an_idle_slot_can_advance_with_the_keepalives(source: Source) -> None:
    await source.run("create unlogged table scratch (a text)")
    async with source.stream(settings=SHORT) as stream, asyncio.timeout(WAIT_S):
        before = (await source.state()).confirmed_flush_lsn
        await source.run("begin; create table gone (a int); rollback")
        position = await source.value("select (pg_current_wal_insert_lsn() - '0/0')::int8")
        while stream.received_lsn < position:
            for frame in await stream.read():
                if isinstance(frame, Keepalive):
                    stream.acknowledge(frame.wal_end)
        await source.acknowledged(position)

    assert before is not None
    assert before < position


async def test_a_keepalive_that_wants_an_answer_gets_one_at_once(source: Source) -> None:
    async with source.stream(feedback_interval_s=NEVER_S, settings=SHORT) as stream:
        wanted = 0
        async with asyncio.timeout(WAIT_S):
            # the server asks at half of its timeout, so the fourth question comes after the link would have gone
            while wanted < 4:
                frames = await stream.read()
                wanted += sum(isinstance(frame, Keepalive) and frame.reply_requested for frame in frames)
        await source.run(*INSERTS)

        assert await keys(source, stream) == ["a", "b", "c"]


@pytest.mark.slow
async def test_a_paused_reader_keeps_its_link_and_finds_everything_later(source: Source) -> None:
    await source.fill(MANY)
    async with source.stream(feedback_interval_s=0.2, settings=SHORT) as stream:
        await stream.read(limit=1)
        spent_s = time.process_time()
        await source.value("select pg_sleep(3)")
        spent_s = time.process_time() - spent_s

        assert len(await keys(source, stream)) == MANY
        # data that waits in the socket must not spin the loop
        assert spent_s < 1.0


async def test_without_feedback_a_paused_reader_loses_its_link(source: Source) -> None:
    await source.fill(MANY)
    async with source.stream(feedback_interval_s=NEVER_S, settings=SHORT) as stream:
        await stream.read(limit=1)
        await source.value("select pg_sleep(3)")

        with pytest.raises(LinkLost):
            await keys(source, stream)


async def test_a_batch_is_no_longer_than_asked_for(source: Source) -> None:
    await source.run("insert into listed select 'k' || n from generate_series(1, 1000) n")
    async with source.stream() as stream, asyncio.timeout(WAIT_S):
        sizes = [len(await stream.read(limit=7)) for _ in range(100)]

    assert 0 < min(sizes) <= max(sizes) <= 7


async def test_a_batch_of_long_rows_is_cut_by_its_bytes(source: Source) -> None:
    await source.run("insert into listed select 'k' || n, repeat('x', 1000000) from generate_series(1, 20) n")
    async with source.stream() as stream:
        longest = 0
        async with asyncio.timeout(WAIT_S):
            rows = 0
            while rows < 20:
                batch = [len(frame.payload) for frame in await stream.read() if isinstance(frame, XLogData)]
                longest = max(longest, sum(batch))
                rows += sum(size > 1_000_000 for size in batch)

    assert longest < 6_000_000


async def test_reading_can_be_cancelled_at_any_moment_without_losing_a_message(source: Source) -> None:
    await source.run("insert into listed select 'k' || n from generate_series(1, 2000) n")
    seen: list[bytes] = []
    async with source.stream() as stream, asyncio.timeout(WAIT_S):
        turns = itertools.cycle((1, 2, 3, 4))
        while not any(kind(payload) == b"C" for payload in seen):
            reading = asyncio.create_task(stream.read(limit=3))
            for _ in range(next(turns)):
                await asyncio.sleep(0)  # lets it come a little further
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                seen += [frame.payload for frame in reading.result() if isinstance(frame, XLogData)]

    assert len([payload for payload in seen if kind(payload) == b"I"]) == 2000
    assert len(set(seen)) == len(seen)


async def test_other_tasks_run_while_there_is_much_to_read(source: Source) -> None:
    await source.fill(MANY)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with source.stream() as stream, asyncio.timeout(WAIT_S):
        counting = asyncio.create_task(count())
        batches = [await stream.read(limit=100) for _ in range(100)]
        counting.cancel()

    assert turns >= len(batches)


async def test_a_stream_that_the_server_ended_says_so_after_everything_before_was_read(source: Source) -> None:
    await source.run(*INSERTS)
    async with source.stream() as stream:
        assert await keys(source, stream) == ["a", "b", "c"]
        pid = (await source.state()).active_pid
        await source.value(f"select pg_terminate_backend({pid}, 5000)")

        with pytest.raises(LinkLost, match="57P01") as caught:
            await keys(source, stream)
        with pytest.raises(LinkLost, match="57P01"):
            await stream.read()

    assert caught.value.sqlstate == "57P01"
    assert not (await source.state()).active


async def test_a_link_that_broke_without_a_word_is_a_lost_one(source: Source) -> None:
    async with Cable(source.dsn) as cable:
        source.dsn = cable.dsn
        async with source.stream() as stream:
            reading = asyncio.create_task(read_for_ever(stream))
            await cable.cut()

            async with asyncio.timeout(WAIT_S):
                with pytest.raises(LinkLost, match="without a word"):
                    await reading

            # new sockets take the numbers of those that broke, and must not meet what is left of them
            async with await connect(source.dsn, replication=False) as other:
                await other.execute("select 1")


async def test_leaving_the_stream_lets_go_of_the_slot(source: Source) -> None:
    async with source.stream() as stream:
        await source.read(stream, LISTED)

    assert not (await source.state()).active


async def test_leaving_the_stream_within_a_large_transaction_takes_no_longer_than_allowed(source: Source) -> None:
    await source.fill(5 * MANY)
    async with source.stream(stop_timeout_s=0.05) as stream:
        await stream.read(limit=1)
        began_s = time.monotonic()

    assert time.monotonic() - began_s < 2.0


async def test_leaving_while_somebody_still_reads_ends_the_reading(source: Source) -> None:
    async with source.stream() as stream:
        reading = asyncio.create_task(read_for_ever(stream))
        await source.value("select 1")

    async with asyncio.timeout(WAIT_S):
        with pytest.raises((LinkLost, RuntimeError)):
            await reading


async def test_a_cancelled_owner_leaves_the_slot_free(source: Source) -> None:
    entered = asyncio.Event()

    async def own() -> None:
        async with source.stream() as stream:
            entered.set()
            await read_for_ever(stream)

    owner = asyncio.create_task(own())
    await entered.wait()
    owner.cancel()
    await asyncio.wait([owner])

    assert owner.cancelled()
    assert not (await source.state()).active


async def test_a_stream_that_was_not_entered_can_not_be_read(source: Source) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await source.stream().read()
