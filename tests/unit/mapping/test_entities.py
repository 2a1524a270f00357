"""The declared entities: what is read of each table, and what the declaration promises Notion."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import ENTITIES, by_name, by_table, columns_of, field_of
from sinks.mapping.model import Column, Entity, Kind, Mirror, NotBefore, Owner

each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)

COLUMNS = {
    "participant": {"id", "name", "email", "role"},
    "ndisplan": {
        "id", "planNumber", "participantId", "status", "totalBudget", "remainingBudget", "startDate", "endDate",
        "planManagerId",
    },
    "careplan": {"id", "planName", "participantId", "workerId", "status", "startDate", "reviewDate", "goals"},
    "incident": {
        "id", "incidentType", "participantId", "description", "occurredAt", "status", "ndisReported",
    },
    "complaint": {"id", "complaintNumber", "participantId", "source", "description", "status", "receivedAt"},
    "risk": {"id", "title", "participantId", "riskLevel", "status", "category"},
    "payment": {"id", "participantId", "providerId", "amount", "status", "serviceCode", "createdAt"},
}  # fmt: skip

PROPERTIES = {
    "participant": ["Name", "Email", "Participant ID", "Status", "NDIS Plan", "System ID"],
    "ndisplan": [
        "Plan Number", "Participant", "Status", "Total Budget", "Remaining Budget", "Start Date", "End Date",
        "Plan Manager", "System ID",
    ],
    "careplan": ["Plan Name", "Participant", "Worker", "Status", "Start Date", "Review Date", "Goals", "System ID"],
    "incident": [
        "Incident", "Incident Type", "Participant", "Description", "Occurred At", "Status", "NDIS Reported",
        "System ID",
    ],
    "complaint": ["Complaint Number", "Participant", "Source", "Description", "Status", "Received At", "System ID"],
    "risk": ["Title", "Participant", "Risk Level", "Status", "Category", "System ID"],
    "payment": [
        "Transaction ID", "Participant", "Provider", "Amount", "Status", "Service Code", "Created At", "System ID",
    ],
}  # fmt: skip

SHARED = {
    "participant.name",
    "ndisplan.planNumber", "ndisplan.status", "ndisplan.totalBudget", "ndisplan.remainingBudget", "ndisplan.startDate",
    "ndisplan.endDate",
    "careplan.planName", "careplan.status", "careplan.startDate", "careplan.reviewDate",
    "incident.incidentType", "incident.description", "incident.occurredAt", "incident.status", "incident.ndisReported",
    "complaint.complaintNumber", "complaint.source", "complaint.description", "complaint.status",
    "complaint.receivedAt",
    "risk.title", "risk.riskLevel", "risk.status", "risk.category",
}  # fmt: skip

OPENABLE = {"participant.email", "payment.amount", "payment.status", "payment.serviceCode"}


def test_the_order_is_that_of_a_backfill() -> None:
    assert [entity.name for entity in ENTITIES] == list(PROPERTIES)


@each_entity
def test_every_property_is_declared(entity: Entity) -> None:
    assert sorted(field.name for field in entity.fields) == sorted(PROPERTIES[entity.name])


@each_entity
def test_only_listed_columns_are_read_with_the_id_first(entity: Entity) -> None:
    columns = columns_of(entity)

    assert columns[0] == "id"
    assert set(columns) == COLUMNS[entity.name]
    assert len(columns) == len(set(columns))


def test_exactly_the_fields_of_the_agreement_are_two_way() -> None:
    owned = {
        f"{entity.name}.{field.key}": field for entity in ENTITIES for field in entity.fields
    }

    assert {key for key, field in owned.items() if field.owner is Owner.SHARED} == SHARED
    assert {key for key, field in owned.items() if field.openable} == OPENABLE


@each_entity
def test_every_database_has_one_title_and_distinct_names_and_keys(entity: Entity) -> None:
    assert sum(field.kind is Kind.TITLE for field in entity.fields) == 1
    assert len({field.name for field in entity.fields}) == len(entity.fields)
    assert len({field.key for field in entity.fields}) == len(entity.fields)


@each_entity
def test_whatever_can_be_two_way_is_one_column_of_its_own(entity: Entity) -> None:
    for field in entity.fields:
        if field.owner is Owner.SHARED or field.openable:
            assert isinstance(field.source, Column)
            assert field.source.name == field.key


@each_entity
def test_rules_and_audit_speak_of_columns_that_are_read(entity: Entity) -> None:
    columns = columns_of(entity)

    assert entity.participant_column is None or entity.participant_column in columns
    for rule in entity.rules:
        named = (rule.earlier, rule.later) if isinstance(rule, NotBefore) else (rule.part, rule.whole)
        assert set(named) <= {field.key for field in entity.fields} & set(columns)


@each_entity
def test_relations_and_their_mirrors_point_at_each_other(entity: Entity) -> None:
    for field in entity.fields:
        if field.kind is not Kind.RELATION:
            continue
        assert field.target is not None
        if field.mirror is not None:
            other = field_of(by_name(field.target), field.mirror)
            assert (other.target, other.mirror) == (entity.name, field.key)
            assert isinstance(field.source, Mirror) != isinstance(other.source, Mirror)


def test_the_table_without_an_updated_column_says_so() -> None:
    assert [entity.name for entity in ENTITIES if entity.updated_column is None] == ["payment"]


def test_entities_are_found_by_name_and_by_table() -> None:
    assert all(by_name(entity.name) is entity and by_table(entity.table) is entity for entity in ENTITIES)
    assert by_table("Worker") is None
    with pytest.raises(KeyError):
        by_name("worker")
    with pytest.raises(KeyError):
        field_of(by_name("risk"), "owner")
