"""Rows of MapAble by the thousand: participants, with what hangs on them, made by the database itself."""

from __future__ import annotations

from typing import Final

from tests.bench.ground import Connection

PARTICIPANTS: Final = """
insert into "User" (id, name, email, role, "updatedAt")
select 'p' || n, 'Person ' || n, 'p' || n || '@example.org', 'PARTICIPANT', now()
from generate_series(1, {last}) n
"""
PLANS: Final = """
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt")
select 'plan' || n, 'p' || n, 'N-' || n, now(), now(), 1000, 500, now() from generate_series(1, {last}) n
"""
RISKS: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
select '{prefix}' || n, 'Risk ' || n, repeat('words ', 20), 'LOW', 'Home', 'Ada', {of}, now()
from generate_series({first}, {last}) n
"""
# The tables that `families` leaves empty, a row of each
OTHERS: Final = (
    """
    insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
        "updatedAt")
    select 'care' || n, 'p' || n, 'Plan ' || n, '[]', '[]', now(), now(), 'ACTIVE', now()
    from generate_series(1, {last}) n
    """,
    """
    insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "participantId", "updatedAt")
    select 'i' || n, (enum_range(null::"IncidentType"))[1], repeat('words ', 20), now(), 'Ada', 'p' || n, now()
    from generate_series(1, {last}) n
    """,
    """
    insert into "Complaint" (id, "complaintNumber", source, description, "participantId", "updatedAt")
    select 'c' || n, 'C-' || n, (enum_range(null::"ComplaintSource"))[1], repeat('words ', 20), 'p' || n, now()
    from generate_series(1, {last}) n
    """,
    """
    insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount)
    select 'pay' || n, 'plan' || n, 'p' || n, 'p1', '01_011', 12.5 from generate_series(1, {last}) n
    """,
)


async def risks(conn: Connection, last: int, *, first: int = 1) -> None:
    """Insert risks of nobody in one transaction."""
    await conn.execute(RISKS.format(prefix="r", first=first, last=last, of="null").encode())


async def people(conn: Connection, last: int) -> None:
    """Insert participants in one transaction."""
    await conn.execute(PARTICIPANTS.format(last=last).encode())


async def families(conn: Connection, number: int) -> int:
    """Insert participants with a plan and three risks each; return how many rows that makes."""
    await people(conn, number)
    await conn.execute(PLANS.format(last=number).encode())
    of = f"'p' || (1 + (n - 1) % {number})"
    await conn.execute(RISKS.format(prefix="f", first=1, last=3 * number, of=of).encode())
    return 5 * number


async def whole_families(conn: Connection, number: int) -> int:
    """Insert the same, with a row of each other kind for every participant; return how many rows that makes."""
    rows = await families(conn, number)
    for statement in OTHERS:
        await conn.execute(statement.format(last=number).encode())
    return rows + len(OTHERS) * number
