"""Every kind of committed change shows in Notion, at the price of one request; what was not committed never does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template

import psycopg
import pytest
import pytest_asyncio

from deploy.local.server import PrivateServer
from tests.conftest import SCHEMA
from tests.system.scene import SENTINEL, Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = (
    "renamed", "unmapped", "deleted", "reborn", "kept", "savepoint", "rolled-back", "many", "hot", "moved-away", "holder",
)
CAST = Template("""
insert into "User" (id, name, email, role, "updatedAt")
    select id, id, id || '@example.org', 'PARTICIPANT', now() from unnest('{$people}'::text[]) id;
insert into "User" (id, name, email, role, "updatedAt") values ('provider', 'provider', 'p', 'PROVIDER', now());
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt") values ('plan', 'holder', 'N-1', now(), now(), 1, 1, now());
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount)
    select 'payment-' || n, 'plan', 'holder', 'provider', 'S', n from generate_series(1, 3) n;
insert into "Complaint" (id, "complaintNumber", source, description, "participantId", "updatedAt")
    values ('complaint', 'C-1', 'FAMILY', 'd', 'moved-away', now());
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status, "updatedAt")
    select 'care-' || n, 'holder', 'plan ' || n, '[]', '[]', now(), now(), 'Active', now() from generate_series(1, 30) n;
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
    (call,) = await scene.calls_of("""update "User" set name = 'Renée' where id = 'renamed'""")

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
    assert [call.body for call in calls][0] == {"in_trash": False}
    assert {call.method for call in calls} == {"PATCH"}
    assert len(calls) == 2


async def test_delete_and_insert_in_one_transaction_keep_the_page(scene: Scene) -> None:
    page_id = scene.page_id("Participants", "reborn")

    calls = await scene.calls_of(
        """begin; delete from "User" where id = 'reborn';
           insert into "User" (id, name, email, role, "updatedAt")
           values ('reborn', 'Reborn', 'reborn@example.org', 'PARTICIPANT', now()); commit"""
    )

    assert [call.object_id for call in calls] == [page_id]
    assert calls[0].body["properties"].keys() == scene.property_ids("Participants", "Name")
    assert scene.shows("Participants", "reborn", Name="Reborn")


async def test_what_a_savepoint_took_back_is_not_sent(scene: Scene) -> None:
    (call,) = await scene.calls_of(
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


async def test_fifty_updates_in_one_transaction_are_one_call(scene: Scene) -> None:
    updates = "".join(f"""update "User" set name = 'version {n}' where id = 'many';""" for n in range(1, 51))

    (call,) = await scene.calls_of(f"begin; {updates} commit")

    assert "version 50" in str(call.body)
    assert scene.shows("Participants", "many", Name="version 50")


async def test_fifty_fast_commits_are_a_few_calls_and_end_right(scene: Scene) -> None:
    calls = await scene.calls_of(
        *(f"""update "User" set name = 'edit {n}' where id = 'hot'""" for n in range(1, 51))
    )

    assert 1 <= len(calls) <= 4
    assert scene.shows("Participants", "hot", Name="edit 50")


async def test_a_bulk_update_sends_each_row_once(scene: Scene) -> None:
    calls = await scene.calls_of("""update "CarePlan" set status = 'Completed', "clinicalNotes" = 'x'""")

    assert len(calls) == len({call.object_id for call in calls}) == 30
    status = scene.property_ids("Care Plans", "Status")
    assert all(call.body["properties"].keys() == status for call in calls)
    assert all(row["properties"]["Status"] == "Completed" for row in scene.sandbox.people.rows("Care Plans"))


async def test_an_unchanged_long_text_stays_when_another_column_changes(scene: Scene) -> None:
    # stored apart and not rewritten, the text is in no change of the log
    (call,) = await scene.calls_of("""update "Incident" set status = 'CLOSED' where id = 'toasted'""")

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
    page_ids = [scene.page_id("NDIS Plans", "plan"), *(scene.page_id("Payment Transactions", f"payment-{n}") for n in (1, 2, 3))]

    calls = await scene.calls_of("""truncate "NDISPlan" cascade""")

    assert {call.object_id for call in calls} == set(page_ids)
    assert [call.body for call in calls] == [{"in_trash": True}] * 4
    assert scene.page("Participants", "holder") is not None


async def test_an_idle_slot_advances_under_unrelated_writes_and_nothing_is_written_for_it(scene: Scene) -> None:
    async def slot() -> tuple[int, int]:
        (row,) = await scene.rows(
            """select (confirmed_flush_lsn - '0/0')::int8 as confirmed,
                      (pg_current_wal_lsn() - restart_lsn)::int8 as retained from pg_replication_slots
               where database = current_database()"""
        )
        return row["confirmed"], row["retained"]

    async def writes() -> int:
        await scene.run("select pg_stat_clear_snapshot()")
        return int(
            await scene.value(
                """select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables
                   where schemaname = 'notion_sync'"""
            )
        )

    await scene.settled()
    # statistics are reported when a session of the service is idle: until they stand still
    written = -1
    while written != (written := await writes()):
        await scene.until_true("select pg_sleep(0.6) is not null")
    before, _ = await slot()

    for _ in range(40):
        await scene.run(
            """insert into "AuditEvent" (action, details)
               select 'seen', jsonb_build_object('path', repeat('x', 1000)) from generate_series(1, 500)"""
        )
    end = await scene.value("select (pg_current_wal_lsn() - '0/0')::int8")
    assert end - before > 20_000_000
    await scene.until_true(
        f"""select (confirmed_flush_lsn - '0/0')::int8 >= {end} from pg_replication_slots
            where database = current_database()"""
    )

    _, retained = await slot()
    assert retained < 5_000_000
    assert await writes() == written
