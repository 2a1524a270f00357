"""Every kind of committed change shows in Notion, at the price of one request; what was not committed never does."""

from __future__ import annotations

import asyncio
from string import Template
from typing import Final

import psycopg
import pytest
import pytest_asyncio

from deploy.local.server import PrivateServer
from tests.conftest import SCHEMA
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE: Final = (
    "renamed", "unmapped", "deleted", "reborn", "kept", "savepoint", "rolled-back", "many", "hot", "moved-away",
    "holder",
)  # fmt: skip
CAST: Final = Template("""
insert into "User" (id, name, email, role, "updatedAt")
    select id, id, id || '@example.org', 'PARTICIPANT', now() from unnest('{$people}'::text[]) id;
insert into "User" (id, name, email, role, "updatedAt") values ('provider', 'provider', 'p', 'PROVIDER', now());
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt") values ('plan', 'holder', 'N-1', now(), now(), 1, 1, now());
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount)
    select 'payment-' || n, 'plan', 'holder', 'provider', 'S', n from generate_series(1, 3) n;
insert into "Complaint" (id, "complaintNumber", source, description, "participantId", "updatedAt")
    values ('complaint', 'C-1', 'FAMILY', 'd', 'moved-away', now());
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
    select 'care-' || n, 'holder', 'plan ' || n, '[]', '[]', now(), now(), 'Active', now()
    from generate_series(1, 30) n;
alter table "Incident" alter column description set storage external;
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
    values ('toasted', 'OTHER', repeat('a long story. ', 800), now(), 'x', now());
""").substitute(people=",".join(PEOPLE))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def cast(scene: Scene) -> None:
    """Everybody who is going to be changed has a page, which is not hot any more."""
    await scene.run(CAST)
    await scene.settled()
    await scene.until_true(
        """select bool_and("sentAt" < clock_timestamp() - interval '1.1 s') from notion_sync."NotionSyncMapping" """
        """where "systemId" not like 'sentinel%'"""
    )


async def test_an_update_sends_the_changed_property_and_no_other(scene: Scene) -> None:
    look, call = await scene.calls_of("""update "User" set name = 'Renée' where id = 'renamed'""")

    # people may edit a name, too: it is looked at before it is overwritten
    assert (look.method, look.object_id) == ("GET", call.object_id)
    assert (call.method, call.object_id) == ("PATCH", scene.page_id("Participants", "renamed"))
    assert call.body.keys() == {"properties"}
    assert call.body["properties"].keys() == scene.property_ids("Participants", "Name")
    assert scene.shows("Participants", "renamed", Name="Renée")


async def test_unmapped_columns_and_tables_cost_no_call(scene: Scene) -> None:
    calls = await scene.calls_of(
        """update "User" set phone = '1', "lastLoginAt" = now(), "loginCount" = 7 where id = 'unmapped'""",
        """update "Incident" set resolution = 'r', "workerId" = null where id = 'toasted'""",
        """insert into "AuditEvent" (action) select 'seen' from generate_series(1, 100)""",
        """insert into "VerificationToken" values ('a', 'b', now()); delete from "VerificationToken";""",
        """insert into "User" (id, email, role, "updatedAt") values ('nobody', 'n', 'USER', now())""",
        """delete from "User" where id = 'nobody'""",
    )

    assert calls == ()


async def test_a_deleted_row_takes_its_page_to_the_trash_and_brings_it_back(scene: Scene) -> None:
    page_id = scene.page_id("Participants", "deleted")

    (call,) = await scene.calls_of("""delete from "User" where id = 'deleted'""")

    assert (call.method, call.object_id, call.body) == ("PATCH", page_id, {"in_trash": True})
    (tombstone,) = await scene.rows(
        """select * from notion_sync."NotionSyncMapping" where "systemId" = 'deleted'"""
    )
    assert (tombstone["notionPageId"], tombstone["pageState"]) == (page_id, "trashed")
    assert (tombstone["base"], tombstone["pushing"], tombstone["leftOut"]) == ({}, None, {})

    calls = await scene.calls_of(
        """insert into "User" (id, name, email, role, "updatedAt")
           values ('deleted', 'Back again', 'deleted@example.org', 'PARTICIPANT', now())"""
    )

    assert scene.page_id("Participants", "deleted") == page_id
    assert scene.shows("Participants", "deleted", Name="Back again", Email="deleted@example.org", Status="Active")
    assert [call.method for call in calls] == ["PATCH", "GET", "PATCH"]
    assert calls[0].body == {"in_trash": False}


