"""The demo's incidents, complaints and risks."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from psycopg.types.json import Jsonb

from deploy.local.demo import people, stories
from deploy.local.demo.rows import Row, cuid, dice, moment, secret, utc

INCIDENT_COUNT: Final = 40
COMPLAINT_COUNT: Final = 30
RISK_COUNT: Final = 35

LONG_INCIDENT: Final = 4
ANONYMOUS_COMPLAINTS: Final = (3, 11, 12, 19, 27)
"""The first three name their participant in MapAble, which Notion must not learn."""

_INCIDENT_TYPES: Final = ("MINOR_INCIDENT", "NEAR_MISS", "REPORTABLE_INCIDENT", "SERIOUS_INCIDENT", "OTHER")
_INCIDENT_STATUSES: Final = ("REPORTED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "NDIS_REPORTED")
_ODD_DESCRIPTIONS: Final = {
    LONG_INCIDENT: stories.long_account(),
    9: stories.MULTI_LINE,
    14: stories.RIGHT_TO_LEFT,
    18: stories.MIXED_DIRECTIONS,
    22: stories.COMBINING,
    26: stories.EMPTY,
    30: stories.MARKUP,
    33: stories.BLANK,
}
# Sydney's hour that happened twice, the one that never did, and both ends of a day.
_ODD_TIMES: Final = {
    5: utc("2026-04-04T15:30:00"),
    6: utc("2026-04-04T16:30:00"),
    7: utc("2025-10-04T15:59:59.999"),
    8: utc("2025-10-04T16:00:00"),
    10: utc("2026-04-04T13:00:00"),
    11: utc("2026-04-05T13:59:59.999"),
    12: utc("2025-12-31T12:59:59.001"),
}

_SOURCES: Final = ("PARTICIPANT", "FAMILY", "WORKER", "OTHER")
_COMPLAINT_STATUSES: Final = (
    "RECEIVED", "ACKNOWLEDGED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "ESCALATED",
)  # fmt: skip
_LEVELS: Final = ("LOW", "MEDIUM", "MEDIUM", "HIGH", "CRITICAL")
_RISK_STATUSES: Final = ("IDENTIFIED", "ASSESSED", "MITIGATED", "MONITORED", "CLOSED")


def incident_id(number: int) -> str:
    """Return the id of the incident at `number`."""
    return cuid("Incident", number)


def complaint_id(number: int) -> str:
    """Return the id of the complaint at `number`."""
    return cuid("Complaint", number)


def risk_id(number: int) -> str:
    """Return the id of the risk at `number`."""
    return cuid("Risk", number)


def incidents() -> tuple[Row, ...]:
    """Return all rows of "Incident"."""
    return tuple(_incident(number) for number in range(INCIDENT_COUNT))


def complaints() -> tuple[Row, ...]:
    """Return all rows of "Complaint"."""
    return tuple(_complaint(number) for number in range(COMPLAINT_COUNT))


def risks() -> tuple[Row, ...]:
    """Return all rows of "Risk"."""
    return tuple(_risk(number) for number in range(RISK_COUNT))


def _participant(number: int) -> str:
    return people.participant_id(number % len(people.PARTICIPANTS))


def _incident(number: int) -> Row:
    rng = dice("Incident", number)
    occurred = _ODD_TIMES.get(number) or moment(rng.randrange(2, 400), rng)
    status = _INCIDENT_STATUSES[number % len(_INCIDENT_STATUSES)]
    reported = status == "NDIS_REPORTED" or number % 11 == 0
    resolved = occurred + timedelta(days=9) if status in {"RESOLVED", "CLOSED"} else None
    suburb, state, _ = rng.choice(people.SUBURBS)
    return {
        "id": incident_id(number),
        "incidentType": _INCIDENT_TYPES[number * 3 % len(_INCIDENT_TYPES)],
        "description": _ODD_DESCRIPTIONS.get(number, stories.INCIDENTS[number % len(stories.INCIDENTS)]),
        "occurredAt": occurred,
        "reportedAt": occurred + timedelta(minutes=rng.randrange(5, 2000)),
        "reportedBy": secret("reportedBy", number),
        "participantId": None if number % 8 == 7 else _participant(number * 5),
        "workerId": people.worker_id(number % len(people.WORKERS)) if number % 3 else None,
        "location": f"{secret('location', number)}, {suburb} {state}" if number % 4 else None,
        "status": status,
        "ndisReported": reported,
        "ndisReportNumber": secret("ndisReportNumber", number) if reported else None,
        "ndisReportedAt": occurred + timedelta(days=1) if reported else None,
        "actionsTaken": Jsonb([secret("actionsTaken", number)]) if number % 2 else None,
        "resolution": secret("resolution", number) if resolved else None,
        "resolvedAt": resolved,
        "resolvedBy": secret("resolvedBy", number) if resolved else None,
        "createdAt": occurred + timedelta(minutes=30),
        "updatedAt": occurred + timedelta(days=10),
        "witnessStatement": secret("witnessStatement", number),
        "attachments": Jsonb([{"file": secret("attachments", number)}]) if number % 5 == 0 else None,
        "internalNotes": secret("internalNotes", number),
    }


def _complaint(number: int) -> Row:
    rng = dice("Complaint", number)
    anonymous = number in ANONYMOUS_COMPLAINTS
    unnamed = number in ANONYMOUS_COMPLAINTS[3:] or number % 10 == 8
    received = utc("2026-04-04T15:45:00.123") if number == 6 else moment(rng.randrange(2, 300), rng)
    status = _COMPLAINT_STATUSES[number % len(_COMPLAINT_STATUSES)]
    settled = status in {"RESOLVED", "CLOSED"}
    return {
        "id": complaint_id(number),
        "complaintNumber": f"CMP-{received.year}-{number + 1:04d}",
        "source": "ANONYMOUS" if anonymous else _SOURCES[number % len(_SOURCES)],
        "description": stories.RIGHT_TO_LEFT if number == 15 else stories.COMPLAINTS[number % len(stories.COMPLAINTS)],
        "participantId": None if unnamed else _participant(number * 7 + 1),
        "workerId": people.worker_id(number % len(people.WORKERS)) if number % 3 == 1 else None,
        "serviceArea": (None, "Transport", "", "In-home care")[number % 4],
        "status": status,
        "receivedAt": received,
        "acknowledgedAt": received + timedelta(hours=20) if status != "RECEIVED" else None,
        "acknowledgedBy": secret("acknowledgedBy", number) if status != "RECEIVED" else None,
        "resolution": secret("resolution", number) if settled else None,
        "resolvedAt": received + timedelta(days=14) if settled else None,
        "resolvedBy": secret("resolvedBy", number) if settled else None,
        "satisfactionRating": rng.randrange(1, 6) if settled else None,
        "createdAt": received,
        "updatedAt": received + timedelta(days=15),
        "complainantName": secret("complainantName", number),
        "complainantPhone": secret("complainantPhone", number),
        "internalNotes": secret("internalNotes", number),
    }


def _risk(number: int) -> Row:
    rng = dice("Risk", number)
    title, category, description = stories.RISKS[number % len(stories.RISKS)]
    identified = moment(rng.randrange(10, 300), rng)
    mitigated = number % 3 == 0
    return {
        "id": risk_id(number),
        "title": {13: "", 24: stories.COMBINING}.get(number, title),
        "description": description + f" ({secret('description', number)})",
        "riskLevel": _LEVELS[number * 2 % len(_LEVELS)],
        "status": _RISK_STATUSES[number % len(_RISK_STATUSES)],
        "category": {20: "", 28: "בריאות"}.get(number, category),
        "identifiedBy": secret("identifiedBy", number),
        "identifiedAt": identified,
        "owner": secret("owner", number) if number % 4 else None,
        "mitigationPlan": secret("mitigationPlan", number) if mitigated else None,
        "mitigationDate": identified + timedelta(days=20) if mitigated else None,
        "reviewDate": identified + timedelta(days=90) if number % 5 else None,
        "participantId": None if number % 6 == 1 else _participant(number * 3 + 2),
        "createdAt": identified,
        "updatedAt": identified + timedelta(days=5),
        "restrictedDetails": Jsonb({"detail": secret("restrictedDetails", number)}),
        "internalNotes": secret("internalNotes", number),
    }
