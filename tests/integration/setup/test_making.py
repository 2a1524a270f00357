"""Setup in an empty workspace: what it makes, and that doing it again changes nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.colours import colour_of
from sinks.notion.setup import env_lines
from tests.integration.setup.stage import TITLES, Stage

TYPES = {Kind.MONEY: "number", Kind.DAY: "date", Kind.MOMENT: "date"}


def shown(prop: dict[str, Any]) -> tuple[str, Any]:
    """Return a property as (type, what matters of its configuration)."""
    config = prop["config"]
    match prop["type"]:
        case "select":
            return "select", tuple((option["name"], option["color"]) for option in config["options"])
        case "relation":
            return "relation", config["kind"]
        case kind:
            return kind, config or None


def wanted(entity: Entity, field: Field) -> tuple[str, Any]:
    """Return the same from the mapping."""
    match field.kind:
        case Kind.SELECT:
            return "select", tuple((label, colour_of(label)) for label in field.options)
        case Kind.RELATION:
            return "relation", "dual_property" if field.mirror is not None else "single_property"
        case Kind.MONEY:
            return "number", {"format": "australian_dollar"}
        case kind:
            return TYPES.get(kind, kind.value), None


async def test_seven_databases_stand_with_exactly_the_mapped_properties(stage: Stage) -> None:
    done = await stage.setup()

    assert [item.outcome for item in done] == ["made"] * 7
    assert stage.live_titles() == sorted(TITLES)
    for entity in ENTITIES:
        found = {name: shown(prop) for name, prop in stage.properties(entity.title).items()}
        assert found == {field.name: wanted(entity, field) for field in entity.fields}


async def test_options_have_colours_that_tell_them_apart(stage: Stage) -> None:
    await stage.setup()

    assert stage.options("Risks", "Risk Level") == {
        "LOW": "green", "MEDIUM": "yellow", "HIGH": "orange", "CRITICAL": "red",
    }
    assert stage.options("Care Plans", "Status") == {"Active": "green", "Completed": "green", "On Hold": "yellow"}


async def test_an_incident_has_a_title(stage: Stage) -> None:
    await stage.setup()

    assert stage.properties("Incidents")["Incident"]["type"] == "title"


async def test_the_other_side_of_a_plans_participant_is_named_ndis_plan(stage: Stage) -> None:
    await stage.setup()

    mirror = stage.properties("Participants")["NDIS Plan"]
    relation = stage.properties("NDIS Plans")["Participant"]
    assert mirror["config"]["synced_id"] == relation["id"]
    assert mirror["config"]["data_source_id"] == stage.sandbox.people.source("NDIS Plans")["id"]
    assert not any(name.startswith("Related to") for name in stage.properties("Participants"))


async def test_every_relation_points_at_the_participants(stage: Stage) -> None:
    await stage.setup()

    participants = stage.sandbox.people.source("Participants")["id"]
    for entity in ENTITIES:
        for field in entity.fields:
            if field.kind is Kind.RELATION and not isinstance(field.source, Mirror):
                prop = stage.properties(entity.title)[field.name]
                assert prop["config"]["data_source_id"] == participants


async def test_a_second_run_changes_nothing_and_only_reads(stage: Stage) -> None:
    first = await stage.setup()
    before = {title: stage.sandbox.people.source(title) for title in TITLES}
    stage.sandbox.clear_requests()

    second = await stage.setup()

    assert stage.writes() == 0
    assert len(stage.sandbox.requests) == 14
    assert [item.outcome for item in second] == ["unchanged"] * 7
    assert [item.source for item in second] == [item.source for item in first]
    assert {title: stage.sandbox.people.source(title) for title in TITLES} == before


async def test_a_second_run_needs_no_parent(stage: Stage) -> None:
    await stage.setup()

    again = await stage.setup(parent=None)

    assert [item.outcome for item in again] == ["unchanged"] * 7


async def test_the_sidecar_knows_every_property_by_id(stage: Stage) -> None:
    await stage.setup()

    for entity in ENTITIES:
        database_id, source_id, properties = await stage.stored(entity.name)
        source = stage.sandbox.people.source(entity.title)
        assert (database_id, source_id) == (source["parent"]["database_id"], source["id"])
        names = {quote(prop["id"], safe=""): prop["name"] for prop in stage.properties(entity.title).values()}
        assert {key: names[found] for key, found in properties.items()} == {
            field.key: field.name for field in entity.fields
        }


async def test_lines_for_the_environment_name_each_database(stage: Stage) -> None:
    lines = env_lines(await stage.setup())

    database_id, _, _ = await stage.stored("payment")
    assert len(lines) == 7
    assert f"NOTION_PAYMENTS_DB_ID={database_id}" in lines


async def test_entities_that_are_switched_off_get_no_database(stage: Stage) -> None:
    on = [entity for entity in ENTITIES if entity.name in {"participant", "risk"}]

    await stage.setup(entities=on)

    assert stage.live_titles() == ["Participants", "Risks"]
    assert "NDIS Plan" not in stage.properties("Participants")


async def test_an_entity_that_is_switched_on_later_gets_its_database_and_relations(stage: Stage) -> None:
    await stage.setup(entities=[entity for entity in ENTITIES if entity.name != "participant"])
    assert "Participant" not in stage.properties("Risks")

    done = await stage.setup()

    assert {item.entity.name: item.outcome for item in done} == {
        entity.name: "made" if entity.name == "participant" else "completed" for entity in ENTITIES
    }
    assert stage.properties("Risks")["Participant"]["type"] == "relation"
    assert "NDIS Plan" in stage.properties("Participants")


async def test_databases_are_found_among_more_blocks_than_one_answer_lists(stage: Stage) -> None:
    for number in range(130):
        stage.sandbox.people.add_text(stage.sandbox.parent_page_id, f"note {number}")
    await stage.setup()
    await stage.lose_sidecar()
    stage.sandbox.clear_requests()

    done = await stage.setup()

    assert [item.outcome for item in done] == ["adopted"] * 7
    assert stage.sandbox.count("GET", r"/v1/blocks/.*/children") == 2
    assert stage.writes() == 0