async def test_delete_and_insert_in_one_transaction_keep_the_page(scene: Scene) -> None:
    page_id = scene.page_id("Participants", "reborn")

    calls = await scene.calls_of(
        """begin; delete from "User" where id = 'reborn';
           insert into "User" (id, name, email, role, "updatedAt")
           values ('reborn', 'Reborn', 'reborn@example.org', 'PARTICIPANT', now()); commit"""
    )

    assert [(call.method, call.object_id) for call in calls] == [("GET", page_id), ("PATCH", page_id)]
    assert calls[1].body["properties"].keys() == scene.property_ids("Participants", "Name")
    assert scene.shows("Participants", "reborn", Name="Reborn")


async def test_what_a_savepoint_took_back_is_not_sent(scene: Scene) -> None:
    _, call = await scene.calls_of(
        """begin; update "User" set name = 'first' where id = 'savepoint'; savepoint s;
           update "User" set name = 'second' where id in ('savepoint', 'kept'); rollback to s; commit"""
    )

    assert "second" not in str(call.body)
    assert scene.shows("Participants", "savepoint", Name="first")
    assert scene.shows("Participants", "kept", Name="kept")


async def test_a_rolled_back_transaction_costs_no_call(scene: Scene) -> None:
    calls = await scene.calls_of(
        """begin; update "User" set name = 'never' where id = 'rolled-back';
           insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
           values ('never', 'never', '', 'LOW', '', '', now()); rollback"""
    )

    assert calls == ()
    assert scene.page("Risks", "never") is None


async def test_fifty_updates_in_one_transaction_are_one_look_and_one_call(scene: Scene) -> None:
    update = Template("""update "User" set name = 'version $n' where id = 'many'""")

    _, call = await scene.calls_of("; ".join(["begin", *(update.substitute(n=n) for n in range(1, 51)), "commit"]))

    assert "version 50" in str(call.body)
    assert scene.shows("Participants", "many", Name="version 50")


async def test_fifty_fast_commits_are_a_few_calls_and_end_right(scene: Scene) -> None:
    update = Template("""update "User" set name = 'edit $n' where id = 'hot'""")

    calls = await scene.calls_of(*(update.substitute(n=n) for n in range(1, 51)))

    assert 1 <= sum(call.method == "PATCH" for call in calls) <= 4
    assert len(calls) <= 8
    assert scene.shows("Participants", "hot", Name="edit 50")


async def test_a_bulk_update_sends_each_row_once(scene: Scene) -> None:
    calls = await scene.calls_of("""update "CarePlan" set status = 'Completed', "clinicalNotes" = 'x'""")

    writes = [call for call in calls if call.method == "PATCH"]
    assert len(writes) == len({call.object_id for call in writes}) == 30
    status = scene.property_ids("Care Plans", "Status")
    assert all(call.body["properties"].keys() == status for call in writes)
    assert all(row["properties"]["Status"] == "Completed" for row in scene.sandbox.people.rows("Care Plans"))


async def test_an_unchanged_long_text_stays_when_another_column_changes(scene: Scene) -> None:
    # stored apart and not rewritten, the text is in no change of the log
    _, call = await scene.calls_of("""update "Incident" set status = 'CLOSED' where id = 'toasted'""")

    assert call.body["properties"].keys() == scene.property_ids("Incidents", "Status")
    assert scene.shows("Incidents", "toasted", Description="a long story. " * 800, Status="CLOSED")


