"""The seven entities: which columns become which Notion properties, in the order of a backfill.

The one place to add a property: a line here is read, rendered, sent, created by setup and, when `SHARED`, written back.
A column that no line names is never read.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from sinks.mapping.derived import goals_text, incident_title, participant_status
from sinks.mapping.model import (
    LONG_TEXT_BYTES,
    Column,
    Derived,
    Entity,
    Field,
    Kind,
    Lookup,
    LookupVia,
    Member,
    Mirror,
    NotBefore,
    Owner,
    PartOf,
)

SYSTEM_ID: Final = Field("systemId", "System ID", Kind.TEXT, Column("id"), Owner.APP, nullable=False)
"""A hint for adoption, never identity: duplicating a page in Notion copies it."""


def _shared(key: str, name: str, kind: Kind) -> Field:
    """A two-way field of a NOT NULL column that has the same name as its key."""
    return Field(key, name, kind, Column(key), Owner.SHARED, nullable=False)


def _choice(key: str, name: str, *options: str) -> Field:
    """A two-way select of a NOT NULL enum column."""
    return Field(key, name, Kind.SELECT, Column(key), Owner.SHARED, nullable=False, options=options)


def _participant(*, nullable: bool, mirror: str | None = None, unless: tuple[str, str] | None = None) -> Field:
    source = Column("participantId", unless=unless)
    return Field(
        "participant", "Participant", Kind.RELATION, source, Owner.APP,
        nullable=nullable, target="participant", mirror=mirror,
    )  # fmt: skip


def _person(key: str, name: str, column: str, via: LookupVia) -> Field:
    return Field(key, name, Kind.TEXT, Lookup(column, via), Owner.APP)


_PARTICIPANT: Final = Entity(
    name="participant",
    table="User",
    title="Participants",
    setting="PARTICIPANTS",
    fields=(
        Field("name", "Name", Kind.TITLE, Column("name", fallback="email"), Owner.SHARED),
        # Openable, not shared: it is the login, and whoever can edit a page could take over an account.
        Field("email", "Email", Kind.EMAIL, Column("email"), Owner.APP, openable=True, nullable=False),
        Field("id", "Participant ID", Kind.TEXT, Column("id"), Owner.APP, nullable=False),
        Field(
            "status", "Status", Kind.SELECT, Derived(("role",), participant_status), Owner.APP,
            options=("Active", "Inactive"),
        ),
        Field(
            "ndisPlan", "NDIS Plan", Kind.RELATION, Mirror("ndisplan", "participant"), Owner.APP,
            target="ndisplan", mirror="participant",
        ),
        SYSTEM_ID,
    ),
    extra_columns=("role",),
    member=Member("role", "PARTICIPANT"),
)  # fmt: skip

_NDIS_PLAN: Final = Entity(
    name="ndisplan",
    table="NDISPlan",
    title="NDIS Plans",
    setting="NDIS_PLANS",
    fields=(
        _shared("planNumber", "Plan Number", Kind.TITLE),
        _participant(nullable=False, mirror="ndisPlan"),
        _choice("status", "Status", "DRAFT", "ACTIVE", "SUSPENDED", "EXPIRED", "CANCELLED"),
        _shared("totalBudget", "Total Budget", Kind.MONEY),
        _shared("remainingBudget", "Remaining Budget", Kind.MONEY),
        _shared("startDate", "Start Date", Kind.DAY),
        _shared("endDate", "End Date", Kind.DAY),
        _person("planManager", "Plan Manager", "planManagerId", LookupVia.USER),
        SYSTEM_ID,
    ),
    participant_column="participantId",
    rules=(NotBefore("startDate", "endDate"), PartOf("remainingBudget", "totalBudget")),
)

_CARE_PLAN: Final = Entity(
    name="careplan",
    table="CarePlan",
    title="Care Plans",
    setting="CARE_PLANS",
    fields=(
        _shared("planName", "Plan Name", Kind.TITLE),
        _participant(nullable=False),
        _person("worker", "Worker", "workerId", LookupVia.WORKER),
        Field(
            "status", "Status", Kind.SELECT, Column("status"), Owner.SHARED,
            nullable=False, options=("Active", "Completed", "On Hold"), free_options=True,
        ),
        _shared("startDate", "Start Date", Kind.DAY),
        _shared("reviewDate", "Review Date", Kind.DAY),
        Field("goals", "Goals", Kind.TEXT, Derived(("goals",), goals_text), Owner.APP, room_bytes=LONG_TEXT_BYTES),
        SYSTEM_ID,
    ),
    participant_column="participantId",
)  # fmt: skip

_INCIDENT: Final = Entity(
    name="incident",
    table="Incident",
    title="Incidents",
    setting="INCIDENTS",
    fields=(
        Field("incident", "Incident", Kind.TITLE, Derived(("incidentType", "occurredAt"), incident_title), Owner.APP),
        _choice(
            "incidentType", "Incident Type",
            "SERIOUS_INCIDENT", "REPORTABLE_INCIDENT", "NEAR_MISS", "MINOR_INCIDENT", "OTHER",
        ),
        _participant(nullable=True),
        Field(
            "description", "Description", Kind.TEXT, Column("description"), Owner.SHARED,
            nullable=False, room_bytes=LONG_TEXT_BYTES,
        ),
        _shared("occurredAt", "Occurred At", Kind.MOMENT),
        _choice("status", "Status", "REPORTED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "NDIS_REPORTED"),
        # One way: what was reported to the regulator can't be unreported by a click, nor by a lost property.
        Field(
            "ndisReported", "NDIS Reported", Kind.CHECKBOX, Column("ndisReported"), Owner.SHARED,
            nullable=False, one_way=True,
        ),
        SYSTEM_ID,
    ),
    participant_column="participantId",
)  # fmt: skip

_COMPLAINT: Final = Entity(
    name="complaint",
    table="Complaint",
    title="Complaints",
    setting="COMPLAINTS",
    fields=(
        _shared("complaintNumber", "Complaint Number", Kind.TITLE),
        # An anonymous complaint must not name its maker.
        _participant(nullable=True, unless=("source", "ANONYMOUS")),
        _choice("source", "Source", "PARTICIPANT", "FAMILY", "WORKER", "ANONYMOUS", "OTHER"),
        Field(
            "description", "Description", Kind.TEXT, Column("description"), Owner.SHARED,
            nullable=False, room_bytes=LONG_TEXT_BYTES,
        ),
        _choice(
            "status", "Status",
            "RECEIVED", "ACKNOWLEDGED", "UNDER_INVESTIGATION", "RESOLVED", "CLOSED", "ESCALATED",
        ),
        _shared("receivedAt", "Received At", Kind.MOMENT),
        SYSTEM_ID,
    ),
    participant_column="participantId",
)  # fmt: skip

_RISK: Final = Entity(
    name="risk",
    table="Risk",
    title="Risks",
    setting="RISKS",
    fields=(
        _shared("title", "Title", Kind.TITLE),
        _participant(nullable=True),
        _choice("riskLevel", "Risk Level", "LOW", "MEDIUM", "HIGH", "CRITICAL"),
        _choice("status", "Status", "IDENTIFIED", "ASSESSED", "MITIGATED", "MONITORED", "CLOSED"),
        _shared("category", "Category", Kind.TEXT),
        SYSTEM_ID,
    ),
    participant_column="participantId",
)

_PAYMENT: Final = Entity(
    name="payment",
    table="PaymentTransaction",
    title="Payment Transactions",
    setting="PAYMENTS",
    fields=(
        Field("id", "Transaction ID", Kind.TITLE, Column("id"), Owner.APP, nullable=False),
        _participant(nullable=False),
        _person("provider", "Provider", "providerId", LookupVia.USER),
        Field("amount", "Amount", Kind.MONEY, Column("amount"), Owner.APP, openable=True, nullable=False),
        Field(
            "status", "Status", Kind.SELECT, Column("status"), Owner.APP, openable=True,
            nullable=False, options=("PENDING", "PROCESSING", "COMPLETED", "FAILED", "REVERSED"),
        ),
        Field(
            "serviceCode", "Service Code", Kind.TEXT, Column("serviceCode"), Owner.APP, openable=True, nullable=False,
        ),
        Field("createdAt", "Created At", Kind.MOMENT, Column("createdAt"), Owner.APP, nullable=False),
        SYSTEM_ID,
    ),
    participant_column="participantId",
    updated_column=None,
)  # fmt: skip

ENTITIES: Final[tuple[Entity, ...]] = (_PARTICIPANT, _NDIS_PLAN, _CARE_PLAN, _INCIDENT, _COMPLAINT, _RISK, _PAYMENT)

CREATABLE: Final = frozenset({"incident", "complaint", "risk"})
"""The entities of which a page that a person made may become a row (NOTION_CREATE_ROWS)."""

_BY_NAME: Final = MappingProxyType({entity.name: entity for entity in ENTITIES})
_BY_TABLE: Final = MappingProxyType({entity.table: entity for entity in ENTITIES})


def by_name(name: str) -> Entity:
    """Return the entity with this API name; KeyError if there is none."""
    return _BY_NAME[name]


def by_table(table: str) -> Entity | None:
    """Return the entity of this source table, None for a table that is not mapped."""
    return _BY_TABLE.get(table)


def field_of(entity: Entity, key: str) -> Field:
    """Return the entity's field with this key; KeyError if there is none."""
    for field in entity.fields:
        if field.key == key:
            return field
    raise KeyError(key)


def columns_of(entity: Entity) -> tuple[str, ...]:
    """Return exactly the columns that may be read, "id" first: the select list and the decoder's allow-list."""
    columns = ["id"]
    for field in entity.fields:
        match field.source:
            case Column(name, fallback, unless):
                columns += [name, *([fallback] if fallback else []), *([unless[0]] if unless else [])]
            case Derived(made_from):
                columns += made_from
            case Lookup(column):
                columns.append(column)
            case Mirror():
                pass
    return tuple(dict.fromkeys([*columns, *entity.extra_columns]))
