"""The demo MapAble in a database: its tables, its invented people, and where to find the interesting ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from deploy.local.demo import people, plans, reports
from deploy.local.demo.rows import Row, cuid, dice, moment, secret
from state.errors import FatalError

SCHEMA: Final = Path(__file__).with_name("schema.sql")

FIRST_PARTICIPANT_ID: Final = people.participant_id(0)
FIRST_PARTICIPANT_NAME: Final = "Amelia Tran"
FIRST_PARTICIPANT_EMAIL: Final = "amelia.tran@example.org"
NAMELESS_PARTICIPANT_ID: Final = people.participant_id(6)
EMPTY_NAMED_PARTICIPANT_ID: Final = people.participant_id(12)
FORMER_PARTICIPANT_ID: Final = people.former_participant_id()
FIRST_PROVIDER_ID: Final = people.provider_id(0)
FIRST_PLAN_MANAGER_ID: Final = people.plan_manager_id(0)
NAMELESS_PLAN_MANAGER_ID: Final = people.plan_manager_id(2)
FIRST_WORKER_ID: Final = people.worker_id(0)
FIRST_WORKER_USER_ID: Final = people.worker_user_id(0)
FIRST_PLAN_ID: Final = plans.plan_id(0)
FIRST_PLAN_NUMBER: Final = plans.plan_number(0)
FIRST_CARE_PLAN_ID: Final = plans.care_plan_id(0)
FIRST_INCIDENT_ID: Final = reports.incident_id(0)
LONG_INCIDENT_ID: Final = reports.incident_id(reports.LONG_INCIDENT)
FIRST_COMPLAINT_ID: Final = reports.complaint_id(0)
ANONYMOUS_COMPLAINT_ID: Final = reports.complaint_id(reports.ANONYMOUS_COMPLAINTS[0])
FIRST_RISK_ID: Final = reports.risk_id(0)
FIRST_PAYMENT_ID: Final = plans.payment_id(0)

# any schema counts: a database that holds somebody's "User" is not ours to fill
HAS_USER_TABLE: Final[LiteralString] = """
select exists (
    select from pg_catalog.pg_class
    where relname = 'User' and relkind in ('r', 'p', 'v', 'm', 'f')
)
"""

# two starts at once: the second waits here, then sees the first one's tables
INSTALL_LOCK: Final[LiteralString] = "select pg_advisory_xact_lock(hashtext('mapable demo install'))"


def install(conn: psycopg.Connection[Any], database: str) -> bool:
    """Create and fill the demo in one transaction unless a "User" table exists; return whether it did.

    Raises FatalError unless `database` is the name of the database that `conn` is connected to: whoever calls
    this has to know where the tables will land.
    """
    if not database or _one(conn, "select current_database()") != database:
        raise FatalError(
            "the demo was asked for another database than the one connected to",
            hint="Leave DATABASE_URL unset to get a private database with the demo in it.",
        )
    with conn.transaction():
        conn.execute(INSTALL_LOCK)
        if _one(conn, HAS_USER_TABLE):
            return False
        conn.execute(SCHEMA.read_bytes())
        load(conn)
    return True


def load(conn: psycopg.Connection[Any]) -> None:
    """Fill the empty demo tables, all or nothing. The same rows every time."""
    with conn.transaction(), conn.cursor() as cursor:
        for table, rows in tables().items():
            columns = tuple(rows[0])
            copy_rows = sql.SQL("copy {} ({}) from stdin").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with cursor.copy(copy_rows) as copy:
                for row in rows:
                    copy.write_row([_stored(row[column]) for column in columns])


def tables() -> Mapping[str, Sequence[Row]]:
    """Return every row of the demo by table, parents before children."""
    return {
        "User": people.users(),
        "Worker": people.workers(),
        "NDISPlan": plans.ndis_plans(),
        "CarePlan": plans.care_plans(),
        "Incident": reports.incidents(),
        "Complaint": reports.complaints(),
        "Risk": reports.risks(),
        "PaymentTransaction": plans.payments(),
        "Account": tuple(_account(number) for number in range(6)),
        "Session": tuple(_session(number) for number in range(10)),
        "VerificationToken": tuple(_verification_token(number) for number in range(3)),
        "AuditEvent": tuple(_audit_event(number) for number in range(50)),
    }


def _account(number: int) -> Row:
    return {
        "id": cuid("Account", number),
        "userId": people.participant_id(number),
        "type": "oauth",
        "provider": "example-login",
        "providerAccountId": secret("providerAccountId", number),
        "refresh_token": secret("refresh_token", number),
        "access_token": secret("access_token", number),
        "expires_at": 1_781_000_000 + number,
        "id_token": secret("id_token", number),
        "scope": "openid",
    }


def _session(number: int) -> Row:
    return {
        "id": cuid("Session", number),
        "sessionToken": secret("sessionToken", number),
        "userId": people.participant_id(number),
        "expires": moment(-30, dice("Session", number)),
        "ipAddress": f"192.0.2.{number + 1}",
    }


def _verification_token(number: int) -> Row:
    return {
        "identifier": f"signup.{number}@example.org",
        "token": secret("token", number),
        "expires": moment(-1, dice("VerificationToken", number)) + timedelta(days=1),
    }


def _audit_event(number: int) -> Row:
    rng = dice("AuditEvent", number)
    return {
        "userId": people.participant_id(rng.randrange(len(people.PARTICIPANTS))),
        "action": rng.choice(("login", "page.viewed", "plan.opened", "password.changed")),
        "details": Jsonb({"path": secret("details", number)}),
        "ipAddress": f"198.51.100.{number + 1}",
        "createdAt": moment(1 + number // 10, rng),
    }


def _stored(value: object) -> object:
    # the application's columns hold UTC without saying so
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _one(conn: psycopg.Connection[Any], query: LiteralString) -> object:
    # own cursor: the caller's row factory may return anything
    with conn.cursor(row_factory=scalar_row) as cursor:
        value: object = cursor.execute(query).fetchone()
    return value