async def test_another_primary_key_is_another_page_and_children_follow(scene: Scene) -> None:
    old_page_id = scene.page_id("Participants", "moved-away")
    assert scene.shows("Complaints", "complaint", Participant=[old_page_id])

    await scene.run("""update "User" set id = 'moved-here' where id = 'moved-away'""")
    await scene.settled()

    assert scene.page("Participants", "moved-away") is None
    assert scene.sandbox.people.row(old_page_id)["in_trash"]
    new_page_id = scene.page_id("Participants", "moved-here")
    assert new_page_id != old_page_id
    assert scene.shows("Complaints", "complaint", Participant=[new_page_id])


async def test_truncate_takes_the_pages_of_all_its_tables(scene: Scene) -> None:
    page_ids = {scene.page_id("Payment Transactions", f"payment-{n}") for n in (1, 2, 3)}
    page_ids.add(scene.page_id("NDIS Plans", "plan"))

    calls = await scene.calls_of("""truncate "NDISPlan" cascade""")

    assert {call.object_id for call in calls} == page_ids
    assert [call.body for call in calls] == [{"in_trash": True}] * 4
    assert scene.page("Participants", "holder") is not None


async def test_an_idle_slot_advances_under_unrelated_writes_and_nothing_is_written_for_it(scene: Scene) -> None:
    await scene.settled()
    await scene.run("""select pg_create_logical_replication_slot('spy', 'test_decoding', temporary => true)""")
    before = await scene.wal_end()

    for _ in range(40):
        await scene.run(
            """insert into "AuditEvent" (action, details)
               select 'seen', jsonb_build_object('path', repeat('x', 1000)) from generate_series(1, 500)"""
        )
    after = await scene.wal_end()
    await scene.until_confirmed(after)

    assert after - before > 20_000_000
    # the server lets the log go at the next record of what is running, which a checkpoint writes
    await scene.run("checkpoint", "vacuum \"AuditEvent\"")
    await scene.until_true(
        """select pg_current_wal_lsn() - restart_lsn < 1000000 from pg_replication_slots
           where database = current_database() and slot_name <> 'spy'"""
    )
    ours = await scene.rows(
        """select data from pg_logical_slot_get_changes('spy', null, null, 'skip-empty-xacts', '1')
           where data like 'table %' and data not like 'table public.%'"""
    )
    assert ours == []


async def test_a_commit_that_is_not_visible_yet_is_waited_for(private_postgres: PrivateServer) -> None:
    private_postgres.create_database("waiting")
    dsn = private_postgres.dsn("waiting")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with staged(dsn) as scene, scene.session() as hanging, scene.session() as another:
        await scene.participant("seen", "Before")
        await scene.settled()
        page_id = scene.page_id("Participants", "seen")
        await hanging.set_autocommit(True)
        await another.set_autocommit(True)
        await scene.run("alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
        await scene.until_true("select current_setting('synchronous_standby_names') = 'nobody'")
        scene.sandbox.clear_requests()

        async with asyncio.TaskGroup() as commits:
            # both are in the log, and neither is visible to anybody: their sessions wait for the standby
            commits.create_task(hanging.execute("""update "User" set name = 'After' where id = 'seen'"""))
            commits.create_task(
                another.execute(
                    """insert into "User" (id, name, email, role, "updatedAt")
                       values ('unseen', 'New', 'new@example.org', 'PARTICIPANT', now())"""
                )
            )
            await scene.until_metric("mapable_cdc_key_reconciled_total", 6, outcome="not_visible")
            marked = await scene.rows("select distinct system_id from notion_sync.work where entity = 'participant'")
            calls = len(scene.sandbox.requests)
            await scene.run("alter system reset synchronous_standby_names", "select pg_reload_conf()")

        await scene.until(lambda: scene.shows("Participants", "seen", Name="After"))
        await scene.until(lambda: scene.shows("Participants", "unseen", Name="New"))
        assert {row["system_id"] for row in marked} == {"seen", "unseen"}
        assert calls == 0
        assert scene.page_id("Participants", "seen") == page_id
