"""What the model knows of the seven databases, by itself and not from the product: who shows what of which column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

SYDNEY: Final = ZoneInfo("Australia/Sydney")
ENUMS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("NDISPlan", "status"): ("DRAFT", "ACTIVE", "SUSPENDED", "EXPIRED", "CANCELLED"),
    ("CarePlan", "status"): ("Active", "Completed", "On Hold"),
    ("Incident", "incidentType"): (
        "SERIOUS_INCIDENT", "REPORTABLE_INCIDENT", "NEAR_MISS", "MINOR_INCIDENT", "OTHER",
    ),
    ("Incident", "status"): ("REPORTED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "NDIS_REPORTED"),
    ("Complaint", "source"): ("PARTICIPANT", "FAMILY", "WORKER", "ANONYMOUS", "OTHER"),
    ("Complaint", "status"): ("RECEIVED", "ACKNOWLEDGED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "ESCALATED"),
    ("Risk", "riskLevel"): ("LOW", "MEDIUM", "HIGH", "CRITICAL"),
    ("Risk", "status"): ("IDENTIFIED", "ASSESSED", "MITIGATED", "MONITORED", "CLOSED"),
    ("PaymentTransaction", "status"): ("PENDING", "PROCESSING", "COMPLETED", "FAILED", "REVERSED"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prop:
    """One property. `column`: where a person's value goes; None: MapAble keeps it. `key`: its name in the audit log."""

    name: str
    kind: str
    key: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One source table and its database."""

    name: str
    database: str
    entity: str
    props: tuple[Prop, ...]
    has_updated: bool = True

    @property
    def shared(self) -> tuple[Prop, ...]:
        return tuple(prop for prop in self.props if prop.column is not None)

    @property
    def kept(self) -> tuple[Prop, ...]:
        """Those that only MapAble changes, the other side of a relation left out."""
        return tuple(prop for prop in self.props if prop.column is None and prop.kind != "mirror")

    def prop(self, name: str) -> Prop:
        return next(prop for prop in self.props if prop.name == name)


def _shared(name: str, kind: str, column: str) -> Prop:
    return Prop(name, kind, column, column)


def _kept(name: str, kind: str, key: str) -> Prop:
    return Prop(name, kind, key)


_ID: Final = _kept("System ID", "text", "systemId")
_PERSON: Final = _kept("Participant", "relation", "participant")
TABLES: Final[tuple[Table, ...]] = (
    Table("User", "Participants", "participant", (
        _shared("Name", "text", "name"), _kept("Email", "email", "email"), _kept("Participant ID", "text", "id"),
        _kept("Status", "select", "status"), Prop("NDIS Plan", "mirror", "ndisPlan"), _ID,
    )),
    Table("NDISPlan", "NDIS Plans", "ndisplan", (
        _shared("Plan Number", "text", "planNumber"), _PERSON, _shared("Status", "select", "status"),
        _shared("Total Budget", "money", "totalBudget"), _shared("Remaining Budget", "money", "remainingBudget"),
        _shared("Start Date", "day", "startDate"), _shared("End Date", "day", "endDate"),
        _kept("Plan Manager", "text", "planManager"), _ID,
    )),
    Table("CarePlan", "Care Plans", "careplan", (
        _shared("Plan Name", "text", "planName"), _PERSON, _kept("Worker", "text", "worker"),
        _shared("Status", "select", "status"), _shared("Start Date", "day", "startDate"),
        _shared("Review Date", "day", "reviewDate"), _kept("Goals", "text", "goals"), _ID,
    )),
    Table("Incident", "Incidents", "incident", (
        _kept("Incident", "text", "incident"), _shared("Incident Type", "select", "incidentType"), _PERSON,
        _shared("Description", "text", "description"), _shared("Occurred At", "moment", "occurredAt"),
        _shared("Status", "select", "status"), _shared("NDIS Reported", "flag", "ndisReported"), _ID,
    )),
    Table("Complaint", "Complaints", "complaint", (
        _shared("Complaint Number", "text", "complaintNumber"), _PERSON, _shared("Source", "select", "source"),
        _shared("Description", "text", "description"), _shared("Status", "select", "status"),
        _shared("Received At", "moment", "receivedAt"), _ID,
    )),
    Table("Risk", "Risks", "risk", (
        _shared("Title", "text", "title"), _PERSON, _shared("Risk Level", "select", "riskLevel"),
        _shared("Status", "select", "status"), _shared("Category", "text", "category"), _ID,
    )),
    Table("PaymentTransaction", "Payment Transactions", "payment", (
        _kept("Transaction ID", "text", "id"), _PERSON, _kept("Provider", "text", "provider"),
        _kept("Amount", "money", "amount"), _kept("Status", "select", "status"),
        _kept("Service Code", "text", "serviceCode"), _kept("Created At", "moment", "createdAt"), _ID,
    ), has_updated=False),
)  # fmt: skip
BY_NAME: Final = {table.name: table for table in TABLES}
BY_DATABASE: Final = {table.database: table for table in TABLES}
BY_ENTITY: Final = {table.entity: table for table in TABLES}


def plain(kind: str, value: Any) -> Any:
    """Return a value in the one form in which all sides compare: a page's, a column's (as JSON) or the audit log's."""
    if value in (None, "", []):
        return [] if kind == "relation" else False if kind == "flag" else None
    match kind:
        case "money":
            return _amount(value)
        case "moment":
            return _instant(value)
        case "relation":
            return sorted(value) if isinstance(value, list) else [value]
        case "day" if isinstance(value, str):
            return value[:10]
        case "text" | "email" | "select":
            return str(value)
    return value


def column_plain(kind: str, value: Any) -> Any:
    """Return what a column's JSON shows on a page: a stored UTC timestamp is an instant, or a day in Sydney."""
    if kind == "day" and isinstance(value, str):
        return _instant(value).astimezone(SYDNEY).date().isoformat()
    return plain(kind, value)


def _amount(value: Any) -> Any:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return value
    return amount.normalize() if amount.is_finite() else str(amount)


def _instant(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        raise TypeError("a day is no instant")
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
