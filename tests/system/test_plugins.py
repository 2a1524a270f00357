"""pgoutput in wal2json's place: both ways, through a kill and a spoilt publication; and from one to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from deploy.local.commands import output_of
from deploy.local.postgres import LocalPostgres
from deploy.local.server import PrivateServer
from tests.conftest import SCHEMA
from tests.plugins import wal2json_only
from tests.system.plant import Plant, planted, ready
from tests.system.scene import THEIRS

PGOUTPUT: Final = {"REPLICATION_PLUGIN": "pgoutput"}
RENAMED: Final = """update "Risk" set title = 'Ramp, mended' where id = 'r'"""
PUBLISHED: Final = "select exists (select from pg_publication where pubname = %(slot)s)"
LISTED: Final = """
select exists (select from pg_publication_tables where pubname = %(slot)s and tablename = %(table)s)
"""
AS_BEFORE: Final = """
select exists (
    select from pg_publication_tables
    where pubname = %(slot)s and tablename = 'Risk' and attnames @> '{id,title}' and not attnames @> '{description}'
)
"""


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn, **PGOUTPUT) as plant:
        yield plant


async def shows(plant: Plant, title: str) -> None:
    """Return when the risk's page has this title."""

    async def arrived() -> bool:
        return bool(plant.page("Risks", "r")["Title"] == title)

    await plant.until(arrived)


async def test_both_ways_and_through_a_kill_nothing_is_lost(plant: Plant) -> None:
    async with plant.ran() as service:
        assert (await service.event("stream.started"))["plugin"] == "pgoutput"
        await plant.run(RENAMED)
        await shows(plant, "Ramp, mended")
        plant.sandbox.people.edit(plant.page_id("Risks", "r"), {"Category": "Street"})
        await plant.run(THEIRS, entity="risk", id="r")
        await plant.until_true("""select category = 'Street' from "Risk" where id = 'r'""")
        await plant.quiet()
        assert (await plant.value("select count(*) from notion_sync.audit_log where action = 'conflict.decided'")) == 0
        service.kill()
        await service.process.wait()
    await plant.run(
        """update "Risk" set title = 'While it was dead' where id = 'r'""",
        """delete from "Complaint" where id = 'k'""", """truncate "PaymentTransaction" """,
        """update "User" set phone = '1' where id = 'p'""",
    )

    async with plant.ran():
        await shows(plant, "While it was dead")
        await plant.quiet()
        assert plant.sandbox.people.rows("Complaints") == plant.sandbox.people.rows("Payment Transactions") == []
        assert plant.page("Participants", "p")["Name"] == "Pat Lee"


@pytest.mark.parametrize("spoilt", [
    "drop publication {}", *(pytest.param(each, marks=pytest.mark.slow) for each in (
        'alter publication {} drop table "Risk"', 'alter publication {} set table "Risk"',
        "alter publication {} rename to elsewhere_{}", "alter publication {} set (publish = 'insert')",
    )),
])  # fmt: skip
async def test_whoever_spoils_the_publication_while_it_is_read_loses_no_change(plant: Plant, spoilt: str) -> None:
    async with plant.ran() as service:
        await plant.run(spoilt.format(plant.slot, plant.slot), RENAMED)

        await service.event("slot.created", times=2)
        await shows(plant, "Ramp, mended")
        await plant.until_true(AS_BEFORE)
        await plant.run("""update "Risk" set title = 'Live again' where id = 'r'""")
        await shows(plant, "Live again")


@pytest.mark.slow
async def test_a_migration_of_mapable_goes_through_and_is_followed(plant: Plant) -> None:
    async with plant.ran() as service:
        await plant.run(
            f'begin; alter publication {plant.slot} drop table "Risk"; '
            'alter table "Risk" alter title type varchar(500); commit', RENAMED,
        )

        await service.event("slot.created", times=2)
        await shows(plant, "Ramp, mended")


@pytest.mark.slow
async def test_a_table_that_is_renamed_and_made_anew_is_followed(plant: Plant) -> None:
    async with plant.ran() as service:
        await plant.run(
            'begin; alter table "Risk" rename to "Danger"; create table "Risk" (like "Danger" including all); '
            'insert into "Risk" table "Danger"; commit',
            RENAMED, """update "Danger" set title = 'Not mapped any more'""",
        )

        await service.event("slot.created", times=2)
        await shows(plant, "Ramp, mended")
        await plant.until_true(AS_BEFORE)
        assert not await plant.value(LISTED, table="Danger")
        await plant.run("""update "Risk" set title = 'Live again' where id = 'r'""")
        await shows(plant, "Live again")


