"""The schema that setup gives Notion, and how it recognises what it finds there."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import ENTITIES, by_name, field_of
from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.colours import colour_of
from sinks.notion.columns import same_type, schema_of

PAGE = "11111111-2222-3333-4444-555555555555"
COLOURS = {"gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red"}

ALL_FIELDS = [(entity, field) for entity in ENTITIES for field in entity.fields]


@pytest.mark.parametrize(("entity", "field"), ALL_FIELDS, ids=lambda part: getattr(part, "key", None) or part.name)
def test_what_setup_declares_is_recognised_again(entity: Entity, field: Field) -> None:
    if isinstance(field.source, Mirror):
        with pytest.raises(ValueError, match="mirror"):
            schema_of(field, PAGE)
        return

    config = schema_of(field, PAGE)

    ((type_, _),) = config.items()
    assert same_type(field, {"id": "x", "name": "Renamed", "type": type_, **config}, PAGE)
    assert not same_type(field, {"id": "x", "name": field.name, "type": "formula", "formula": {}})


def test_options_have_distinct_names_and_colours_that_notion_knows() -> None:
    for _, field in ALL_FIELDS:
        if field.kind is not Kind.SELECT:
            continue
        assert len({label.lower() for label in field.options}) == len(field.options) <= 100
        assert not any("," in label for label in field.options)
        assert {colour_of(label) for label in field.options} <= COLOURS


def test_properties_are_declared_as_notion_wants_them() -> None:
    plan = by_name("ndisplan")

    assert schema_of(field_of(plan, "planNumber")) == {"title": {}}
    assert schema_of(field_of(plan, "systemId")) == {"rich_text": {}}
    assert schema_of(field_of(plan, "totalBudget")) == {"number": {"format": "australian_dollar"}}
    assert schema_of(field_of(plan, "startDate")) == {"date": {}}
    assert schema_of(field_of(by_name("incident"), "occurredAt")) == {"date": {}}
    assert schema_of(field_of(by_name("incident"), "ndisReported")) == {"checkbox": {}}
    assert schema_of(field_of(by_name("participant"), "email")) == {"email": {}}
    assert schema_of(field_of(by_name("risk"), "riskLevel")) == {
        "select": {
            "options": [
                {"name": "LOW", "color": "green"},
                {"name": "MEDIUM", "color": "yellow"},
                {"name": "HIGH", "color": "orange"},
                {"name": "CRITICAL", "color": "red"},
            ]
        }
    }
    assert schema_of(field_of(by_name("risk"), "participant"), PAGE) == {
        "relation": {"data_source_id": PAGE, "single_property": {}}
    }
    assert schema_of(field_of(plan, "participant"), PAGE) == {
        "relation": {"data_source_id": PAGE, "dual_property": {"synced_property_name": "NDIS Plan"}}
    }
    with pytest.raises(ValueError, match="target"):
        schema_of(field_of(plan, "participant"))


def test_a_relation_to_another_database_is_not_ours() -> None:
    field = field_of(by_name("risk"), "participant")
    config = {"type": "relation", "relation": {"data_source_id": PAGE.replace("-", "").upper()}}

    assert same_type(field, config, PAGE)
    assert not same_type(field, config, "99999999-2222-3333-4444-555555555555")
    assert same_type(field, config)
