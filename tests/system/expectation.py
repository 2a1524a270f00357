"""What every page should show, computed from MapAble's tables by SQL and by hand: none of the product's code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.system.scene import Scene

# the columns hold UTC without saying so
DAY: Final = """
create or replace function pg_temp.day(stored timestamp) returns text language sql as
$$ select to_char(stored at time zone 'UTC' at time zone 'Australia/Sydney', 'YYYY-MM-DD') $$
"""
QUERIES: Final[Mapping[str, str]] = {
    "Participants": """
        select t.id as "System ID", t.id as "Participant ID", coalesce(nullif(t.name, ''), t.email) as "Name",
               t.email as "Email", 'Active' as "Status",
               (select array_agg(p.id) from "NDISPlan" p where p."participantId" = t.id) as "NDIS Plan"
        from "User" t where t.role = 'PARTICIPANT'""",
    "NDIS Plans": """
        select t.id as "System ID", t."planNumber" as "Plan Number", u.id as "Participant", t.status::text as "Status",
               t."totalBudget" as "Total Budget", t."remainingBudget" as "Remaining Budget",
               pg_temp.day(t."startDate") as "Start Date", pg_temp.day(t."endDate") as "End Date",
               coalesce(nullif(m.name, ''), m.email) as "Plan Manager"
        from "NDISPlan" t left join "User" m on m.id = t."planManagerId"
        left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'""",
    "Care Plans": """
        select t.id as "System ID", t."planName" as "Plan Name", u.id as "Participant",
               coalesce(nullif(w.name, ''), w.email) as "Worker",
               -- Notion's options are one and the same in capitals and small letters, and have no commas
               case when lower(t.status) = 'active' then 'Active' when t.status not like '%,%' then t.status end
                   as "Status", t.goals as "Goals",
               pg_temp.day(t."startDate") as "Start Date", pg_temp.day(t."reviewDate") as "Review Date"
        from "CarePlan" t left join "Worker" k on k.id = t."workerId" left join "User" w on w.id = k."userId"
        left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'""",
    "Incidents": """
        select t.id as "System ID", t."incidentType"::text || ' · ' || pg_temp.day(t."occurredAt") as "Incident",
               t."incidentType"::text as "Incident Type", u.id as "Participant", t.description as "Description",
               t."occurredAt" at time zone 'UTC' as "Occurred At", t.status::text as "Status",
               t."ndisReported" as "NDIS Reported"
        from "Incident" t left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'""",
    "Complaints": """
        select t.id as "System ID", t."complaintNumber" as "Complaint Number",
               case when t.source <> 'ANONYMOUS' then u.id end as "Participant", t.source::text as "Source",
               t.description as "Description", t.status::text as "Status",
               t."receivedAt" at time zone 'UTC' as "Received At"
        from "Complaint" t left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'""",
    "Risks": """
        select t.id as "System ID", t.title as "Title", u.id as "Participant", t."riskLevel"::text as "Risk Level",
               t.status::text as "Status", t.category as "Category"
        from "Risk" t left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'
        where t.title <> 'sentinel'""",
    "Payment Transactions": """
        select t.id as "System ID", t.id as "Transaction ID", u.id as "Participant",
               coalesce(nullif(p.name, ''), p.email) as "Provider",
               t.amount as "Amount", t.status::text as "Status", t."serviceCode" as "Service Code",
               t."createdAt" at time zone 'UTC' as "Created At"
        from "PaymentTransaction" t left join "User" p on p.id = t."providerId"
        left join "User" u on u.id = t."participantId" and u.role = 'PARTICIPANT'""",
}  # fmt: skip
RELATIONS: Final = {"Participant": "Participants", "NDIS Plan": "NDIS Plans"}
MONEY: Final = ("Total Budget", "Remaining Budget", "Amount")
MOMENTS: Final = ("Occurred At", "Received At", "Created At")


async def expected(scene: Scene) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what each database's pages should show, by System ID; relations as sorted System IDs."""
    await scene.run(DAY)
    return {
        database: {
            row["System ID"]: {name: _wanted(name, row[name]) for name in row} for row in await scene.rows(query)
        }
        for database, query in QUERIES.items()
    }


def actual(scene: Scene) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the live pages show, in the same form."""
    people = scene.sandbox.people
    system_ids = {
        row["id"]: row["properties"]["System ID"] for database in QUERIES for row in people.rows(database)
    }
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for database in QUERIES:
        pages = [row["properties"] for row in people.rows(database)]
        pages = [page for page in pages if not str(page["System ID"]).startswith("sentinel")]
        found[database] = {
            page["System ID"]: {name: _shown(name, value, system_ids) for name, value in page.items()} for page in pages
        }
        assert len(found[database]) == len(pages), f"two pages for one row in {database}"
    return found


def _wanted(name: str, value: Any) -> Any:
    if name in RELATIONS:
        return sorted(value) if isinstance(value, list) else [value] if value else []
    if name == "Goals":
        return "\n".join(line for line in map(_goal, value) if line)
    return "" if value is None else value


def _shown(name: str, value: Any, system_ids: Mapping[str, str]) -> Any:
    if name in RELATIONS:
        return sorted(system_ids[page_id] for page_id in value)
    if name in MONEY and value is not None:
        return Decimal(str(value))
    if name in MOMENTS and value is not None:
        return datetime.fromisoformat(value)
    return "" if value is None else value


def _goal(goal: Mapping[str, Any]) -> str:
    target = goal.get("targetDate") or ""
    if "T" in target:
        target = datetime.fromisoformat(target).astimezone(ZoneInfo("Australia/Sydney")).date().isoformat()
    details = ", ".join(part for part in (target and f"target {target}", goal.get("status") or "") if part)
    description = " ".join((goal.get("description") or "").split())
    return " ".join(part for part in (description, details and f"({details})") if part)
