"""The demo's people and papers: the same every time, as many as a small provider has, and with the values that
synchronisers stumble over. Installing them never touches a database that somebody else uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from deploy.local.demo import data
from deploy.local.server import PostgresServer
from state.errors import FatalError
from tests.canaries import LISTED
from tests.integration.demo_queries import (
    Connection,
    connected_to_new_database,
    digest,
    shape,
    value,
    values,
)


@pytest.fixture(scope="module")
def demo(postgres_server: PostgresServer, demo_template: str) -> Iterator[Connection]:
    """The demo, only to be looked at."""
    with connected_to_new_database(postgres_server, demo_template) as conn:
        conn.execute("set default_transaction_read_only = on")
        yield conn


@pytest.fixture
def empty(postgres_server: PostgresServer) -> Iterator[Connection]:
    """A database of its own with nothing in it."""
    with connected_to_new_database(postgres_server) as conn:
        yield conn


def tables_in_public(conn: Connection) -> list[str]:
    return values(conn, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")


def test_install_makes_the_same_rows_in_another_database(demo: Connection, empty: Connection) -> None:
    installed = data.install(empty, empty.info.dbname)

    assert installed
    assert {table: digest(empty, table) for table in data.tables()} == {
        table: digest(demo, table) for table in data.tables()
    }


def test_install_a_second_time_does_nothing(empty: Connection) -> None:
    data.install(empty, empty.info.dbname)
    empty.execute('delete from "Risk"')

    installed = data.install(empty, empty.info.dbname)

    assert not installed
    assert value(empty, 'select count(*) from "Risk"') == 0


def test_install_leaves_a_database_with_users_alone_wherever_they_are(empty: Connection) -> None:
    empty.execute('create schema app create table "User" (id text)')

    installed = data.install(empty, empty.info.dbname)

    assert not installed
    assert tables_in_public(empty) == []


@pytest.mark.parametrize("claimed", ["", "mapable", "postgres"])
def test_install_refuses_a_database_that_its_caller_does_not_name(empty: Connection, claimed: str) -> None:
    with pytest.raises(FatalError) as refused:
        data.install(empty, claimed)

    assert empty.info.dbname not in str(refused.value)
    assert tables_in_public(empty) == []


def test_install_leaves_nothing_behind_when_its_tables_do_not_fit_in(empty: Connection) -> None:
    empty.execute('create table "Risk" (id text)')

    with pytest.raises(psycopg.errors.DuplicateTable):
        data.install(empty, empty.info.dbname)

    assert tables_in_public(empty) == ["Risk"]


def test_install_leaves_nothing_behind_when_its_rows_do_not_arrive(empty: Connection) -> None:
    empty.execute("set client_encoding = latin1")

    with pytest.raises(UnicodeEncodeError):
        data.install(empty, empty.info.dbname)

    assert tables_in_public(empty) == []


def test_the_named_people_are_what_their_names_say(demo: Connection) -> None:
    users = {
        user_id: (name, email, role)
        for user_id, name, email, role in demo.execute('select id, name, email, role::text from "User"')
    }

    first = (data.FIRST_PARTICIPANT_NAME, data.FIRST_PARTICIPANT_EMAIL, "PARTICIPANT")
    assert users[data.FIRST_PARTICIPANT_ID] == first
    assert users[data.NAMELESS_PARTICIPANT_ID][::2] == (None, "PARTICIPANT")
    assert users[data.EMPTY_NAMED_PARTICIPANT_ID][::2] == ("", "PARTICIPANT")
    assert users[data.FORMER_PARTICIPANT_ID][2] == "USER"
    assert users[data.FIRST_PROVIDER_ID][2] == "PROVIDER"
    assert users[data.FIRST_PLAN_MANAGER_ID][2] == "PLAN_MANAGER"
    assert users[data.NAMELESS_PLAN_MANAGER_ID][::2] == (None, "PLAN_MANAGER")
    assert value(demo, 'select "userId" from "Worker" where id = %s', data.FIRST_WORKER_ID) == data.FIRST_WORKER_USER_ID
    assert data.FIRST_WORKER_USER_ID in users


def test_the_named_papers_are_what_their_names_say(demo: Connection) -> None:
    plan = demo.execute(
        'select "planNumber", "participantId", "planManagerId" from "NDISPlan" where id = %s', (data.FIRST_PLAN_ID,)
    )
    complaint = demo.execute(
        'select source::text, "participantId" is null from "Complaint" where id = %s', (data.ANONYMOUS_COMPLAINT_ID,)
    )
    others = {
        "CarePlan": data.FIRST_CARE_PLAN_ID,
        "Incident": data.FIRST_INCIDENT_ID,
        "Complaint": data.FIRST_COMPLAINT_ID,
        "Risk": data.FIRST_RISK_ID,
        "PaymentTransaction": data.FIRST_PAYMENT_ID,
    }

    assert plan.fetchone() == (data.FIRST_PLAN_NUMBER, data.FIRST_PARTICIPANT_ID, data.FIRST_PLAN_MANAGER_ID)
    assert complaint.fetchone() == ("ANONYMOUS", False)
    assert value(demo, 'select count(*) from "NDISPlan" where "participantId" = %s', data.FORMER_PARTICIPANT_ID) == 1
    assert {
        table: value(demo, "select count(*) from {table} where id = %s", paper, table=table)
        for table, paper in others.items()
    } == dict.fromkeys(others, 1)


def test_there_is_as_much_of_everything_as_a_small_provider_has(demo: Connection) -> None:
    roles = dict(demo.execute('select role::text, count(*) from "User" group by role').fetchall())
    counts = {table: value(demo, "select count(*) from {table}", table=table) for table in LISTED}

    assert roles == {"PARTICIPANT": 60, "PROVIDER": 8, "PLAN_MANAGER": 4, "NDIA_ADMIN": 2, "USER": 19}
    assert counts == {
        "User": 93, "NDISPlan": 55, "Worker": 14, "CarePlan": 45, "Incident": 40, "Complaint": 30, "Risk": 35,
        "PaymentTransaction": 120,
    }  # fmt: skip


def test_every_label_of_every_enum_occurs(demo: Connection) -> None:
    columns = demo.execute(
        """
        select table_name, column_name,
               array(select enumlabel::text from pg_enum where enumtypid = quote_ident(udt_name)::regtype)
        from information_schema.columns
        where data_type = 'USER-DEFINED' and table_schema = 'public'
        """
    ).fetchall()

    missing = {
        (table, column, label)
        for table, column, labels in columns
        for label in set(labels) - set(values(demo, "select {column}::text from {table}", table=table, column=column))
    }

    assert missing == set()
    assert len(columns) == 11


def test_ids_look_like_the_applications(demo: Connection) -> None:
    ids = [row_id for table in LISTED for row_id in values(demo, "select id from {table}", table=table)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"c[0-9a-z]{24}", row_id) for row_id in ids)


def test_nobody_can_be_written_to(demo: Connection) -> None:
    domains = {email.partition("@")[2] for email in values(demo, 'select email from "User"')}

    assert domains == {"example.org", "example.com", "example.net"}


def test_an_emoji_lies_where_a_long_text_would_be_cut(demo: Connection) -> None:
    text = value(demo, 'select description from "Incident" where id = %s', data.LONG_INCIDENT_ID)

    units = text.encode("utf-16-le")

    assert len(units) // 2 > 2000
    assert 0xD800 <= int.from_bytes(units[2 * 1999 : 2 * 2000], "little") < 0xDC00


def test_texts_come_in_every_script_and_none(demo: Connection) -> None:
    texts = values(demo, 'select description from "Incident"')

    assert "" in texts
    assert any(text and not text.strip() for text in texts)
    assert any("\n" in text and "\t" in text and "\r\n" in text for text in texts)
    assert any(re.search("[\u0600-\u06ff]", text) for text in texts)
    assert any(re.search("[\u0590-\u05ff].*[a-z]", text) for text in texts)
    assert any("\u0301" in text and "\u200d" in text for text in texts)


def test_amounts_touch_the_ends_of_what_the_columns_hold(demo: Connection) -> None:
    amounts = values(demo, 'select amount from "PaymentTransaction"')
    budgets = values(demo, 'select "totalBudget" from "NDISPlan"')

    assert {Decimal("0.00"), Decimal("0.01"), Decimal("9999999999.99"), Decimal("-70.23")} <= set(amounts)
    assert {Decimal("0.00"), Decimal("0.01"), Decimal("9999999999.99")} <= set(budgets)


def test_free_text_and_json_stray_from_what_the_mapping_expects(demo: Connection) -> None:
    statuses = values(demo, 'select status from "CarePlan"')
    goals = values(demo, 'select goals from "CarePlan"')

    assert {"Active", "Completed", "On Hold"} < set(statuses)
    assert {"active", "Active, awaiting review", "Paused – in hospital"} < set(statuses)
    assert [] in goals
    assert any({} in parts for parts in goals)
    assert any(goal.keys() == {"description"} for parts in goals for goal in parts)
    assert any("description" not in goal and "targetDate" in goal for parts in goals for goal in parts)


def test_what_may_be_missing_is_missing_somewhere(demo: Connection) -> None:
    optional = [
        (table, column) for table in LISTED for column, (_, nullable, _) in shape(demo, table).items() if nullable
    ]

    never_missing = [
        (table, column)
        for table, column in optional
        if column in LISTED[table]
        and value(demo, "select count(*) from {table} where {column} is null", table=table, column=column) == 0
    ]

    assert never_missing == []


def test_no_plan_breaks_a_rule_across_fields(demo: Connection) -> None:
    out_of_order = """select count(*) from "NDISPlan" where "endDate" < "startDate" """
    overspent = """select count(*) from "NDISPlan" where not "remainingBudget" between 0 and "totalBudget" """

    assert value(demo, out_of_order) == 0
    assert value(demo, overspent) == 0


def test_plans_and_incidents_sit_on_the_changes_of_the_clock(demo: Connection) -> None:
    starts = values(
        demo, """select ("startDate" at time zone 'UTC' at time zone 'Australia/Sydney')::text from "NDISPlan" """
    )
    occurred = values(
        demo, """select ("occurredAt" at time zone 'UTC' at time zone 'Australia/Sydney')::text from "Incident" """
    )

    assert {"2025-10-05 00:00:00", "2025-10-06 00:00:00", "2026-04-05 00:00:00"} <= set(starts)
    assert sum(moment.endswith(" 00:00:00") for moment in starts) >= 50, "plans run from midnight to midnight"
    assert occurred.count("2026-04-05 02:30:00") == 2, "the hour that Sydney had twice"
    assert {"2025-10-05 01:59:59.999", "2025-10-05 03:00:00"} <= set(occurred), "around the hour that it never had"


@pytest.mark.parametrize("table", LISTED)
def test_every_row_keeps_a_secret_in_a_column_that_is_not_listed(demo: Connection, table: str) -> None:
    with demo.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.SQL("select * from {}").format(sql.Identifier(table))).fetchall()

    # what a goal may hold beside its listed parts is not listed either
    leaves = LISTED[table] - {"goals"}
    assert all("SECRET-" in str(row) for row in rows)
    assert not any("SECRET-" in str(row[column]) for row in rows for column in leaves)
