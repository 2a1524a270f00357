"""`doctor` and `uninstall` as typed: what is printed, how they end, and that no value and no secret is ever said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Final

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.replication.faults import PGOUTPUT
from tests import canaries
from tests.integration.doctor.ward import INDEXES, Ward, admitted
from tests.plugins import PLUGIN
from tests.system.invoked import said
from tests.system.service import Service, environment

VALUES: Final = ("Quokka-Name-71", "quokka.71@example.org", "Wombat-Story-72", "Numbat-Title-73")
FILL: Final = """
insert into "User" (id, name, email, role, "updatedAt")
values ('p1', 'Quokka-Name-71', 'quokka.71@example.org', 'PARTICIPANT', now());
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
values ('r1', 'Numbat-Title-73', 'Wombat-Story-72', 'LOW', 'Wombat-Story-72', 'Quokka-Name-71', 'p1', now());
"""
DAMAGE: Final = (
    'alter table "Risk" alter category type integer using 0', 'alter table "Incident" rename "occurredAt" to at',
    'alter table "Complaint" replica identity nothing', 'drop table "PaymentTransaction"',
)


@pytest.fixture
async def ward(mapable_dsn: str) -> AsyncIterator[Ward]:
    """MapAble as it is, and an empty workspace."""
    async with admitted(mapable_dsn) as found:
        yield found


async def test_where_nothing_is_found_it_says_so_and_ends_with_0(ward: Ward) -> None:
    await ward.run(INDEXES)
    await ward.sets_up()

    plain, machine, statements = (
        await ward.types("doctor"), await ward.types("doctor", "--json"), await ward.types("doctor", "--fix-sql")
    )

    assert (plain.code, machine.code, statements.code) == (0, 0, 0), plain.out
    assert plain.out.endswith("Nothing found.\n")
    shown = json.loads(machine.out)
    assert (shown["errors"], shown["warnings"]) == (0, 0)
    assert {"settings", "plugin.installed", "notion.token", "notion.database"} <= {
        finding["code"] for finding in shown["findings"]
    }
    assert statements.out == ""


async def test_each_finding_says_what_why_and_how_to_mend_it_the_worst_first(ward: Ward) -> None:
    plain, machine = await ward.types("doctor"), await ward.types("doctor", "--json")

    assert plain.code == machine.code == 1
    assert plain.out.startswith("error   no Notion database is known for Participants")
    assert "why: Deleting a person, or a query for one person's records" in plain.out
    assert "to do: Run `mapable-cdc setup PAGE`" in plain.out
    assert plain.out.endswith("1 to mend, 3 to improve.\n")
    severities = [finding["severity"] for finding in json.loads(machine.out)["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "ok"].index)


async def test_the_sql_is_all_that_is_printed_and_psql_takes_it(ward: Ward) -> None:
    ended = await ward.types("doctor", "--fix-sql")

    assert ended.code == 1
    assert ended.out.splitlines() == [
        f'create index concurrently on "public"."{table}" ("{column}");'
        for table, column in (
            ("NDISPlan", "planManagerId"), ("CarePlan", "workerId"), ("PaymentTransaction", "providerId")
        )
    ]
    await ward.run(*ended.out.splitlines())
    assert (await ward.types("doctor", "--fix-sql")).out == ""


async def test_two_forms_at_once_are_usage(ward: Ward) -> None:
    assert "exclude each other" in (await ward.types("doctor", "--json", "--fix-sql")).failure


async def test_it_looks_beside_an_active_run(ward: Ward) -> None:
    await ward.run(INDEXES)
    await ward.sets_up()
    async with Service({**ward.env, "LOG_LEVEL": "info"}) as service:
        await service.event("stream.started")

        ended = await ward.types("doctor")

    assert ended.code == 0, ended.out
    assert "being read" in ended.out


async def test_no_row_value_and_no_secret_is_printed_whatever_is_wrong(ward: Ward) -> None:
    with psycopg.connect(ward.dsn) as conn:
        conn.execute(FILL.encode())
        songs = canaries.plant(conn)
    await ward.sets_up()
    await ward.run("insert into notion_sync.setting (name, value) values ('webhook_token', '{\"token\": \"geheim\"}')")
    ward.sandbox.people.create("Risks", {"Title": VALUES[3], "Category": VALUES[2]})
    texts = [await _all_that_is_said(ward)]

    if PLUGIN == PGOUTPUT:
        # the type of a published column can't be changed: a migration takes the table out first
        await ward.run(f'alter publication {ward.slot} drop table "Risk"')
    await ward.run(*DAMAGE)
    ward.sandbox.people.remove_option("Risks", "Risk Level", "LOW")
    ward.sandbox.people.remove_property("Complaints", "Description")
    texts.append(await _all_that_is_said(ward))
    ward.sandbox.switches.update({"outage": True})
    texts.append(await _all_that_is_said(ward))

    assert _heard("\n".join(texts), [*songs, *VALUES, "geheim", ward.sandbox.token, ward.dsn]) == []


async def _all_that_is_said(ward: Ward) -> str:
    async with await psycopg.AsyncConnection.connect(ward.dsn) as open_one:
        await open_one.execute(b'update "User" set name = name')
        ended = [await ward.types("doctor", *form) for form in ((), ("--json",), ("--fix-sql",))]
    assert {each.code for each in ended} == {1}
    return "\n".join(each.out + each.err for each in ended)


def _heard(text: str, secrets: Sequence[str]) -> list[str]:
    return [secret for secret in secrets if secret in text]


@settings(max_examples=15, deadline=None)
@given(
    user=st.from_regex(r"u[a-z]{9}", fullmatch=True),
    password=st.from_regex(r"[A-Za-z0-9_%@/#!]{12,20}", fullmatch=True),
    name=st.from_regex(r"n[a-z]{9}", fullmatch=True), token=st.from_regex(r"ntn_[A-Za-z0-9]{20}", fullmatch=True),
)
def test_no_part_of_a_url_and_no_token_is_printed(user: str, password: str, name: str, token: str) -> None:
    env = environment(f"postgresql://{user}:{password}@127.0.0.1:9/{name}", "http://127.0.0.1:9", token, "0" * 32)

    ended = said(env, "doctor", "--json")

    assert ended.code in (1, 2)
    assert _heard(ended.out + ended.err, [user, password, name, token]) == []


async def test_uninstall_drops_the_slot_and_says_what_remains(ward: Ward) -> None:
    await ward.sets_up()
    await ward.has_slot()

    ended = await ward.types("uninstall")

    assert ended.code == 0, ended.err
    assert f"The slot {ward.slot} is dropped." in ended.out
    assert "What remains: the schema notion_sync" in ended.out
    assert "What remains: the databases in Notion" in ended.out
    assert await _there(ward) == (False, True)


async def test_uninstall_drops_the_schema_when_it_is_named(ward: Ward) -> None:
    await ward.sets_up()

    ended = await ward.types("uninstall", "--drop-schema", "notion_sync")

    assert ended.code == 0, ended.err
    assert "The schema notion_sync is dropped." in ended.out
    assert await _there(ward) == (False, False)
    again = await ward.types("uninstall", "--drop-schema", "notion_sync")
    assert again.code == 0
    assert "There is no schema notion_sync." in again.out
    assert len(ward.sandbox.people.databases()) == 7


async def test_uninstall_with_another_schema_s_name_is_usage_and_drops_nothing(ward: Ward) -> None:
    await ward.sets_up()
    await ward.run(f"select pg_create_logical_replication_slot('{ward.slot}', '{PLUGIN}')")

    assert "The sidecar's schema is notion_sync" in (await ward.types("uninstall", "--drop-schema", "public")).failure
    assert await _there(ward) == (True, True)


async def test_uninstall_leaves_a_schema_alone_that_this_program_did_not_make(ward: Ward) -> None:
    await ward.run("create schema notion_sync", "create table notion_sync.precious (id int)")
    await ward.run(f"select pg_create_logical_replication_slot('{ward.slot}', '{PLUGIN}')")

    assert "not dropped" in (await ward.types("uninstall", "--drop-schema", "notion_sync")).failure
    assert await _there(ward) == (True, True)


async def test_uninstall_leaves_another_program_s_slot_alone(ward: Ward) -> None:
    await ward.run(f"select pg_create_logical_replication_slot('{ward.slot}', 'test_decoding')")

    assert "belongs to somebody else" in (await ward.types("uninstall")).failure
    assert (await _there(ward))[0]


async def test_uninstall_is_refused_while_a_run_streams(ward: Ward) -> None:
    await ward.sets_up()
    async with Service({**ward.env, "LOG_LEVEL": "info"}) as service:
        await service.event("stream.started")

        refused = await ward.types("uninstall", "--drop-schema", "notion_sync")

        assert "a `mapable-cdc run` is active" in refused.failure
        assert await _there(ward) == (True, True)
        assert await service.stop() == 0
    assert (await ward.types("uninstall", "--drop-schema", "notion_sync")).code == 0
    assert await _there(ward) == (False, False)


async def _there(ward: Ward) -> tuple[bool, bool]:
    """Return whether the slot and the schema are there."""
    row = await (
        await ward.db.execute(
            "select exists (select from pg_replication_slots where slot_name = %s),"
            " exists (select from pg_namespace where nspname = 'notion_sync')",
            (ward.slot,),
        )
    ).fetchone()
    assert row is not None
    return row[0], row[1]
