"""What doctor finds in MapAble's tables, each provoked in a real database."""

from __future__ import annotations

import pytest

from cdc.operate.findings import statements
from cdc.replication.faults import PGOUTPUT
from tests.integration.doctor.ward import Ward
from tests.plugins import PLUGIN


async def test_where_all_is_well_nothing_is_found(ward: Ward) -> None:
    assert await ward.found() == {}


async def test_before_the_first_start_only_setup_and_the_indexes_are_missing(newcomer: Ward) -> None:
    found = await newcomer.found()

    assert set(found) == {"notion.setup", "table.index"}


async def test_looking_changes_nothing_on_either_side(newcomer: Ward) -> None:
    before = await _state(newcomer)
    newcomer.sandbox.clear_requests()

    await newcomer.looked()

    assert await _state(newcomer) == before
    assert {request.method for request in newcomer.sandbox.requests} == {"GET"}


async def _state(ward: Ward) -> object:
    return await (
        await ward.db.execute(
            "select (select array_agg(nspname order by 1) from pg_namespace),"
            " (select array_agg(slot_name order by 1) from pg_replication_slots), pg_current_xact_id_if_assigned(),"
            " (select count(*) from pg_class)"
        )
    ).fetchone()


async def test_foreign_keys_without_an_index_are_told_and_the_sql_makes_them(newcomer: Ward) -> None:
    assert await newcomer.found_of("table.index") == [
        "NDISPlan.planManagerId has no index", "CarePlan.workerId has no index",
        "PaymentTransaction.providerId has no index",
    ]

    done = await newcomer.mended()

    assert 'create index concurrently on "public"."NDISPlan" ("planManagerId");' in done
    assert await newcomer.found_of("table.index") == []


async def test_a_table_that_is_gone_or_a_view_is_missing(newcomer: Ward) -> None:
    await newcomer.run('alter table "Risk" rename to "Danger"', 'drop table "Complaint"')
    await newcomer.run('create view "Complaint" as select 1 as id')

    assert await newcomer.found_of("table.missing") == [
        "a view, or a table of another kind, is called Complaint in the schema public",
        "there is no table Risk in the schema public",
    ]


async def test_an_entity_that_is_switched_off_needs_no_table(ward: Ward) -> None:
    await ward.run('drop table "Risk"')

    assert await ward.with_settings(NOTION_SYNC_RISKS="false").found() == {}


async def test_columns_that_are_gone_are_named(newcomer: Ward) -> None:
    await newcomer.run('alter table "Incident" rename "occurredAt" to at', 'alter table "Incident" drop "updatedAt"')

    assert await newcomer.found_of("table.columns") == ["Incident has no occurredAt, updatedAt"]


async def test_columns_of_another_type_are_told(newcomer: Ward) -> None:
    await newcomer.run(
        'alter table "NDISPlan" alter "totalBudget" type text',
        'alter table "CarePlan" alter goals type text, alter status type integer using 0',
        'alter table "Incident" alter "occurredAt" type text',
        'alter table "Incident" alter "ndisReported" drop default, alter "ndisReported" type text',
        'alter table "Risk" alter title type integer using 0',
    )

    assert sorted(await newcomer.found_of("table.type")) == [
        "CarePlan.goals is text, but json is expected",
        "CarePlan.status is integer, but text or an enum is expected",
        "Incident.ndisReported is text, but boolean is expected",
        "Incident.occurredAt is text, but a timestamp is expected",
        "NDISPlan.totalBudget is text, but a number is expected",
        "Risk.title is integer, but text is expected",
    ]


@pytest.mark.parametrize(
    "change",
    [
        'alter table "Risk" replica identity nothing',
        'alter table "Risk" drop constraint "Risk_pkey"',
        'create unique index by_title on "Risk" (title); alter table "Risk" replica identity using index by_title',
    ],
)
async def test_a_table_whose_log_names_no_row_is_told_and_mended(newcomer: Ward, change: str) -> None:
    await newcomer.run(change)
    assert len(await newcomer.found_of("table.identity")) == 1

    await newcomer.mended()

    assert set(await newcomer.found()) == {"notion.setup"}


