"""Slots of a real server: looked at, made, dropped, lost."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from cdc.replication import making
from cdc.replication import slot as slots
from cdc.replication.faults import LinkLost, SlotBlocked, SlotBusy, SlotExists, SlotLost
from cdc.replication.frames import parse_lsn
from deploy.local.server import PrivateServer
from state.errors import FatalError
from tests.integration.replication.source import WAIT_S, Source, read_for_ever
from tests.plugins import PLUGIN


async def test_no_slot_is_nothing(source: Source) -> None:
    assert await slots.inspect(source.conn, "nobody") is None


async def test_a_new_slot_is_ours_idle_and_holds_the_log_from_its_point_on(source: Source) -> None:
    source.slot += "_new"
    point = await source.create_slot()

    state = await source.state()

    assert (state.name, state.plugin) == (source.slot, source.plugin)
    assert state.database == await source.value("select current_database()")
    assert (state.active, state.active_pid, state.lost) == (False, None, False)
    assert state.confirmed_flush_lsn == point
    assert state.restart_lsn is not None
    assert state.restart_lsn <= point


async def test_what_a_slot_retains_is_counted_from_where_the_server_restarts(source: Source) -> None:
    before = await source.state()
    await source.run("insert into listed select n, repeat(md5(n::text), 100) from generate_series(1, 1000) n")

    after = await source.state()

    assert before.retained_bytes is not None
    assert after.retained_bytes is not None
    assert after.restart_lsn == before.restart_lsn
    assert after.retained_bytes > before.retained_bytes + 30_000


async def test_the_reader_of_a_slot_is_named(source: Source) -> None:
    async with source.stream():
        state = await source.state()

        assert state.active
        senders = "select application_name || ' ' || pid from pg_stat_activity where backend_type = 'walsender'"
        assert await source.value(f"{senders} and datname = current_database()") == f"mapable-cdc {state.active_pid}"


async def test_a_slot_is_dropped_once(source: Source) -> None:
    assert await slots.drop(source.conn, source.slot)
    assert not await slots.drop(source.conn, source.slot)
    assert await slots.inspect(source.conn, source.slot) is None


async def test_a_slot_that_is_read_is_not_dropped(source: Source) -> None:
    async with source.stream():
        with pytest.raises(SlotBusy):
            await slots.drop(source.conn, source.slot)


async def test_a_slot_is_not_made_twice(source: Source) -> None:
    with pytest.raises(SlotExists):
        await source.create_slot()


async def test_a_plugin_that_is_not_there_is_a_matter_for_a_person(source: Source) -> None:
    with pytest.raises(FatalError) as caught:
        await making.create(source.dsn, "other", WAIT_S, plugin="no_such_plugin")

    # servers with an allow-list refuse it before they look for it
    assert "apt-get install" in caught.value.hint or "output_plugin_libraries" in caught.value.hint


async def test_an_open_transaction_that_has_written_is_named_and_no_half_slot_stays(source: Source) -> None:
    await source.run("insert into listed values ('CANARY')")
    async with await psycopg.AsyncConnection.connect(source.dsn) as writer:
        await writer.execute("update listed set name = 'CANARY'")

        with pytest.raises(SlotBlocked, match=str(writer.info.backend_pid)) as caught:
            await making.create(source.dsn, "blocked", 0.5, PLUGIN)

        assert writer.info.backend_pid in caught.value.pids
        assert "CANARY" not in str(caught.value)
        assert await slots.inspect(source.conn, "blocked") is None
        waiting = "select count(*) from pg_stat_activity where query like 'CREATE_REPLICATION_SLOT \"blocked\"%'"
        assert await source.value(waiting) == 0


async def test_a_writer_of_another_database_is_named_too(source: Source) -> None:
    elsewhere = psycopg.conninfo.make_conninfo(source.dsn, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere) as writer:
        await writer.execute("select pg_current_xact_id()")

        with pytest.raises(SlotBlocked) as caught:
            await making.create(source.dsn, "blocked_elsewhere", 0.5, PLUGIN)

        assert writer.info.backend_pid in caught.value.pids


async def test_a_slot_is_made_as_soon_as_the_writer_is_done(source: Source) -> None:
    async with await psycopg.AsyncConnection.connect(source.dsn) as writer:
        await writer.execute("insert into listed values ('before')")
        making_it = asyncio.create_task(making.create(source.dsn, f"{source.slot}_late", WAIT_S, PLUGIN))
        await source.until("select exists (select from pg_locks where locktype = 'transactionid' and not granted)")
        await writer.commit()

        assert await making_it > 0


async def test_a_cancelled_making_leaves_no_slot(source: Source) -> None:
    async with await psycopg.AsyncConnection.connect(source.dsn) as writer:
        await writer.execute("insert into listed values ('before')")
        making_it = asyncio.create_task(making.create(source.dsn, "cancelled", WAIT_S, PLUGIN))
        await source.until("select exists (select from pg_locks where locktype = 'transactionid' and not granted)")
        making_it.cancel()
        await asyncio.wait([making_it])

        assert making_it.cancelled()
        assert await slots.inspect(source.conn, "cancelled") is None


async def test_the_stream_of_a_new_slot_begins_after_its_point(source: Source) -> None:
    await source.run("insert into listed values ('before')")
    source.slot += "_new"
    point = await source.create_slot()
    await source.run("insert into listed values ('after')")
    async with source.stream() as stream:
        [seen] = await source.read(stream, {"listed": ()})

    assert [row.key for row in seen.rows] == ["after"]
    assert seen.commit.end_lsn > point


async def test_a_cluster_and_database_have_an_identity(source: Source) -> None:
    identity = await slots.identify(source.dsn)

    assert identity.database == await source.value("select current_database()")
    assert identity.system_identifier == str(await source.value("select system_identifier from pg_control_system()"))
    assert identity.timeline == await source.value("select timeline_id from pg_control_checkpoint()")


async def test_a_position_is_read_as_postgres_counts_it(source: Source) -> None:
    text, number = await (
        await source.conn.execute("select l::text, (l - '0/0')::int8 from (select pg_current_wal_lsn() l) x")
    ).fetchone() or ("", 0)

    assert parse_lsn(text) == number


async def test_a_slot_whose_log_was_removed_is_lost_for_inspection_and_stream(private_postgres: PrivateServer) -> None:
    dsn = private_postgres.dsn()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        source = Source(dsn, conn, "lost")
        await source.create_slot()
        await source.run("alter system set max_slot_wal_keep_size = '1MB'", "alter system set min_wal_size = '32MB'",
                         "alter system set max_wal_size = '32MB'", "select pg_reload_conf()",
                         "create table filler (a text)")  # fmt: skip
        async with asyncio.timeout(WAIT_S):
            while not (await source.state()).lost:
                await source.run("insert into filler values ('x')", "select pg_switch_wal()", "checkpoint")

        state = await source.state()
        with pytest.raises(SlotLost):
            await source.stream("filler").__aenter__()

        assert (state.restart_lsn, state.safe_wal_bytes, state.retained_bytes) == (None, None, None)
        assert await slots.drop(conn, "lost")


async def test_a_server_that_logs_too_little_is_a_matter_for_a_person(private_postgres: PrivateServer) -> None:
    dsn = private_postgres.dsn()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("alter system set wal_level = 'replica'")
    private_postgres.restart()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        level = await (await conn.execute("show wal_level")).fetchone()

    assert level == ("replica",)
    with pytest.raises(FatalError) as caught:
        await making.create(dsn, "s", WAIT_S, PLUGIN)
    assert "wal_level = logical" in caught.value.hint


async def test_a_server_that_crashes_ends_the_stream_and_what_was_not_acknowledged_comes_again(
    private_postgres: PrivateServer,
) -> None:
    dsn = private_postgres.dsn()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        source = Source(dsn, conn, "crash")
        await source.run("create table listed (id text primary key)")
        await source.create_slot()
        await source.run("insert into listed values ('a')", "insert into listed values ('b')")
        async with source.stream() as stream:
            first = await source.read(stream, {"listed": ()})
            private_postgres.restart("immediate")
            with pytest.raises(LinkLost):
                await read_for_ever(stream)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        source = Source(dsn, conn, "crash")
        async with source.stream() as stream:
            again = await source.read(stream, {"listed": ()})

    keys = [[row.key for transaction in seen for row in transaction.rows] for seen in (first, again)]
    assert keys == [["a", "b"], ["a", "b"]]
