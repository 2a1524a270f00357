"""One row of each table, with values that are easy to tell apart."""

from __future__ import annotations

from typing import Final

ROWS: Final = """
insert into "User" (id, name, email, role, "updatedAt") values
    ('p', 'Pat Lee', 'pat@example.org', 'PARTICIPANT', '2026-01-01'),
    ('p2', 'Sam Ho', 'sam@example.org', 'PARTICIPANT', '2026-01-01'),
    ('m', 'Max Manager', 'max@example.org', 'PLAN_MANAGER', '2026-01-01'),
    ('v', 'Val Provider', 'val@example.org', 'PROVIDER', '2026-01-01'),
    ('w', 'Wyn Worker', 'wyn@example.org', 'USER', '2026-01-01');
insert into "Worker" (id, "userId", status, "onboardingStatus", "updatedAt")
    values ('wk', 'w', 'VERIFIED', 'COMPLETED', '2026-01-01');
insert into "NDISPlan" (id, "participantId", "planNumber", status, "startDate", "endDate", "totalBudget",
    "remainingBudget", "planManagerId", "updatedAt")
    values ('n', 'p', 'PLAN-1', 'ACTIVE', '2026-01-01 13:30', '2026-12-31 02:00', 1000, 400.5, 'm', '2026-01-01');
insert into "CarePlan" (id, "participantId", "workerId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
    values ('c', 'p', 'wk', 'Daily living', '[{"description": "Cook", "status": "Active"}]', '[]', '2026-02-01',
        '2026-06-01', 'Active', '2026-01-01');
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "participantId", "updatedAt")
    values ('i', 'NEAR_MISS', 'A fall', '2026-03-05 21:15:30', 'w', 'p', '2026-01-01');
insert into "Complaint" (id, "complaintNumber", source, description, "participantId", "receivedAt", "updatedAt")
    values ('k', 'C-1', 'FAMILY', 'Late', 'p', '2026-03-06 01:00', '2026-01-01');
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
    values ('r', 'Ramp', '', 'LOW', 'Home', 'w', 'p', '2026-01-01');
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount, "createdAt")
    values ('t', 'n', 'p', 'v', '01_011', 99.95, '2026-03-07 00:00');
"""

PLACES: Final = {
    "Participants": ("User", "p", "participant"),
    "NDIS Plans": ("NDISPlan", "n", "ndisplan"),
    "Care Plans": ("CarePlan", "c", "careplan"),
    "Incidents": ("Incident", "i", "incident"),
    "Complaints": ("Complaint", "k", "complaint"),
    "Risks": ("Risk", "r", "risk"),
    "Payment Transactions": ("PaymentTransaction", "t", "payment"),
}
"""Of each database: the table, the id of its row, and the entity's name."""
