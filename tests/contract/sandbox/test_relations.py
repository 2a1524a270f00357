"""Relations: the mirror property, both sides in step, and the cut after 25."""

from __future__ import annotations

from typing import Any

import pytest
from notion_client import APIResponseError

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import NOBODY, Clock, Json, Notion, Table, add_row, make_table


@pytest.fixture
async def plans(sandbox: Sandbox, notion: Notion, people_table: Table) -> Table:
    relation = {
        "data_source_id": people_table.source_id,
        "type": "dual_property",
        "dual_property": {"synced_property_name": "NDIS Plan"},
    }
    return await make_table(
        sandbox, notion, "NDIS Plans", {"Name": {"title": {}}, "Participant": {"relation": relation}}
    )


MIRROR = "Related to NDIS Plans (Participant)"


def linked(page: Json, name: str) -> list[str]:
    return [target["id"] for target in page["properties"][name]["relation"]]


def links(*page_ids: str) -> Json:
    return {"relation": [{"id": page_id} for page_id in page_ids]}


async def test_a_dual_relation_makes_a_mirror_with_a_generated_name(
    notion: Notion, people_table: Table, plans: Table
) -> None:
    ours = (await notion.data_sources.retrieve(plans.source_id))["properties"]["Participant"]
    theirs = (await notion.data_sources.retrieve(people_table.source_id))["properties"][MIRROR]

    assert ours["relation"] == {
        "data_source_id": people_table.source_id,
        "database_id": people_table.database_id,
        "type": "dual_property",
        "dual_property": {"synced_property_id": theirs["id"], "synced_property_name": MIRROR},
    }
    assert theirs["relation"]["dual_property"]["synced_property_id"] == ours["id"]
    assert theirs["relation"]["data_source_id"] == plans.source_id


async def test_a_renamed_mirror_shows_under_its_new_name(notion: Notion, people_table: Table, plans: Table) -> None:
    await notion.data_sources.update(people_table.source_id, properties={MIRROR: {"name": "NDIS Plan"}})

    ours = (await notion.data_sources.retrieve(plans.source_id))["properties"]["Participant"]
    assert ours["relation"]["dual_property"]["synced_property_name"] == "NDIS Plan"


async def test_both_sides_stay_in_step_from_either_side(notion: Notion, people_table: Table, plans: Table) -> None:
    ann, bob = await add_row(notion, people_table, "Ann"), await add_row(notion, people_table, "Bob")
    plan = await add_row(notion, plans, "P1", Participant=links(ann["id"]))
    assert linked(await notion.pages.retrieve(ann["id"]), MIRROR) == [plan["id"]]

    await notion.pages.update(plan["id"], properties={"Participant": links(bob["id"])})
    assert linked(await notion.pages.retrieve(ann["id"]), MIRROR) == []
    assert linked(await notion.pages.retrieve(bob["id"]), MIRROR) == [plan["id"]]

    await notion.pages.update(ann["id"], properties={MIRROR: links(plan["id"])})
    await notion.pages.update(bob["id"], properties={MIRROR: links()})
    assert linked(await notion.pages.retrieve(plan["id"]), "Participant") == [ann["id"]]


async def test_the_other_side_keeps_its_time_unless_switched(
    sandbox: Sandbox, notion: Notion, people_table: Table, plans: Table, clock: Clock
) -> None:
    ann = await add_row(notion, people_table, "Ann")
    clock.move(60)
    plan = await add_row(notion, plans, "P1", Participant=links(ann["id"]))
    assert (await notion.pages.retrieve(ann["id"]))["last_edited_time"] == ann["last_edited_time"]

    sandbox.switches.mirror_touches = True
    await notion.pages.update(plan["id"], properties={"Participant": links()})

    assert (await notion.pages.retrieve(ann["id"]))["last_edited_time"] > ann["last_edited_time"]