@wal2json_only
async def test_another_plugin_than_the_slots_is_never_taken_silently(plant: Plant) -> None:
    async with plant.ran():
        pass
    await plant.run(RENAMED)
    plant.sandbox.clear_requests()

    refused = await plant.types("run", REPLICATION_PLUGIN="wal2json")
    doctor = await plant.types("doctor", REPLICATION_PLUGIN="wal2json")
    assert refused.code == 3
    assert "decodes with pgoutput, but REPLICATION_PLUGIN is wal2json" in refused.failure
    assert "`mapable-cdc uninstall`" in refused.failure
    assert "decodes with pgoutput, but REPLICATION_PLUGIN is wal2json" in doctor.out

    dropped = await plant.types("uninstall", REPLICATION_PLUGIN="wal2json")
    assert (dropped.code, f"The publication {plant.slot} is dropped." in dropped.out) == (0, True)
    assert not await plant.value(PUBLISHED)
    async with plant.ran(REPLICATION_PLUGIN="wal2json"):
        await shows(plant, "Ramp, mended")
        await plant.quiet()
        assert [request.object_id for request in plant.writes()] == [plant.page_id("Risks", "r")]
    assert await plant.slot_fact("plugin") == "wal2json"


async def disabled(plant: Plant) -> str:
    """Return what a sync says that is switched off."""
    async with plant.service(NOTION_SYNC_ENABLED="false") as off:
        assert await ready(off) == (200, {"role": "disabled", "enabled": False})
        assert await off.stop() == 0
    return "\n".join(off.lines)


async def test_whatever_drops_the_slot_drops_its_publication_too(plant: Plant) -> None:
    async with plant.ran():
        pass
    assert await plant.value(PUBLISHED)

    assert "its slot was dropped; its publication was dropped" in await disabled(plant)
    assert not await plant.value(PUBLISHED)
    async with plant.ran():
        pass
    assert (await plant.types("slot", "drop")).out == "Dropped.\n"
    assert not await plant.value(PUBLISHED)
    await plant.types("setup")
    assert "; its publication is dropped." in (await plant.types("slot", "drop")).out
    assert not await plant.value(PUBLISHED)


async def test_while_the_sync_is_switched_off_setup_makes_no_publication(plant: Plant) -> None:
    await disabled(plant)

    ended = await plant.types("setup", NOTION_SYNC_ENABLED="false")

    assert (ended.code, await plant.value(PUBLISHED)) == (0, False)


async def test_a_publication_that_lists_more_than_is_mapped_is_not_dropped_but_told(plant: Plant) -> None:
    await plant.run(f'drop publication {plant.slot}; create publication {plant.slot} for table "Account"')

    dropped = await plant.types("slot", "drop")

    remains = f'with: drop publication "{plant.slot}"'
    assert (dropped.code, remains in dropped.out) == (0, True)
    assert remains in await disabled(plant)
    assert await plant.value(PUBLISHED)


@pytest.mark.slow
async def test_auto_keeps_to_the_slot_that_is_there(plant: Plant) -> None:
    async with plant.ran():
        pass

    async with plant.ran(REPLICATION_PLUGIN="auto") as service:
        assert (await service.event("stream.started"))["plugin"] == "pgoutput"


async def test_auto_takes_pgoutput_where_there_is_no_wal2json_and_says_so(private_postgres: PrivateServer) -> None:
    dsn = poor(private_postgres)
    async with planted(dsn, REPLICATION_PLUGIN="auto") as plant, plant.ran() as service:
        fallen = await service.event("plugin.unusable")
        assert (fallen["level"], fallen["plugin"], fallen["instead"]) == ("warning", "wal2json", "pgoutput")
        assert (await service.event("stream.started"))["plugin"] == "pgoutput"
        status, _ = await ready(service)
        assert status == 200
        await plant.run(RENAMED)
        await shows(plant, "Ramp, mended")
        doctor = await plant.types("doctor")
        assert "REPLICATION_PLUGIN is auto, which is pgoutput here" in doctor.out


@pytest.mark.slow
async def test_wal2json_that_is_not_there_is_told_with_the_way_out(private_postgres: PrivateServer) -> None:
    dsn = poor(private_postgres)
    async with planted(dsn, REPLICATION_PLUGIN="wal2json") as plant:
        ended = await plant.types("run")

    assert ended.code == 3
    assert "REPLICATION_PLUGIN=pgoutput" in ended.failure


def poor(server: PrivateServer) -> str:
    """Return the URL of a MapAble whose server has no wal2json."""
    if not isinstance(server, LocalPostgres):
        pytest.skip("only a server of this machine can be made so poor")
    library = Path(output_of([server.bin_dir / "pg_config", "--pkglibdir"]).strip())
    if (library / "wal2json.so").exists():
        few = server.home / "few"
        few.mkdir(mode=0o755)
        for plugin in library.glob("*.so"):
            if plugin.name != "wal2json.so":
                (few / plugin.name).symlink_to(plugin)
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute(f"alter system set dynamic_library_path = '{few}'".encode())
            conn.execute("select pg_reload_conf()")
    server.create_database("poor")
    with psycopg.connect(server.dsn("poor")) as conn:
        conn.execute(SCHEMA.read_bytes())
    return server.dsn("poor")
