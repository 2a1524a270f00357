"""A slot that is missing, lost, moved, taken or not to be made: it heals by comparing, and writes what differs only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from string import Template

import psycopg
import pytest

from deploy.local.server import PrivateServer
from tests.conftest import SCHEMA
from tests.plugins import PLUGIN
from tests.system.plant import Plant, get, planted, ready

UNSEEN = """update "Risk" set title = 'Ramp, mended' where id = 'r'"""
ADVANCE = "select pg_replication_slot_advance(%(slot)s, pg_current_wal_lsn())"
DROP = "select pg_drop_replication_slot(%(slot)s)"
NOTHING_IS_MARKED = """
create function public.stop() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
create trigger stop before insert on notion_sync.marking for each row execute function public.stop();
"""
DECIDED = """
select exists (select from notion_sync.audit_log where action = 'conflict.decided' and system_id = 'r')
"""
PGOUTPUT_WANTS = """("proto_version" '1', "publication_names" '"{}"')"""
MARKED = """
select bool_and(found) from (
    select exists (select from notion_sync."NotionSyncMapping" m where m."systemId" = id and m."pageState" = 'live')
        as found
    from unnest('{p,p2,n,c,i,k,r,t}'::text[]) id) x
"""


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn) as plant:
        yield plant


async def only_the_difference_is_written(plant: Plant) -> None:
    """What changed unseen arrives, and no other page is written."""

    async def arrived() -> bool:
        return bool(plant.page("Risks", "r")["Title"] == "Ramp, mended")

    await plant.until(arrived)
    await plant.quiet()
    assert [request.object_id for request in plant.writes()] == [plant.page_id("Risks", "r")]


async def test_a_missing_slot_is_made_again_and_only_what_differs_is_written(plant: Plant) -> None:
    async with plant.ran():
        pass
    await plant.value(DROP)
    # as if the slot before it had been of a log that was further on
    await plant.run("update notion_sync.stream_position set position = 'FFFF/0'")
    await plant.value("select setval('notion_sync.acknowledged', ('FFFF/0'::pg_lsn - '0/0')::bigint)")
    await plant.run(UNSEEN)
    plant.sandbox.clear_requests()

    async with plant.ran() as service:
        await service.event("slot.created")
        await only_the_difference_is_written(plant)
        await plant.run("""update "Risk" set title = 'Ramp, seen' where id = 'r'""")

        async def streamed() -> bool:
            return bool(plant.page("Risks", "r")["Title"] == "Ramp, seen")

        await plant.until(streamed)
        assert await plant.value("select changed_at is not null from notion_sync.row_stamp where system_id = 'r'")


async def test_a_slot_that_somebody_moved_on_is_kept_and_everything_is_compared(plant: Plant) -> None:
    async with plant.ran():
        pass
    await plant.run(UNSEEN)
    await plant.value(ADVANCE)
    plant.sandbox.clear_requests()

    async with plant.ran() as service:
        said = await service.event("slot.ahead")
        await only_the_difference_is_written(plant)
        assert not any(event["event"] == "slot.created" for event in service.events)
    assert said["missed_bytes"] > 0
    assert await plant.value("select count(*) from notion_sync.audit_log where action = 'slot.ahead'") == 1


@pytest.mark.parametrize(
    "what", [pytest.param(DROP, id="missing"), pytest.param(ADVANCE, id="moved on", marks=pytest.mark.slow)]
)
async def test_a_change_that_nobody_saw_has_no_time_so_that_an_edit_is_never_taken_for_newer(
    plant: Plant, what: str
) -> None:
    async with plant.ran():
        await plant.run("""update "Risk" set title = 'Ramp, once' where id = 'r'""")
        await plant.until_true("select changed_at is not null from notion_sync.row_stamp where system_id = 'r'")
        await plant.quiet()
    # between the last change that was seen and the one that was not
    plant.sandbox.switches.update({"clock_offset_s": 180})
    plant.sandbox.people.edit(plant.page_id("Risks", "r"), {"Title": "Ramp, edited"})
    plant.sandbox.switches.update({"clock_offset_s": 0})
    await plant.run(UNSEEN)
    await plant.value(what)

    async with plant.ran():
        await plant.until_true(DECIDED)
        await plant.quiet()
    rule = "select detail ->> 'rule' from notion_sync.audit_log where action = 'conflict.decided' and system_id = 'r'"
    assert await plant.value(rule) == "last-write-wins: times unknown"
    assert plant.page("Risks", "r")["Title"] == "Ramp, mended"
    assert await plant.value("""select title from "Risk" where id = 'r'""") == "Ramp, mended"


async def test_a_kill_before_the_first_mark_after_a_new_slot_is_made_up_for(plant: Plant) -> None:
    async with plant.ran():
        pass
    await plant.value(DROP)
    await plant.run(UNSEEN)
    plant.sandbox.clear_requests()
    await plant.run(NOTHING_IS_MARKED)
    async with plant.service() as service:
        await service.event("slot.created")
        await service.event("stream.interrupted")
        service.kill()
        await service.process.wait()
    await plant.run("drop trigger stop on notion_sync.marking")

    async with plant.ran() as service:
        await only_the_difference_is_written(plant)
        assert not any(event["event"] == "slot.created" for event in service.events)


async def test_a_slot_that_only_we_moved_calls_for_no_comparison(plant: Plant) -> None:
    async with plant.ran() as service:
        # nothing of this is mapped, so that nothing is stored of it
        await plant.run("""insert into "AuditEvent" (action) select 'seen' from generate_series(1, 1000)""")
        end = await plant.value("select (pg_current_wal_lsn() - '0/0')::int8")
        await plant.until_true(
            "select confirmed_flush_lsn - '0/0' >= %(end)s::numeric from pg_replication_slots"
            " where slot_name = %(slot)s", end=end,
        )
        stored = await plant.value("select (position - '0/0')::int8 from notion_sync.stream_position")
        service.kill()
        await service.process.wait()
    plant.sandbox.clear_requests()

    async with plant.ran() as service:
        await service.event("stream.started")
        assert stored < end
        assert not any(event["event"] in ("slot.ahead", "slot.created") for event in service.events)
        assert not any(event["event"] == "entity.marked" for event in service.events)
    assert plant.writes() == ()


async def test_a_sidecar_that_is_older_than_it_was_is_compared_with_the_pages_first(plant: Plant) -> None:
    async with plant.ran():
        pass
    old = """create table public."old {0}" as table notion_sync."{0}" """
    back = """delete from notion_sync."{0}"; insert into notion_sync."{0}" table public."old {0}" """
    saved = ("NotionSyncMapping", "stream_position")
    await plant.run(*(old.format(name) for name in saved))
    async with plant.ran():
        await plant.run(
            """update "Complaint" set description = 'Later' where id = 'k'""",
            """update "NDISPlan" set "remainingBudget" = 17 where id = 'n'""",
        )

        async def both() -> bool:
            complaint, plan = plant.page("Complaints", "k"), plant.page("NDIS Plans", "n")
            return (complaint["Description"], plan["Remaining Budget"]) == ("Later", 17)

        await plant.until(both)
    # what was noted where nothing was marked comes back with the backup of the schema, as old as it was
    await plant.run(*(back.format(name) for name in saved))
    await plant.value("select setval('notion_sync.acknowledged', 0)")
    plant.sandbox.clear_requests()

    async with plant.ran() as service:
        await service.event("slot.ahead")
        await plant.quiet()

        # both sides are equal, whatever the sidecar believed
        assert plant.writes() == ()
    assert await plant.value("""select description from "Complaint" where id = 'k'""") == "Later"
    bases = """select base -> 'description' ->> 'sent' from notion_sync."NotionSyncMapping" where "systemId" = 'k'"""
    assert await plant.value(bases) == "Later"


@pytest.mark.parametrize("at", ["before the slot", "before the marks", "in the middle of the marks"])
async def test_a_kill_between_a_lost_slot_and_the_last_mark_forgets_nothing(plant: Plant, at: str) -> None:
    async with plant.ran():
        pass
    await plant.value(DROP)
    await plant.run(UNSEEN)
    # as it stands when it is killed there
    await plant.run("""update notion_sync.setting set value = 'true' where name = 'marking_due'""")
    if at != "before the slot":
        await plant.value("select pg_create_logical_replication_slot(%(slot)s, %(plugin)s)", plugin=PLUGIN)
    if at == "in the middle of the marks":
        await plant.run(
            "update notion_sync.setting set value = 'false' where name = 'marking_due'",
            "insert into notion_sync.marking (entity, reasons, priority, phase, after_id)"
            " values ('participant', 1, 2, 'links', 'p'), ('risk', 1, 2, 'rows', '')",
            "update notion_sync.stream_position set position = pg_current_wal_lsn()",
        )
    plant.sandbox.clear_requests()

    async with plant.ran():
        await only_the_difference_is_written(plant)


async def test_a_kill_right_after_the_slot_was_made_is_made_up_for(plant: Plant) -> None:
    async with plant.service() as service:
        await service.event("slot.created")
        service.kill()
        await service.process.wait()

    async with plant.ran():
        assert await plant.value(MARKED)


async def test_a_slot_of_another_database_is_left_alone(plant: Plant) -> None:
    elsewhere = psycopg.conninfo.make_conninfo(plant.dsn, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as other:
        await other.execute("select pg_create_logical_replication_slot(%s, %s)", (plant.slot, PLUGIN))
        try:
            ended = await plant.types("run")

            assert ended.code == 3
            assert "belongs to somebody else" in ended.failure
            assert await plant.slot_fact("database") == "postgres"
        finally:
            await other.execute("select pg_drop_replication_slot(%s)", (plant.slot,))


@pytest.mark.parametrize("plugin", ["wal2json", "pgoutput", "auto"])
async def test_a_slot_of_somebody_else_is_left_alone(plant: Plant, plugin: str) -> None:
    await plant.value("select pg_create_logical_replication_slot(%(slot)s, 'pgoutput')")

    ended = await plant.types("run", REPLICATION_PLUGIN=plugin)

    assert ended.code == 3
    assert "belongs to somebody else (plugin pgoutput" in ended.failure
    assert await plant.slot_fact("plugin") == "pgoutput"


@pytest.mark.parametrize(("plugin", "setting"), [("test_decoding", "wal2json"), ("pgoutput", "auto")])
async def test_a_slot_of_somebody_else_is_not_dropped(plant: Plant, plugin: str, setting: str) -> None:
    await plant.value(f"select pg_create_logical_replication_slot(%(slot)s, '{plugin}')")

    dropped = await plant.types("slot", "drop", REPLICATION_PLUGIN=setting)
    async with plant.service(NOTION_SYNC_ENABLED="false", REPLICATION_PLUGIN=setting) as off:
        await off.line("belongs to somebody else")
        assert await off.ended() == 3

    assert dropped.code == 3
    assert "belongs to somebody else" in dropped.failure
    assert await plant.slot_fact("plugin") == plugin


async def test_a_slot_that_is_read_by_somebody_else_is_waited_for(plant: Plant) -> None:
    async with plant.ran():
        pass
    other = psycopg.conninfo.make_conninfo(plant.dsn, replication="database", application_name="a curious engineer")
    async with await psycopg.AsyncConnection.connect(other, autocommit=True) as reader:
        asked = PGOUTPUT_WANTS.format(plant.slot) if PLUGIN == "pgoutput" else ""
        await reader.execute(f'START_REPLICATION SLOT "{plant.slot}" LOGICAL 0/0 {asked}'.encode())
        async with plant.service() as service:

            async def told() -> bool:
                status, body = await ready(service)
                return status == 503 and "in use by another connection (server process " in body.get("problem", "")

            await plant.until(told)
            plant.sandbox.clear_requests()
            await plant.run(UNSEEN)
            await reader.close()

            await service.event("stream.started")
            await only_the_difference_is_written(plant)
            assert await service.stop() == 0


async def test_open_transactions_that_keep_the_slot_from_being_made_are_named_and_waited_for(plant: Plant) -> None:
    async with await psycopg.AsyncConnection.connect(plant.dsn) as idle:
        await idle.execute("""update "User" set name = 'CANARY' where id = 'p2'""")
        pid = idle.info.backend_pid
        async with plant.service() as service:
            said = await service.event("slot.blocked")
            status, body = await ready(service)
            blocked = [event for event in service.events if event["event"] == "slot.blocked"]
            assert await plant.slot_fact("confirmed_flush_lsn is null")

            await idle.commit()

            await service.event("stream.started", timeout_s=10)
            await plant.quiet()
            assert (await ready(service))[0] == 200
            assert "problem" not in (await ready(service))[1]
            assert await service.stop() == 0
    assert said["pids"] == [pid]
    assert f"{pid} (idle in transaction, since 20" in said["why"]
    assert (status, body["problem"]) == (503, said["why"])
    assert "pg_terminate_backend" in body["hint"]
    assert len(blocked) == 1
    assert not any("CANARY" in line for line in service.lines)


async def test_a_lost_slot_is_replaced_and_only_what_differs_is_written(private_postgres: PrivateServer) -> None:
    private_postgres.create_database("mapable")
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with planted(dsn) as plant:
        async with plant.ran():
            pass
        await plant.run(
            "alter system set max_slot_wal_keep_size = '1MB'", "alter system set min_wal_size = '32MB'",
            "alter system set max_wal_size = '32MB'", "select pg_reload_conf()", "create table filler (a text)", UNSEEN,
        )

        async def lost() -> bool:
            await plant.run("insert into filler values ('x')", "select pg_switch_wal()", "checkpoint")
            return bool(await plant.slot_fact("wal_status") == "lost")

        await plant.until(lost)
        shown = await plant.types("slot", "show", "--json")
        plant.sandbox.clear_requests()

        async with plant.ran() as service:
            await service.event("slot.lost")
            await only_the_difference_is_written(plant)
            assert await plant.slot_fact("wal_status") == "reserved"
        assert '"walStatus": "lost"' in shown.out
        assert '"pressure": "alarm"' in shown.out


async def test_while_notion_is_down_the_log_that_is_kept_stays_as_small_as_it_was(
    private_postgres: PrivateServer,
) -> None:
    private_postgres.create_database("mapable")
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with planted(dsn) as plant:
        async with plant.ran() as service:
            plant.sandbox.switches.update({"outage": True})
            kept: list[int] = []
            began = await plant.value("select (pg_current_wal_lsn() - '0/0')::int8")
            for hour in range(24):
                await plant.run(
                    Template("""update "Risk" set category = 'hour $hour'""").substitute(hour=hour),
                    """insert into "AuditEvent" (action, details)
                       select 'seen', jsonb_build_object('path', repeat('x', 1000)) from generate_series(1, 2000)""",
                )
                end = await plant.value("select (pg_current_wal_lsn() - '0/0')::int8")
                await plant.until_true(
                    "select confirmed_flush_lsn - '0/0' >= %(end)s::numeric from pg_replication_slots"
                    " where slot_name = %(slot)s", end=end,
                )
                # the server lets the log go at the next record of what is running, which a checkpoint writes
                await plant.run("checkpoint", 'vacuum "AuditEvent"')

                async def let_go(end: int = end) -> bool:
                    restart = await plant.slot_fact("(restart_lsn - '0/0')::int8")
                    await plant.run("checkpoint")
                    return bool(restart >= end)

                await plant.until(let_go)
                kept.append(await plant.slot_fact("(pg_current_wal_lsn() - restart_lsn)::int8"))
            written = await plant.value("select (pg_current_wal_lsn() - '0/0')::int8") - began
            _, body = await ready(service)
            metrics = (await get(service, "/metrics"))[1]
            # one row changed twenty-four times
            assert await plant.value("select count(*) from notion_sync.work where entity = 'risk'") == 1

            plant.sandbox.switches.update({"outage": False})

            async def followed() -> bool:
                return bool(plant.page("Risks", "r")["Category"] == "hour 23")

            await plant.until(followed)
        assert written > 24 * 1_500_000
        assert max(kept) < 1_000_000
        assert body["degraded"] is True
        assert 'mapable_cdc_slot_state{state="reserved"} 1.0' in metrics
        assert "mapable_cdc_slot_safe_wal_bytes" in metrics


async def test_a_slot_that_is_nearly_lost_is_alarmed(private_postgres: PrivateServer) -> None:
    private_postgres.create_database("mapable")
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with planted(dsn) as plant:
        await plant.run("alter system set max_slot_wal_keep_size = '64MB'", "select pg_reload_conf()")
        async with plant.ran() as service, await psycopg.AsyncConnection.connect(dsn) as writer:
            # a transaction that stays open keeps the log from its beginning on
            await writer.execute("create table open_for_long (a int)")
            for _ in range(4):
                await plant.run("select pg_switch_wal()", "create table if not exists filler (a text)", "checkpoint",
                                "insert into filler values ('x')")  # fmt: skip

            alarm = await service.event("slot.nearly_lost")
            await writer.rollback()

            async def relieved() -> bool:
                await plant.run("checkpoint", "insert into filler values ('x')")
                return any(event["event"] == "slot.relieved" for event in service.events)

            await plant.until(relieved)
        assert alarm["retained_bytes"] > 32_000_000
        assert alarm["safe_wal_bytes"] is not None
        assert "max_slot_wal_keep_size" in alarm["hint"]


async def test_a_server_that_crashed_under_a_running_service_calls_for_no_comparison(
    private_postgres: PrivateServer,
) -> None:
    private_postgres.create_database("mapable")
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with planted(dsn) as plant, plant.ran() as service:
        await plant.run("""insert into "AuditEvent" (action) values ('seen')""", "checkpoint")
        assert not any(event["event"] == "slot.unbounded" for event in service.events)
        await plant.run("alter system set max_slot_wal_keep_size = -1")
        await asyncio.to_thread(private_postgres.restart, "immediate")
        await service.event("stream.started", times=2)
        assert "max_slot_wal_keep_size" in (await service.event("slot.unbounded"))["hint"]

        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db:
            plant.db = db
            plant.sandbox.clear_requests()
            await plant.run(UNSEEN)
            await only_the_difference_is_written(plant)
        assert not any(event["event"] == "slot.ahead" for event in service.events)

