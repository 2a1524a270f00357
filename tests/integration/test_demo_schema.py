"""The demo's tables are the facts that the mapping page states about MapAble, written down here a second time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from deploy.local.demo import data
from deploy.local.server import PostgresServer
from tests.integration.demo_queries import Connection, Shape, connected_to_new_database, shape, value, values

# name, type, "?" for nullable, "= default". "moment" is timestamp(3) without time zone, "money" numeric(12,2).
COLUMNS: Final = {
    "User": """id text; name text ?; email text; emailVerified moment ?; image text ?; passwordHash text ?;
        role UserRole = USER; ndisPlanId text ?; providerRegistrationId text ?; twoFactorEnabled boolean = false;
        twoFactorSecret text ?; twoFactorConfig jsonb ?; twoFactorBackupCodes text[] ?; webauthnChallenge text ?;
        createdAt moment = now; updatedAt moment""",
    "NDISPlan": """id text; participantId text; planNumber text; status NDISPlanStatus = DRAFT; startDate moment;
        endDate moment; totalBudget money; remainingBudget money; planManagerId text ?; metadata jsonb ?;
        createdAt moment = now; updatedAt moment""",
    "Worker": """id text; userId text; role text ?; status WorkerStatus = PENDING_ONBOARDING;
        onboardingStatus OnboardingStatus = NOT_STARTED; employerId text ?; createdAt moment = now; updatedAt moment""",
    "CarePlan": """id text; participantId text; workerId text ?; planName text; goals jsonb; services jsonb;
        startDate moment; reviewDate moment; status text; createdAt moment = now; updatedAt moment""",
    "Incident": """id text; incidentType IncidentType; description text; occurredAt moment; reportedAt moment = now;
        reportedBy text; participantId text ?; workerId text ?; location text ?; status IncidentStatus = REPORTED;
        ndisReported boolean = false; ndisReportNumber text ?; ndisReportedAt moment ?; actionsTaken jsonb ?;
        resolution text ?; resolvedAt moment ?; resolvedBy text ?; createdAt moment = now; updatedAt moment""",
    "Complaint": """id text; complaintNumber text; source ComplaintSource; description text; participantId text ?;
        workerId text ?; serviceArea text ?; status ComplaintStatus = RECEIVED; receivedAt moment = now;
        acknowledgedAt moment ?; acknowledgedBy text ?; resolution text ?; resolvedAt moment ?; resolvedBy text ?;
        satisfactionRating integer ?; createdAt moment = now; updatedAt moment""",
    "Risk": """id text; title text; description text; riskLevel RiskLevel; status RiskStatus = IDENTIFIED;
        category text; identifiedBy text; identifiedAt moment = now; owner text ?; mitigationPlan text ?;
        mitigationDate moment ?; reviewDate moment ?; participantId text ?; createdAt moment = now; updatedAt moment""",
    "PaymentTransaction": """id text; planId text; participantId text; providerId text; workerId text ?;
        voucherId text ?; serviceCode text; serviceDescription text ?; amount money;
        status PaymentTransactionStatus = PENDING; blockchainTxHash text ?; validationResult jsonb ?;
        createdAt moment = now; completedAt moment ?""",
}

ENUMS: Final = {
    "UserRole": "PARTICIPANT PROVIDER PLAN_MANAGER NDIA_ADMIN USER",
    "NDISPlanStatus": "DRAFT ACTIVE SUSPENDED EXPIRED CANCELLED",
    "WorkerStatus": "PENDING_ONBOARDING ONBOARDING_IN_PROGRESS VERIFIED SUSPENDED REJECTED",
    "OnboardingStatus": "NOT_STARTED IN_PROGRESS COMPLETED FAILED",
    "IncidentType": "SERIOUS_INCIDENT REPORTABLE_INCIDENT NEAR_MISS MINOR_INCIDENT OTHER",
    "IncidentStatus": "REPORTED UNDER_INVESTIGATION RESOLVED CLOSED NDIS_REPORTED",
    "ComplaintSource": "PARTICIPANT FAMILY WORKER ANONYMOUS OTHER",
    "ComplaintStatus": "RECEIVED ACKNOWLEDGED UNDER_INVESTIGATION RESOLVED CLOSED ESCALATED",
    "RiskLevel": "LOW MEDIUM HIGH CRITICAL",
    "RiskStatus": "IDENTIFIED ASSESSED MITIGATED MONITORED CLOSED",
    "PaymentTransactionStatus": "PENDING PROCESSING COMPLETED FAILED REVERSED",
}

FOREIGN_KEYS: Final = {
    ("NDISPlan", "participantId", "User", "cascade"),
    ("NDISPlan", "planManagerId", "User", "set null"),
    ("Worker", "userId", "User", "restrict"),
    ("CarePlan", "participantId", "User", "cascade"),
    ("CarePlan", "workerId", "Worker", "set null"),
    ("Incident", "participantId", "User", "set null"),
    ("Incident", "workerId", "Worker", "set null"),
    ("Complaint", "participantId", "User", "set null"),
    ("Risk", "participantId", "User", "set null"),
    ("PaymentTransaction", "planId", "NDISPlan", "cascade"),
    ("PaymentTransaction", "participantId", "User", "cascade"),
    ("PaymentTransaction", "providerId", "User", "cascade"),
}

UNIQUE_INDEXES: Final = {
    "User_email_key",
    "NDISPlan_participantId_key",
    "NDISPlan_planNumber_key",
    "Worker_userId_key",
    "Complaint_complaintNumber_key",
}


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


def stated(table: str) -> Shape:
    """Return what the facts above say about the table."""
    columns: Shape = {}
    for fact in COLUMNS[table].split(";"):
        words = fact.split()
        default = words[words.index("=") + 1] if "=" in words else None
        columns[words[0]] = (words[1], "?" in words, default)
    return columns


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_stated_columns(demo: Connection, table: str) -> None:
    found = shape(demo, table)

    assert {name: found.get(name) for name in stated(table)} == stated(table)


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_further_columns_and_none_of_them_is_in_the_way_of_an_insert(demo: Connection, table: str) -> None:
    further = {name: fact for name, fact in shape(demo, table).items() if name not in stated(table)}

    assert further
    assert [name for name, (_, nullable, default) in further.items() if not nullable and default is None] == []


def test_payments_have_no_updated_at(demo: Connection) -> None:
    assert "updatedAt" not in shape(demo, "PaymentTransaction")


def test_enums_have_the_stated_labels_in_order(demo: Connection) -> None:
    found = demo.execute(
        """
        select typname, string_agg(enumlabel, ' ' order by enumsortorder)
        from pg_enum
        join pg_type on pg_type.oid = enumtypid
        group by typname
        """
    )

    assert dict(found.fetchall()) == ENUMS


def test_foreign_keys_do_on_delete_what_is_stated(demo: Connection) -> None:
    rules = {"c": "cascade", "n": "set null", "r": "restrict", "a": "no action"}
    found = demo.execute(
        """
        select child.relname, attname, parent.relname, confdeltype, conname
        from pg_constraint
        join pg_class child on child.oid = conrelid
        join pg_class parent on parent.oid = confrelid
        join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype = 'f' and child.relname = any (%s)
        """,
        (list(COLUMNS),),
    ).fetchall()

    assert {(child, column, parent, rules[rule]) for child, column, parent, rule, _ in found} == FOREIGN_KEYS
    assert {constraint for *_, constraint in found} == {f"{child}_{column}_fkey" for child, column, *_ in FOREIGN_KEYS}


def test_keys_are_as_the_application_has_them(demo: Connection) -> None:
    indexes = demo.execute(
        """
        select indexed.relname, indisprimary, keys.relname, indexed.relreplident::text
        from pg_index
        join pg_class indexed on indexed.oid = indrelid
        join pg_class keys on keys.oid = indexrelid
        where indisunique and indexed.relname = any (%s)
        """,
        (list(COLUMNS),),
    ).fetchall()

    assert {key for _, primary, key, _ in indexes if not primary} == UNIQUE_INDEXES
    assert {key for _, primary, key, _ in indexes if primary} == {f"{table}_pkey" for table in COLUMNS}
    assert {identity for *_, identity in indexes} == {"d"}


def test_nothing_but_tables_and_types_is_made(demo: Connection) -> None:
    assert value(demo, "select count(*) from pg_trigger where not tgisinternal") == 0
    assert value(demo, "select count(*) from pg_proc where pronamespace = 'public'::regnamespace") == 0
    assert value(demo, "select count(*) from pg_publication") == 0


def test_the_tables_land_where_the_search_path_points(empty: Connection) -> None:
    empty.execute("create schema elsewhere; set search_path = elsewhere")

    empty.execute(data.SCHEMA.read_bytes())
    data.load(empty)

    assert values(empty, "select relname from pg_class where relnamespace = 'public'::regnamespace") == []
    assert value(empty, 'select count(*) from elsewhere."Risk"') == 35
