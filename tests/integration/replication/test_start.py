"""Starting a stream: what can be in the way, and what the caller is told to do about it."""

from __future__ import annotations

import psycopg
import pytest

from cdc.replication.faults import LinkLost, SlotBusy, SlotMissing
from cdc.replication.link import connect
from cdc.replication.port import PluginOption
from cdc.replication.stream import ReplicationStream
from deploy.local.server import PostgresServer
from state.errors import FatalError
from tests.integration.replication.source import Source
from tests.plugins import wal2json_only


async def test_a_second_reader_is_told_that_the_slot_is_busy(source: Source) -> None:
    async with source.stream():
        with pytest.raises(SlotBusy):
            await source.stream().__aenter__()

        # the one that was refused leaves no connection behind
        await source.until(
            "select count(*) = 1 from pg_stat_activity"
            " where backend_type = 'walsender' and datname = current_database()"
        )


async def test_a_slot_that_is_not_there_is_missing(source: Source) -> None:
    source.slot = "nobody"

    with pytest.raises(SlotMissing, match="nobody"):
        await source.stream().__aenter__()


async def test_another_databases_slot_is_a_mistake(source: Source, postgres_server: PostgresServer) -> None:
    asked = source.reading({"listed": ()}).options

    with pytest.raises(FatalError) as caught:
        await ReplicationStream(postgres_server.dsn("postgres"), source.slot, asked).__aenter__()

    assert "of this very database" in caught.value.hint


@wal2json_only
async def test_an_option_that_the_plugin_does_not_know_is_left_out_only_if_it_may_be(source: Source) -> None:
    asked = source.reading({"listed": ()}).options
    spare = PluginOption("no-such-option", "it's", optional=True)
    async with ReplicationStream(source.dsn, source.slot, (*asked, spare)) as stream:
        await source.run("insert into listed values ('a')")
        [seen] = await source.read(stream, {"listed": ()})
        assert [row.key for row in seen.rows] == ["a"]
        assert "no-such-option" in stream.refused_options

    with pytest.raises(FatalError):
        await ReplicationStream(source.dsn, source.slot, (*asked, PluginOption("no-such-option", "1"))).__aenter__()


async def test_a_database_in_another_encoding_is_refused(postgres_server: PostgresServer, source: Source) -> None:
    name = f"latin_{source.slot}"
    await source.run(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    try:
        with pytest.raises(FatalError, match="LATIN1"):
            await ReplicationStream(postgres_server.dsn(name), "s", source.reading({"listed": ()}).options).__aenter__()
    finally:
        postgres_server.drop_database(name)


async def test_a_role_without_the_right_is_told_what_to_ask_for(source: Source) -> None:
    role = f"role_{source.slot}"
    await source.run(f"create role {role} login password 'CANARY'")
    dsn = psycopg.conninfo.make_conninfo(source.dsn, user=role, password="CANARY")
    try:
        with pytest.raises(FatalError) as caught:
            await connect(dsn, replication=True)
    finally:
        await source.run(f"drop role {role}")

    assert "REPLICATION" in caught.value.hint


async def test_a_wrong_password_is_tried_again_and_not_told(source: Source) -> None:
    role = f"role_{source.slot}"
    await source.run(f"create role {role} login replication password 'right'")
    dsn = psycopg.conninfo.make_conninfo(source.dsn, user=role, password="CANARY")
    try:
        with pytest.raises(LinkLost, match="password authentication failed") as caught:
            await connect(dsn, replication=True)
    finally:
        await source.run(f"drop role {role}")

    assert "CANARY" not in str(caught.value)