async def test_a_full_identity_names_the_row(ward: Ward) -> None:
    await ward.run('alter table "Risk" replica identity full')

    # to a publication it does not: one of mapped columns can't hold the whole row
    assert set(await ward.found()) == ({"publication.blocks"} if PLUGIN == PGOUTPUT else set())


async def test_a_schema_that_is_not_there_is_told(newcomer: Ward) -> None:
    found = await newcomer.with_settings(DATABASE_URL=f"{newcomer.dsn}?schema=elsewhere").found()

    assert found["tables.schema"].what == "there is no schema elsewhere in the database"


@pytest.fixture
async def bare(newcomer: Ward) -> Ward:
    """A patient whose role may do nothing at all, with every entity writable and creatable."""
    role = f"bare_{newcomer.slot}"
    await newcomer.run(
        f"create role {role} login password 'pw'", "revoke all on schema public from public",
        "create index on \"NDISPlan\" (\"planManagerId\")",
    )
    return newcomer.with_settings(
        DATABASE_URL=newcomer.dsn_of(role), NOTION_CREATE_ROWS="incident,risk",
        NOTION_SHARED_FIELDS="payment.amount",
    )


@pytest.fixture(autouse=True)
async def no_role_is_left(newcomer: Ward) -> object:
    yield
    role = f"bare_{newcomer.slot}"
    found = await (await newcomer.db.execute("select 1 from pg_roles where rolname = %s", (role,))).fetchone()
    if found is not None:
        await newcomer.run(f"drop owned by {role} cascade", f"drop role {role}")


async def test_a_role_without_rights_is_told_what_it_needs_and_the_sql_is_enough(bare: Ward) -> None:
    first = await bare.found()
    assert {"role.replication", "sidecar.create", "tables.schema"} <= set(first)

    await bare.mended()
    second = await bare.found()
    assert {"table.select", "table.update", "table.insert"} <= set(second)

    await bare.mended()
    # that pgoutput is there is known
    untold = set() if PLUGIN == PGOUTPUT else {"plugin.installed"}
    assert set(await bare.found()) == {"notion.setup"} | untold
    assert set(await bare.found(try_slot=True)) == {"notion.setup"}


async def test_only_columns_that_people_may_edit_have_to_be_writable(bare: Ward) -> None:
    await bare.mended()

    looked = statements(await bare.looked())

    updates = [line.partition(" to ")[0] for line in looked if line.startswith("grant update")]
    assert 'grant update ("name", "updatedAt") on "public"."User"' in updates
    assert 'grant update ("amount") on "public"."PaymentTransaction"' in updates
    assert not any('"Worker"' in line for line in updates)
    inserts = [line for line in looked if line.startswith("grant insert")]
    assert len(inserts) == 2
    assert all('"participantId"' in line for line in inserts)
    assert not any('"passwordHash"' in line or '"clinicalNotes"' in line for line in looked)


async def test_an_entity_that_nothing_is_read_back_of_needs_no_update(bare: Ward) -> None:
    await bare.mended()

    looked = statements(await bare.with_settings(NOTION_DIRECTION_RISKS="to_notion").looked())

    assert not any(line.startswith(("grant update", "grant insert")) and '"Risk"' in line for line in looked)


async def test_a_schema_of_another_role_is_told(bare: Ward) -> None:
    await bare.run("create schema notion_sync")

    found = await bare.found()

    assert "another role's" in found["sidecar.forbidden"].what
    await bare.mended()
    assert "sidecar.forbidden" not in await bare.found()


async def test_row_security_that_hides_rows_is_told(bare: Ward) -> None:
    await bare.mended()
    await bare.mended()
    await bare.run('alter table "Risk" enable row level security')

    found = await bare.found()

    assert "hides rows of Risk" in found["table.row_security"].what
    await bare.mended()
    assert "table.row_security" not in await bare.found()