async def test_a_single_relation_has_no_mirror(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    single = {"data_source_id": people_table.source_id, "single_property": {}}
    table = await make_table(sandbox, notion, "Risks", {"Name": {"title": {}}, "Participant": {"relation": single}})

    config = (await notion.data_sources.retrieve(table.source_id))["properties"]["Participant"]["relation"]
    people = (await notion.data_sources.retrieve(people_table.source_id))["properties"]
    assert (config["type"], config["single_property"]) == ("single_property", {})
    assert not any(prop["type"] == "relation" for prop in people.values())


async def test_removing_one_side_removes_the_mirror(notion: Notion, people_table: Table, plans: Table) -> None:
    await notion.data_sources.update(plans.source_id, properties={"Participant": None})

    assert MIRROR not in (await notion.data_sources.retrieve(people_table.source_id))["properties"]


async def test_a_relation_can_point_at_its_own_data_source(notion: Notion, people_table: Table) -> None:
    relation = {"data_source_id": people_table.source_id, "dual_property": {}}
    await notion.data_sources.update(people_table.source_id, properties={"Carer": {"relation": relation}})
    ann = await add_row(notion, people_table, "Ann")
    bob = await add_row(notion, people_table, "Bob", Carer=links(ann["id"]))

    assert linked(await notion.pages.retrieve(ann["id"]), "Related to Participants (Carer)") == [bob["id"]]


async def test_page_reads_cut_relations_after_25_and_the_property_endpoint_has_all(
    notion: Notion, people_table: Table, plans: Table
) -> None:
    ann = await add_row(notion, people_table, "Ann")
    made = [(await add_row(notion, plans, f"P{n}", Participant=links(ann["id"])))["id"] for n in range(27)]

    page = await notion.pages.retrieve(ann["id"])
    mirror = page["properties"][MIRROR]
    first = await notion.pages.properties.retrieve(ann["id"], mirror["id"], page_size=20)
    rest = await notion.pages.properties.retrieve(ann["id"], mirror["id"], start_cursor=first["next_cursor"])

    assert (linked(page, MIRROR), mirror["has_more"]) == (made[:25], True)
    assert [item["relation"]["id"] for item in first["results"] + rest["results"]] == made
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert (first["type"], first["property_item"]["type"]) == ("property_item", "relation")
    assert first["property_item"]["next_url"]


async def test_people_are_cut_after_25_too(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    for number in range(30):
        user_id = sandbox.state.fresh_id()
        user = {"id": user_id, "name": f"Person {number}", "type": "person", "email": f"{number}@example.org"}
        sandbox.store.put("user", user_id, user)
    everybody = [{"id": user["id"]} for user in (await notion.users.list())["results"] if user["type"] == "person"]

    page = await add_row(notion, people_table, "Ann", Who={"people": everybody})

    items = await notion.pages.properties.retrieve(page["id"], page["properties"]["Who"]["id"])
    assert len(page["properties"]["Who"]["people"]) == 25
    assert len(items["results"]) == len(everybody) == 33
    assert items["results"][0]["people"]["object"] == "user"


async def test_unfit_relations_are_refused(notion: Notion, people_table: Table, plans: Table) -> None:
    other_plan = await add_row(notion, plans, "P1")
    cases: tuple[tuple[Json, int], ...] = (
        (links(NOBODY), 404),
        (links("nonsense"), 400),
        (links(other_plan["id"]), 400),
        (links(*[NOBODY] * 101), 400),
        ({"relation": None}, 400),
    )
    for written, status in cases:
        with pytest.raises(APIResponseError) as caught:
            await add_row(notion, plans, "P2", Participant=written)
        assert caught.value.status == status


async def test_a_relation_needs_a_target_that_is_shared(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    sandbox.people.unshare("Participants")
    relation = {"data_source_id": people_table.source_id, "single_property": {}}

    with pytest.raises(APIResponseError) as caught:
        await make_table(sandbox, notion, "Risks", {"Name": {"title": {}}, "P": {"relation": relation}})

    assert caught.value.status == 404


@pytest.mark.parametrize(("switches", "seen"), [({}, True), ({"hide_trashed_relations": True}, False)])
async def test_links_to_trashed_pages_show_as_switched(
    sandbox: Sandbox, notion: Notion, people_table: Table, plans: Table, switches: dict[str, Any], seen: bool
) -> None:
    sandbox.switches.update(switches)
    ann = await add_row(notion, people_table, "Ann")
    plan = await add_row(notion, plans, "P1", Participant=links(ann["id"]))

    sandbox.people.trash(ann["id"])

    assert bool(linked(await notion.pages.retrieve(plan["id"]), "Participant")) is seen


async def test_links_to_pages_out_of_sight_or_purged_are_left_out(
    sandbox: Sandbox, notion: Notion, people_table: Table, plans: Table
) -> None:
    ann = await add_row(notion, people_table, "Ann")
    plan = await add_row(notion, plans, "P1", Participant=links(ann["id"]))

    sandbox.people.unshare("Participants")
    assert linked(await notion.pages.retrieve(plan["id"]), "Participant") == []
    sandbox.people.share("Participants")
    assert linked(await notion.pages.retrieve(plan["id"]), "Participant") == [ann["id"]]
    sandbox.people.purge(ann["id"])
    assert linked(await notion.pages.retrieve(plan["id"]), "Participant") == []
