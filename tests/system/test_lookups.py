"""Pages show other rows: their names, their pages. When those change, so do the pages, whoever was there first."""

from __future__ import annotations

from typing import Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAST: Final = """
insert into "User" (id, name, email, role, "updatedAt")
    select id, id, id || '@example.org', role::"UserRole", now() from (values
        ('ada', 'PARTICIPANT'), ('ben', 'PARTICIPANT'), ('cleo', 'PARTICIPANT'), ('dina', 'PARTICIPANT'),
        ('leaving', 'PARTICIPANT'), ('manager', 'PLAN_MANAGER'), ('other manager', 'PLAN_MANAGER'),
        ('third manager', 'PLAN_MANAGER'), ('provider', 'PROVIDER'), ('worker user', 'USER'), ('second user', 'USER'),
        ('third user', 'USER'), ('joining', 'USER'), ('outsider', 'USER')) v (id, role);
insert into "Worker" (id, "userId", "updatedAt")
    values ('worker', 'worker user', now()), ('second worker', 'third user', now());
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "planManagerId", "updatedAt")
    select 'plan of ' || id, id, 'N-' || id, now(), now(), 1, 1,
        case when id in ('cleo', 'dina') then 'third manager' else 'manager' end, now()
    from unnest('{ada,ben,leaving,joining,cleo,dina}'::text[]) id;
insert into "CarePlan" (id, "participantId", "workerId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
    select 'care of ' || id, id, case id when 'cleo' then 'second worker' else 'worker' end, 'c', '[]', '[]', now(),
        now(), 'Active', now() from unnest('{ada,ben,cleo}'::text[]) id;
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount)
    select 'payment ' || n, 'plan of ada', 'ada', 'provider', 'S', n from generate_series(1, 12) n;
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
    select 'risk ' || n || ' of ' || id, 't', '', 'LOW', 'c', 'x', id, now()
    from unnest('{cleo,dina,joining,outsider}'::text[]) id, generate_series(1, 3) n;
insert into "Complaint" (id, "complaintNumber", source, description, "participantId", "updatedAt")
    values ('complaint', 'C-1', 'FAMILY', 'd', 'cleo', now());
"""
MARK_INCIDENT: Final = """
insert into notion_sync.work (entity, system_id, reasons, priority) values ('incident', 'incident 1', 1, 0)
"""
RISK_OF: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
values (%(id)s, 't', '', 'LOW', 'c', 'x', %(participant)s, now())
"""
UNPOINTED: Final = """
update notion_sync."NotionSyncMapping" set base = base || '{"participant": {"sent": [], "got": []}}'
where "systemId" = %(id)s
"""
WAITS: Final = "insert into notion_sync.pending_relation values ('participant', %(target)s, 'risk', %(id)s)"
PLANS: Final = ("plan of ada", "plan of ben", "plan of leaving", "plan of joining")
CARE_PLANS: Final = ("care of ada", "care of ben")
PAYMENTS: Final = tuple(f"payment {n}" for n in range(1, 13))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def cast(scene: Scene) -> None:
    """People, and pages that show them."""
    await scene.run(CAST)
    await scene.settled()


def all_show(scene: Scene, database: str, ids: tuple[str, ...], **properties: object) -> bool:
    return all(scene.shows(database, system_id, **properties) for system_id in ids)


async def test_a_renamed_plan_manager_is_renamed_on_every_plan(scene: Scene) -> None:
    assert all_show(scene, "NDIS Plans", PLANS, Plan_Manager="manager")

    calls = await scene.calls_of("""update "User" set name = 'Clear Plans' where id = 'manager'""")

    assert all_show(scene, "NDIS Plans", PLANS, Plan_Manager="Clear Plans")
    assert len(calls) == len(PLANS)
    assert all(call.body["properties"].keys() == scene.property_ids("NDIS Plans", "Plan Manager") for call in calls)


async def test_a_person_without_a_name_is_shown_by_the_address(scene: Scene) -> None:
    await scene.run("""update "User" set name = null where id = 'provider'""")
    await scene.settled()
    assert all_show(scene, "Payment Transactions", PAYMENTS, Provider="provider@example.org")

    await scene.run("""update "User" set email = 'new@example.org' where id = 'provider'""")
    await scene.settled()
    assert all_show(scene, "Payment Transactions", PAYMENTS, Provider="new@example.org")

    calls = await scene.calls_of(
        """update "User" set name = '' where id = 'provider'""",
        """update "User" set phone = '0', "passwordHash" = 'x' where id = 'provider'""",
    )
    assert calls == ()


async def test_a_worker_s_user_is_renamed(scene: Scene) -> None:
    assert all_show(scene, "Care Plans", CARE_PLANS, Worker="worker user")

    await scene.run("""update "User" set name = 'Bernadette' where id = 'worker user'""")
    await scene.settled()

    assert all_show(scene, "Care Plans", CARE_PLANS, Worker="Bernadette")


async def test_a_worker_becomes_another_user_who_is_then_renamed(scene: Scene) -> None:
    assert scene.shows("Care Plans", "care of cleo", Worker="third user")

    await scene.run("""update "Worker" set "userId" = 'second user' where id = 'second worker'""")
    await scene.until(lambda: scene.shows("Care Plans", "care of cleo", Worker="second user"))
    await scene.run(
        """update "User" set name = 'Nobody' where id = 'third user'""",
        """update "User" set name = 'Sanjay' where id = 'second user'""",
    )
    await scene.settled()

    assert scene.shows("Care Plans", "care of cleo", Worker="Sanjay")


async def test_another_plan_manager_is_shown_and_a_lost_one_is_not(scene: Scene) -> None:
    assert scene.shows("NDIS Plans", "plan of cleo", Plan_Manager="third manager")

    await scene.run(
        """update "NDISPlan" set "planManagerId" = 'other manager' where id = 'plan of dina'""",
        """delete from "User" where id = 'third manager'""",
    )
    await scene.settled()

    assert scene.shows("NDIS Plans", "plan of dina", Plan_Manager="other manager")
    assert scene.shows("NDIS Plans", "plan of cleo", Plan_Manager="")


async def test_who_stops_being_a_participant_keeps_the_page_as_inactive(scene: Scene) -> None:
    page_id = scene.page_id("Participants", "leaving")

    (call,) = await scene.calls_of("""update "User" set role = 'USER' where id = 'leaving'""")

    assert (call.object_id, call.body["properties"].keys()) == (page_id, scene.property_ids("Participants", "Status"))
    assert scene.shows("Participants", "leaving", Status="Inactive")
    assert scene.shows("NDIS Plans", "plan of leaving", Participant=[page_id])

    await scene.run("""update "User" set role = 'PARTICIPANT' where id = 'leaving'""")
    await scene.settled()
    assert scene.page_id("Participants", "leaving") == page_id
    assert scene.shows("Participants", "leaving", Status="Active")


async def test_who_becomes_a_participant_gets_a_page_and_the_children_find_it(scene: Scene) -> None:
    assert scene.page("Participants", "joining") is None
    assert scene.shows("NDIS Plans", "plan of joining", Participant=[])
    assert scene.shows("Risks", "risk 1 of joining", Participant=[])

    await scene.run("""update "User" set role = 'PARTICIPANT' where id = 'joining'""")
    await scene.settled()

    page_id = scene.page_id("Participants", "joining")
    assert scene.shows("NDIS Plans", "plan of joining", Participant=[page_id])
    assert scene.shows("Risks", "risk 1 of joining", Participant=[page_id])
    assert scene.shows("Participants", "joining", NDIS_Plan=[scene.page_id("NDIS Plans", "plan of joining")])


async def test_a_child_inserted_with_its_participant_finds_the_page(scene: Scene) -> None:
    await scene.run(
        """begin;
           insert into "User" (id, name, email, role, "updatedAt")
               select 'family ' || n, 'family', 'family' || n, 'PARTICIPANT', now() from generate_series(1, 20) n;
           insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId",
               "updatedAt") select 'risk of family ' || n, 't', '', 'LOW', 'c', 'x', 'family ' || n, now()
               from generate_series(1, 20) n;
           commit"""
    )
    await scene.settled()

    for n in range(1, 21):
        page_id = scene.page_id("Participants", f"family {n}")
        assert scene.shows("Risks", f"risk of family {n}", Participant=[page_id])
    assert await scene.value("select count(*) from notion_sync.pending_relation where target_id like 'family%'") == 0


async def test_a_page_that_is_brought_back_is_found_by_the_children_that_came_meanwhile(scene: Scene) -> None:
    await scene.participant("away")
    page = scene.page_id("Participants", "away")
    scene.sandbox.people.trash(page)
    await scene.look("participant", "away")
    await scene.run(RISK_OF, id="risk of away", participant="away")
    await scene.until(lambda: scene.page("Risks", "risk of away") is not None)
    await scene.settled()
    assert scene.shows("Risks", "risk of away", Participant=[])

    scene.sandbox.people.restore(page)
    await scene.look("participant", "away")

    await scene.until(lambda: scene.shows("Risks", "risk of away", Participant=[page]))


async def test_a_copy_that_takes_the_place_of_a_page_is_pointed_at_instead(scene: Scene) -> None:
    await scene.participant("twice")
    page = scene.page_id("Participants", "twice")
    await scene.run(RISK_OF, id="risk of twice", participant="twice")
    await scene.until(lambda: scene.shows("Risks", "risk of twice", Participant=[page]))
    await scene.settled()
    copy = scene.sandbox.people.duplicate(page)
    scene.sandbox.people.trash(page)
    await scene.look("participant", "twice")

    await scene.look("page", copy)

    await scene.until(lambda: scene.shows("Risks", "risk of twice", Participant=[copy]))


async def test_what_a_killed_process_did_not_hand_over_is_handed_over_at_the_next_start(scene: Scene) -> None:
    await scene.participant("standing")
    page = scene.page_id("Participants", "standing")
    await scene.run(RISK_OF, id="risk of standing", participant="standing")
    await scene.until(lambda: scene.shows("Risks", "risk of standing", Participant=[page]))
    await scene.settled()

    async with scene.down():
        # as if it had been written without, and had begun to wait, before the page stood
        await scene.run(UNPOINTED, id="risk of standing")
        await scene.run(WAITS, id="risk of standing", target="standing")
        scene.sandbox.people.edit(scene.page_id("Risks", "risk of standing"), {"Participant": []})

    await scene.until(lambda: scene.shows("Risks", "risk of standing", Participant=[page]))


async def test_a_complaint_that_becomes_anonymous_stops_naming_its_maker(scene: Scene) -> None:
    assert scene.shows("Complaints", "complaint", Participant=[scene.page_id("Participants", "cleo")])

    await scene.run("""update "Complaint" set source = 'ANONYMOUS' where id = 'complaint'""")
    await scene.settled()

    assert scene.shows("Complaints", "complaint", Participant=[])
    base = await scene.value("""select base from notion_sync."NotionSyncMapping" where "systemId" = 'complaint'""")
    assert scene.page_id("Participants", "cleo") not in str(base)


async def test_a_row_moves_to_another_participant_to_an_outsider_and_to_nobody(scene: Scene) -> None:
    dina = [scene.page_id("Participants", "dina")]
    assert all_show(scene, "Risks", tuple(f"risk {n} of dina" for n in (1, 2, 3)), Participant=dina)

    await scene.run(
        """update "Risk" set "participantId" = 'ada' where id = 'risk 1 of dina'""",
        """update "Risk" set "participantId" = 'outsider' where id = 'risk 2 of dina'""",
        """update "Risk" set "participantId" = null where id = 'risk 3 of dina'""",
        """update "Risk" set "participantId" = 'dina' where id = 'risk 2 of outsider'""",
    )
    await scene.settled()

    assert scene.shows("Risks", "risk 1 of dina", Participant=[scene.page_id("Participants", "ada")])
    assert scene.shows("Risks", "risk 2 of dina", Participant=[])
    assert scene.shows("Risks", "risk 3 of dina", Participant=[])
    assert scene.shows("Risks", "risk 2 of outsider", Participant=dina)


async def test_a_row_moved_to_a_participant_that_is_new_in_the_same_transaction_finds_the_page(scene: Scene) -> None:
    await scene.run(
        """begin; insert into "User" (id, name, email, role, "updatedAt")
               values ('brand new', 'b', 'brandnew', 'PARTICIPANT', now());
           update "Risk" set "participantId" = 'brand new' where id = 'risk 1 of outsider'; commit"""
    )
    await scene.settled()

    assert scene.shows("Risks", "risk 1 of outsider", Participant=[scene.page_id("Participants", "brand new")])


async def test_a_deleted_participant_takes_the_children_s_pages_or_leaves_them_without(scene: Scene) -> None:
    plan, care = scene.page_id("NDIS Plans", "plan of ben"), scene.page_id("Care Plans", "care of ben")
    await scene.run("""update "Risk" set "participantId" = 'ben' where id = 'risk 1 of cleo'""")
    await scene.settled()

    await scene.run("""delete from "User" where id = 'ben'""")
    await scene.settled()

    assert scene.page("Participants", "ben") is None
    assert scene.sandbox.people.row(plan)["in_trash"]
    assert scene.sandbox.people.row(care)["in_trash"]
    assert scene.shows("Risks", "risk 1 of cleo", Participant=[])


async def test_locked_tables_and_rows_hold_up_nobody_else_and_are_caught_up_with(scene: Scene) -> None:
    async with scene.session() as table, scene.session() as row:
        await table.execute('lock table "Incident" in access exclusive mode')
        await row.execute("""select from "Risk" where id = 'risk 1 of joining' for update""")
        await table.execute(
            """insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
               select 'incident ' || n, 'OTHER', 'd', now(), 'x', now() from generate_series(1, 5) n"""
        )
        # this one is marked, and can't be read as long as the lock lasts
        await scene.run(MARK_INCIDENT)
        await scene.until_true("select attempts > 0 from notion_sync.work where system_id = 'incident 1'")
        await row.execute("""update "Risk" set title = 'Locked' where id = 'risk 1 of joining'""")

        await scene.run("""update "User" set name = 'Ada A' where id = 'ada'""")
        await scene.until(lambda: scene.shows("Participants", "ada", Name="Ada A"), 5.0)
        await scene.run("""update "Complaint" set description = 'while locked' where id = 'complaint'""")
        await scene.until(lambda: scene.shows("Complaints", "complaint", Description="while locked"), 5.0)

        await table.commit()
        await row.commit()
    await scene.until(lambda: all_show(scene, "Incidents", tuple(f"incident {n}" for n in range(1, 6))))
    await scene.until(lambda: scene.shows("Risks", "risk 1 of joining", Title="Locked"))
    assert await scene.value("select count(*) from notion_sync.parked") == 0


async def test_a_renamed_column_pauses_its_entity_alone_until_it_is_back(scene: Scene) -> None:
    await scene.settled()
    await scene.run(
        """begin; alter table "Risk" rename column category to cat;
           update "Risk" set cat = 'Renamed', title = 'Other'; commit"""
    )
    finding = await scene.service.event("entity.paused")

    await scene.run("""update "User" set name = 'Ada B' where id = 'ada'""")
    await scene.until(lambda: scene.shows("Participants", "ada", Name="Ada B"), 5.0)
    ready, told = await scene.get("/readyz")
    assert ready == 200
    assert '"risk"' in told
    assert "42703" in told
    assert finding["entity"] == "risk"
    assert not scene.shows("Risks", "risk 1 of cleo", Title="Other")

    await scene.run('alter table "Risk" rename column cat to category')
    await scene.until(lambda: scene.shows("Risks", "risk 1 of cleo", Title="Other", Category="Renamed"), 30.0)
    await scene.settled()
    _, told = await scene.get("/readyz")
    assert "paused" not in told
    assert [event["entity"] for event in scene.service.events if event.get("event") == "entity.paused"] == ["risk"]
    assert await scene.value("select count(*) from notion_sync.parked") == 0


async def test_a_renamed_column_of_those_who_are_only_shown_is_no_trouble_once_it_is_back(scene: Scene) -> None:
    await scene.settled()
    before = sum(event.get("event") == "entity.paused" for event in scene.service.events)
    await scene.run(
        """begin; alter table "Worker" rename column "userId" to user_id;
           update "Worker" set "updatedAt" = now(); commit"""
    )
    await scene.service.event("entity.paused", times=before + 1)

    await scene.run('alter table "Worker" rename column user_id to "userId"')
    await scene.settled()

    _, told = await scene.get("/readyz")
    assert "paused" not in told
