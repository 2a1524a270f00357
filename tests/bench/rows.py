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
