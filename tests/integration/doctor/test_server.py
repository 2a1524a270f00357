"""What doctor finds in the server: each provoked in a real one, but for what only another release of it would show."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cdc.operate.doctor_server import Server, judged
from cdc.operate.findings import Severity, statements, troubles
from deploy.local.commands import run
from deploy.local.postgres import LocalPostgres
from deploy.local.server import PostgresServer, PrivateServer
from tests.integration.doctor.pooler import pooled
from tests.integration.doctor.ward import Ward, admitted
from tests.plugins import PLUGIN
from tests.system.scene import PARTICIPANT

AS_IT_SHOULD_BE = Server(
    version_number=150_018, wal_level="logical", allowed=None, role="cdc", superuser=False, replicates=True,
    max_slots=10, slots=0, max_senders=10, senders=0, keep_mb=10_240, plugin_in_use=False, in_recovery=False,
    encoding="UTF8", pid=7, database="mapable",
)


def judge(**said: Any) -> dict[str, str]:
    """Return what is found where the server says this instead."""
    server = replace(AS_IT_SHOULD_BE, **said)
    return {each.code: each.what for each in troubles(judged(server, None, connected_pid=7))}


def test_a_server_as_it_should_be_has_no_finding() -> None:
    assert judge() == {}


def test_an_old_server_is_told() -> None:
    assert judge(version_number=130_011) == {"server.version": "the server is Postgres 13.11"}


@pytest.mark.parametrize("listed", ["pgoutput, test_decoding", "", '"pgoutput"', "'wal2json, pgoutput'"])
def test_a_plugin_that_is_not_allowed_is_told(listed: str) -> None:
    assert judge(allowed=listed) == {"plugin.allowed": "output_plugin_libraries does not list wal2json"}


@pytest.mark.parametrize("listed", ["pgoutput, test_decoding, wal2json", 'wal2json', '"wal2json"'])
def test_a_plugin_that_is_allowed_is_not(listed: str) -> None:
    assert judge(allowed=listed) == {}


def test_the_list_of_plugins_keeps_what_it_holds_and_each_is_a_name_of_its_own() -> None:
    found = judged(replace(AS_IT_SHOULD_BE, allowed="pgoutput, test_decoding"), None, connected_pid=7)

    assert statements(troubles(found)) == (
        'alter system set output_plugin_libraries = "pgoutput", "test_decoding", "wal2json";',
        "select pg_reload_conf();",
    )


@pytest.fixture
async def alone(private_postgres: PrivateServer) -> AsyncIterator[Ward]:
    """A patient with a server of its own, and no tables."""
    async with admitted(private_postgres.dsn()) as ward:
        yield ward


async def again(server: PrivateServer, ward: Ward) -> Ward:
    """Restart the server, so that its settings hold."""
    await ward.db.close()
    server.restart()
    return replace(ward, db=await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True))


async def test_a_server_as_it_comes_is_told_and_the_sql_mends_it(private_postgres: PrivateServer, alone: Ward) -> None:
    await alone.run("alter system set wal_level = replica", "alter system set max_slot_wal_keep_size = -1")
    ward = await again(private_postgres, alone)
    found = await ward.found()
    assert {"server.wal_level", "server.unbounded"} <= set(found)
    assert found["server.unbounded"].severity is Severity.ERROR

    await ward.run(*found["server.wal_level"].sql, *found["server.unbounded"].sql)
    ward = await again(private_postgres, ward)

    assert not {"server.wal_level", "server.unbounded"} & set(await ward.found())
    await ward.db.close()


async def test_slots_and_senders_that_are_all_taken_are_told(private_postgres: PrivateServer, alone: Ward) -> None:
    await alone.run("alter system set max_replication_slots = 1", "alter system set max_wal_senders = 1")
    ward = await again(private_postgres, alone)
    await ward.run("select pg_create_logical_replication_slot('somebody', 'test_decoding')")
    sender = await psycopg.AsyncConnection.connect(
        make_conninfo(private_postgres.dsn(), replication="database"), autocommit=True
    )

    async with sender:
        found = await ward.found()

    assert found["server.slots"].what == "all 1 replication slots of the server are taken"
    assert found["server.senders"].what == "all 1 senders of the log (max_wal_senders) are in use"
    await ward.run(*found["server.slots"].sql, *found["server.senders"].sql)
    ward = await again(private_postgres, ward)
    assert not {"server.slots", "server.senders"} & set(await ward.found())
    await ward.db.close()


async def test_a_slot_that_keeps_too_much_is_told_and_then_that_it_is_lost(
    private_postgres: PrivateServer, alone: Ward
) -> None:
    await alone.run(
        "alter system set max_wal_size = '32MB'", "alter system set min_wal_size = '32MB'",
        "alter system set max_slot_wal_keep_size = '64MB'", "select pg_reload_conf()",
    )
    await alone.has_slot()
    await alone.run(*["select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"] * 4)
    assert "not read, and it keeps" in (await alone.found())["slot.retained"].what

    await alone.run(*["select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"] * 6, "checkpoint")

    assert "is lost" in (await alone.found())["slot.lost"].what


async def test_a_standby_is_told(private_postgres: PrivateServer, alone: Ward) -> None:
    if not isinstance(private_postgres, LocalPostgres):
        pytest.skip("only a server of this machine is made a standby")
    await alone.db.close()
    private_postgres.stop()
    run(["touch", private_postgres.data_dir / "standby.signal"])
    private_postgres.start()

    assert "standby" in (await alone.found())["server.recovery"].what


async def test_prepared_transactions_are_told(private_postgres: PrivateServer, alone: Ward) -> None:
    await alone.run("alter system set max_prepared_transactions = 2", "create table t ()")
    ward = await again(private_postgres, alone)
    await ward.run("begin; insert into t default values; prepare transaction 'geheim'")

    found = await ward.found()

    assert "1 prepared transactions are open, the oldest since" in found["slot.prepared"].what
    assert "geheim" not in repr(found)
    await ward.db.close()


async def test_a_transaction_that_wrote_and_stays_open_is_told_with_its_process(newcomer: Ward) -> None:
    async with await psycopg.AsyncConnection.connect(newcomer.dsn) as open_one:
        await open_one.execute(PARTICIPANT.encode(), {"id": "p1", "name": "Quokka-Name-71"})

        found = await newcomer.found()

        assert f"process {open_one.info.backend_pid} since 20" in found["slot.blocked"].what
        assert "Quokka" not in repr(found)


async def test_once_the_slot_is_there_open_transactions_are_nobodys_concern(newcomer: Ward) -> None:
    await newcomer.run(f"select pg_create_logical_replication_slot('{newcomer.slot}', '{PLUGIN}')")
    async with await psycopg.AsyncConnection.connect(newcomer.dsn) as open_one:
        await open_one.execute(PARTICIPANT.encode(), {"id": "p1", "name": "p1"})

        assert "slot.blocked" not in await newcomer.found()


@pytest.mark.parametrize(("plugin", "setting"), [
    ("test_decoding", PLUGIN), ("pgoutput", "pgoutput"), ("pgoutput", "auto"), ("pgoutput", "wal2json"),
])  # fmt: skip
async def test_a_slot_of_somebody_else_is_told(newcomer: Ward, plugin: str, setting: str) -> None:
    await newcomer.run(f"select pg_create_logical_replication_slot('{newcomer.slot}', '{plugin}')")

    found = await newcomer.with_settings(REPLICATION_PLUGIN=setting).found()

    assert f"belongs to somebody else (plugin {plugin}" in found["slot.foreign"].what
    assert "slot.plugin" not in found


async def test_a_slot_of_pgoutput_that_the_sidecar_knows_is_nobody_elses(newcomer: Ward) -> None:
    await newcomer.has_slot("pgoutput")

    found = await newcomer.with_settings(REPLICATION_PLUGIN="pgoutput").found()

    assert not {code for code in found if code.startswith("slot.")}


@pytest.mark.parametrize("try_slot", [False, True])
async def test_a_plugin_that_is_not_installed_is_told(newcomer: Ward, try_slot: bool) -> None:
    found = await newcomer.found(plugin="no_such_plugin", try_slot=try_slot)

    # a minor with a list of plugins does not even look for one that is not on it
    said = found["plugin.installed"].what
    assert said.startswith(("no_such_plugin is not installed", "no_such_plugin can't be used"))


async def test_trying_a_slot_leaves_none(newcomer: Ward) -> None:
    assert "plugin.installed" not in await newcomer.found(try_slot=True)

    left = await newcomer.db.execute("select 1 from pg_replication_slots where slot_name like 'mapable_cdc_doc%'")
    assert await left.fetchall() == []


@pytest.mark.parametrize("try_slot", [False, True])
async def test_auto_is_told_with_what_it_is_here(newcomer: Ward, try_slot: bool) -> None:
    auto = newcomer.with_settings(REPLICATION_PLUGIN="auto")
    plugin = await best_of(newcomer)

    found = {each.code: each for each in await auto.looked(try_slot=try_slot)}

    assert f"auto, which is {plugin} here" in found["plugin.auto"].what
    assert ("publication" in found) == (plugin == "pgoutput")
    assert found["plugin.installed"].severity is Severity.OK


async def test_auto_tries_wal2json_first_where_the_role_can_t_tell_whether_it_is_there(newcomer: Ward) -> None:
    role = f"auto_{newcomer.slot}"
    plugin = await best_of(newcomer)
    await newcomer.run(f"create role {role} login replication password 'pw'")
    try:
        auto = newcomer.with_settings(REPLICATION_PLUGIN="auto", DATABASE_URL=newcomer.dsn_of(role))

        seen = {each.code: each for each in await auto.looked()}
        tried = {each.code: each for each in await auto.looked(try_slot=True)}
    finally:
        await newcomer.run(f"drop role {role}")

    assert "auto, which is wal2json here as far as can be seen" in seen["plugin.auto"].what
    assert seen["plugin.installed"].severity is Severity.WARNING
    assert "`run` takes pgoutput instead" in seen["plugin.installed"].why
    assert f"auto, which is {plugin} here" in tried["plugin.auto"].what
    assert tried["plugin.installed"].severity is Severity.OK


async def best_of(ward: Ward) -> str:
    """Return the plugin that auto is on this server."""
    try:
        await ward.run("load 'wal2json'")
    except psycopg.errors.UndefinedFile:
        return "pgoutput"
    return "wal2json"


async def test_a_slot_of_the_other_plugin_is_told_with_the_way_over(newcomer: Ward) -> None:
    await newcomer.has_slot("pgoutput")

    found = await newcomer.with_settings(REPLICATION_PLUGIN="wal2json").found()

    assert "decodes with pgoutput, but REPLICATION_PLUGIN is wal2json" in found["slot.plugin"].what
    assert "`mapable-cdc uninstall`" in found["slot.plugin"].fix


async def test_a_database_in_another_encoding_is_told(postgres_server: PostgresServer) -> None:
    name = f"encoded_{secrets.token_hex(4)}"
    async with await psycopg.AsyncConnection.connect(postgres_server.dsn(), autocommit=True) as db:
        await db.execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0".encode())
    try:
        async with admitted(postgres_server.dsn(name)) as ward:
            found = await ward.found()
    finally:
        postgres_server.drop_database(name)

    assert found["database.encoding"].what == "the database's encoding is SQL_ASCII"


async def test_a_pooler_that_the_url_does_not_tell_of_is_noticed(newcomer: Ward) -> None:
    async with pooled(newcomer.dsn) as url, asyncio.timeout(30):
        found = await newcomer.with_settings(DATABASE_URL=url).found()

    assert "pooler" in found["database.pooler"].what
