"""Setup where people have been at work: what they added, renamed or removed, and where they stand in the way."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import ENTITIES
from state.errors import FatalError
from state.schemas import learn
from state.settings import data_sources
from tests.integration.setup.stage import TITLES, Stage


@pytest.fixture
async def standing(stage: Stage) -> Stage:
    """All databases stand and the sidecar knows them."""
    await stage.setup()
    stage.sandbox.clear_requests()
    return stage


async def test_a_lost_sidecar_is_made_again_from_what_stands(standing: Stage) -> None:
    before = {title: standing.sandbox.people.source(title) for title in TITLES}
    known = await standing.stored("ndisplan")
    await standing.lose_sidecar()

    done = await standing.setup()

    assert [item.outcome for item in done] == ["adopted"] * 7
    assert standing.writes() == 0
    assert {title: standing.sandbox.people.source(title) for title in TITLES} == before
    assert await standing.stored("ndisplan") == known


async def test_two_databases_of_one_title_are_a_person_s_to_decide(standing: Stage) -> None:
    twin = await standing.client.call(
        "POST", "databases",
        body={
            "parent": {"type": "page_id", "page_id": standing.sandbox.parent_page_id},
            "title": [{"text": {"content": "Risks"}}],
            "initial_data_source": {"properties": {"Name": {"title": {}}, "System ID": {"rich_text": {}}}},
        },
    )
    right, _, _ = await standing.stored("risk")
    await standing.lose_sidecar()

    with pytest.raises(FatalError) as caught:
        await standing.setup()

    assert "2 databases named Risks" in str(caught.value)
    assert right in str(caught.value)
    assert twin["id"] in str(caught.value)
    assert "NOTION_RISKS_DB_ID" in caught.value.hint
    done = await standing.setup(configured={"risk": right})
    assert done[5].source.database_id == right


async def test_a_database_of_the_same_title_that_is_not_ours_is_left_alone(stage: Stage) -> None:
    parent = {"type": "page_id", "page_id": stage.sandbox.parent_page_id}
    theirs = await stage.client.call(
        "POST", "databases",
        body={"parent": parent, "title": [{"text": {"content": "Risks"}}],
              "initial_data_source": {"properties": {"Name": {"title": {}}}}},
    )

    done = await stage.setup()

    assert done[5].outcome == "made"
    assert done[5].source.database_id != theirs["id"]
    assert set(stage.properties(theirs["id"])) == {"Name"}


async def test_people_s_own_properties_and_options_stay(standing: Stage) -> None:
    people = standing.sandbox.people
    people.add_property("Risks", "Our own score", "number")
    people.create("Risks", {"Title": "x", "Status": "WATCHED"})
    people.recolour_option("Risks", "Status", "CLOSED", "pink")
    before = people.source("Risks")
    standing.sandbox.clear_requests()

    await standing.setup()

    assert standing.writes() == 0
    assert people.source("Risks") == before


async def test_a_renamed_property_keeps_its_name_and_is_known_by_its_id(standing: Stage) -> None:
    known = await standing.stored("ndisplan")
    for name, new in (("Plan Number", "Nummer"), ("Start Date", "From"), ("Participant", "Person")):
        standing.sandbox.people.rename_property("NDIS Plans", name, new)
    standing.sandbox.people.rename_property("Participants", "NDIS Plan", "Their plan")

    await standing.setup()

    assert standing.writes() == 0
    assert {"Nummer", "From", "Person"} <= set(standing.properties("NDIS Plans"))
    assert "Their plan" in standing.properties("Participants")
    assert await standing.stored("ndisplan") == known


async def test_properties_that_changed_names_with_each_other_are_not_confused(standing: Stage) -> None:
    known = await standing.stored("ndisplan")
    for name, new in (("Start Date", "Between"), ("End Date", "Start Date"), ("Between", "End Date")):
        standing.sandbox.people.rename_property("NDIS Plans", name, new)

    await standing.setup()

    assert standing.writes() == 0
    assert await standing.stored("ndisplan") == known


async def test_a_removed_property_is_made_again_and_setup_tells_so(standing: Stage) -> None:
    _, _, before = await standing.stored("risk")
    standing.sandbox.people.remove_property("Risks", "Category")

    done = await standing.setup()

    _, _, after = await standing.stored("risk")
    assert done[5].outcome == "completed"
    assert standing.properties("Risks")["Category"]["type"] == "rich_text"
    assert after["category"] != before["category"]
    assert standing.again == [("risk", ("category",))]


async def test_a_removed_dual_relation_is_made_again_with_its_other_side(standing: Stage) -> None:
    standing.sandbox.people.remove_property("NDIS Plans", "Participant")
    assert "NDIS Plan" not in standing.properties("Participants")

    await standing.setup()

    mirror = standing.properties("Participants")["NDIS Plan"]
    assert mirror["config"]["synced_id"] == standing.properties("NDIS Plans")["Participant"]["id"]
    assert ("ndisplan", ("participant",)) in standing.again


async def test_a_name_that_another_field_s_property_took_is_an_error(standing: Stage) -> None:
    standing.sandbox.people.remove_property("NDIS Plans", "Start Date")
    standing.sandbox.people.rename_property("NDIS Plans", "End Date", "Start Date")

    with pytest.raises(FatalError, match="NDIS Plans: the name of the property Start Date is taken") as caught:
        await standing.setup()

    assert "Rename the property Start Date of NDIS Plans" in caught.value.hint
    assert standing.writes() == 0


async def test_a_retyped_property_is_an_error_that_says_what_to_do(standing: Stage) -> None:
    standing.sandbox.people.retype_property("NDIS Plans", "Total Budget", "rich_text")

    with pytest.raises(FatalError) as caught:
        await standing.setup()

    assert str(caught.value) == (
        "NDIS Plans: the property Total Budget has the type rich_text, but Total Budget needs number"
    )
    assert "change its type to number" in caught.value.hint
    assert standing.writes() == 0


async def test_a_relation_to_another_database_is_an_error(standing: Stage) -> None:
    incidents = standing.sandbox.people.source("Incidents")["id"]
    standing.sandbox.people.remove_property("Risks", "Participant")
    standing.sandbox.people.change_schema(
        "Risks", {"Participant": {"relation": {"data_source_id": incidents, "single_property": {}}}}
    )

    with pytest.raises(FatalError, match="Risks: the relation Participant points at another database"):
        await standing.setup()


async def test_a_missing_option_is_added_and_people_s_own_stay(standing: Stage) -> None:
    people = standing.sandbox.people
    row = people.create("Risks", {"Title": "x", "Risk Level": "Extreme"})
    people.remove_option("Risks", "Risk Level", "HIGH")

    done = await standing.setup()

    assert done[5].outcome == "completed"
    options = standing.options("Risks", "Risk Level")
    assert list(options) == ["LOW", "MEDIUM", "CRITICAL", "Extreme", "HIGH"]
    assert options["HIGH"] == "orange"
    assert people.row(row)["properties"]["Risk Level"] == "Extreme"


async def test_an_option_in_other_letters_is_no_missing_one(standing: Stage) -> None:
    standing.sandbox.people.rename_option("Risks", "Risk Level", "HIGH", "High")

    await standing.setup()

    assert standing.writes() == 0


async def test_more_options_than_a_request_can_hold_are_an_error(standing: Stage) -> None:
    for number in range(97):
        standing.sandbox.people.create("Risks", {"Title": "x", "Risk Level": f"Own {number}"})
    standing.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")

    with pytest.raises(FatalError) as caught:
        await standing.setup()

    assert "Risk Level has 100 options" in str(caught.value)
    assert "HIGH" in caught.value.hint


async def test_the_format_of_money_is_people_s_to_change(standing: Stage) -> None:
    standing.sandbox.people.change_schema("NDIS Plans", {"Total Budget": {"number": {"format": "dollar"}}})

    await standing.setup()

    assert standing.writes() == 0
    assert standing.properties("NDIS Plans")["Total Budget"]["config"] == {"format": "dollar"}


async def test_a_name_that_is_taken_leaves_the_other_side_of_the_plan_as_notion_named_it(stage: Stage) -> None:
    plans = {"participant", "ndisplan"}
    await stage.setup(entities=ENTITIES[:1])
    stage.sandbox.people.add_property("Participants", "NDIS Plan")

    await stage.setup(entities=[entity for entity in ENTITIES if entity.name in plans])

    _, _, properties = await stage.stored("participant")
    assert stage.properties("Participants")["NDIS Plan"]["type"] == "rich_text"
    assert properties["ndisPlan"] != stage.properties("Participants")["NDIS Plan"]["id"]


async def test_a_relation_that_shows_on_one_side_only_is_an_error(standing: Stage) -> None:
    participants = standing.sandbox.people.source("Participants")["id"]
    standing.sandbox.people.remove_property("NDIS Plans", "Participant")
    standing.sandbox.people.change_schema(
        "NDIS Plans", {"Participant": {"relation": {"data_source_id": participants, "single_property": {}}}}
    )

    with pytest.raises(FatalError, match="shows on one side only") as caught:
        await standing.setup()

    assert "turn on 'Show on Participants'" in caught.value.hint


@pytest.mark.parametrize("what", ["trash", "purge", "unshare"])
async def test_a_known_database_that_can_t_be_used_is_not_replaced(standing: Stage, what: str) -> None:
    database_id, _, _ = await standing.stored("risk")
    match what:
        case "trash":
            standing.sandbox.people.trash("Risks")
        case "purge":
            standing.sandbox.store.delete("database", database_id)
        case _:
            standing.sandbox.people.unshare("Risks")

    with pytest.raises(FatalError) as caught:
        await standing.setup()

    assert f"the database Risks ({database_id})" in str(caught.value)
    assert standing.sandbox.count("POST", "/v1/databases") == 0


async def test_a_restored_database_is_used_again(standing: Stage) -> None:
    standing.sandbox.people.trash("Risks")
    with pytest.raises(FatalError):
        await standing.setup()
    standing.sandbox.people.restore("Risks")

    done = await standing.setup()

    assert [item.outcome for item in done] == ["unchanged"] * 7


async def test_a_renamed_option_is_known_by_its_id_and_not_added_again(standing: Stage) -> None:
    standing.sandbox.people.rename_option("Risks", "Risk Level", "HIGH", "Hoch")

    await standing.setup()

    assert standing.writes() == 0
    assert set(standing.options("Risks", "Risk Level")) == {"LOW", "MEDIUM", "Hoch", "CRITICAL"}


async def test_what_was_learned_of_an_option_stays_with_the_next_setup(standing: Stage) -> None:
    people = standing.sandbox.people
    people.create("Care Plans", {"Plan Name": "x", "Status": "Fresh"})
    [fresh] = [
        option["id"] for option in standing.properties("Care Plans")["Status"]["config"]["options"]
        if option["name"] == "Fresh"
    ]
    source = (await data_sources(standing.conn))["careplan"]
    await learn(standing.conn, source, "status", fresh, "Fresh")
    people.rename_option("Care Plans", "Status", "Fresh", "Neu")

    await standing.setup()

    stored = (await data_sources(standing.conn))["careplan"].options["status"]
    assert stored[fresh] == "Fresh"
    assert sorted(stored.values()) == ["Active", "Completed", "Fresh", "On Hold"]


async def test_an_option_whose_name_another_one_took_needs_a_person(standing: Stage) -> None:
    standing.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")
    standing.sandbox.people.rename_option("Risks", "Risk Level", "LOW", "HIGH")

    with pytest.raises(FatalError) as caught:
        await standing.setup()

    assert "the option HIGH of Risk Level was removed" in str(caught.value)
    assert "Rename the option HIGH" in caught.value.hint
