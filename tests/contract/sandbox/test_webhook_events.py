"""What webhooks tell, and what they don't: events by cause, their authors, the window's net effect, and silence.

Source: Notion's "Event types & delivery" page; guesses are named in the stand-in's modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Receiver, settled
from tests.contract.sandbox.shapes import Api, Json, Notion, Table, add_row, make_table, text


@pytest.fixture
async def ann(sandbox: Sandbox, hook: Receiver) -> str:
    """The id of a row that nothing is told of yet."""
    page_id = sandbox.people.create("Participants", {"Name": "Ann", "Budget": 1})
    await settled(sandbox)
    hook.forget()
    return page_id


def person(sandbox: Sandbox, name: str) -> Json:
    return {"id": sandbox.state.person(name)["id"], "type": "person"}


def bot(sandbox: Sandbox) -> Json:
    return {"id": sandbox.state.bot_id, "type": "bot"}


# Pages


async def test_an_edit_names_the_properties_by_the_ids_that_the_api_shows(
    sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str
) -> None:
    values = {"Budget": 5, "Email": "ann@example.org", "Done": True, "Tags": ["A"], "Day": "2026-09-15"}
    sandbox.people.edit(ann, values)

    await settled(sandbox)
    event = hook.of("page.properties_updated")
    properties = (await notion.pages.retrieve(ann))["properties"]
    assert set(event["data"]["updated_properties"]) == {
        properties[name]["id"] for name in values
    }
    assert event["entity"] == {"id": ann, "type": "page"}


async def test_ids_are_encoded_for_urls(sandbox: Sandbox, hook: Receiver) -> None:
    # ids are drawn at random: among this many some hold a character that has to be encoded
    sandbox.people.change_schema("Participants", {f"P{number}": {"checkbox": {}} for number in range(60)})
    page_id = sandbox.people.create("Participants", {"Name": "Ann"})
    await settled(sandbox)
    hook.forget()

    sandbox.people.edit(page_id, {f"P{number}": True for number in range(60)})

    await settled(sandbox)
    updated = hook.of("page.properties_updated")["data"]["updated_properties"]
    stored = sandbox.people.source("Participants")["properties"]
    assert {one for one in updated if "%" in one}
    assert set(updated) <= {quote(property_id, safe="") for property_id in stored}


async def test_an_edit_that_changes_nothing_is_no_event(
    sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str
) -> None:
    sandbox.people.edit(ann, {"Budget": 1})
    await notion.pages.update(ann, properties={"Name": {"title": text("Ann")}})

    await settled(sandbox)
    assert hook.received == []


async def test_a_rows_title_is_a_property_unless_switched_to_what_the_documentation_says(
    sandbox: Sandbox, hook: Receiver, ann: str
) -> None:
    sandbox.people.edit(ann, {"Name": "Bea"})
    await settled(sandbox)
    assert hook.of("page.properties_updated")["data"]["updated_properties"] == ["title"]
    hook.forget()
    sandbox.switches.update({"webhook_title_as_content": True})

    sandbox.people.edit(ann, {"Name": "Cleo", "Budget": 9})

    await settled(sandbox)
    assert sorted(hook.kinds) == ["page.content_updated", "page.properties_updated"]
    assert "title" not in hook.of("page.properties_updated")["data"]["updated_properties"]


async def test_text_in_the_body_is_content(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    block_id = sandbox.people.add_text(ann, "hello")

    await settled(sandbox)
    assert hook.of("page.content_updated")["data"]["updated_blocks"] == [{"id": block_id, "type": "block"}]


async def test_the_trash_and_back(sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str) -> None:
    sandbox.people.trash(ann)
    await settled(sandbox)
    await notion.pages.update(ann, in_trash=False)
    await settled(sandbox)

    assert [kind for kind in hook.kinds if kind.startswith("page")] == ["page.deleted", "page.undeleted"]
    assert hook.of("page.deleted")["authors"] == [person(sandbox, "Priya Nair")]
    assert hook.of("page.undeleted")["authors"] == [bot(sandbox)]


async def test_a_move_is_told_with_the_new_parent(
    sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str
) -> None:
    other = await make_table(sandbox, notion, "Others")
    await settled(sandbox)
    hook.forget()

    sandbox.people.move(ann, "Others")

    await settled(sandbox)
    parent = {"id": other.database_id, "type": "database", "data_source_id": other.source_id}
    assert hook.of("page.moved")["data"]["parent"] == parent
    assert hook.kinds.count("data_source.content_updated") == 2
    hook.forget()
    sandbox.people.move(ann)
    await settled(sandbox)
    assert hook.of("page.moved")["data"]["parent"] == {"id": sandbox.parent_page_id, "type": "page"}


async def test_locks_are_told_one_by_one(sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str) -> None:
    for locked in (True, False, True):
        await notion.pages.update(ann, is_locked=locked)

    await settled(sandbox)
    assert hook.kinds == ["page.locked", "page.unlocked", "page.locked"]


# Databases


async def test_a_new_database_is_told_with_its_data_source(sandbox: Sandbox, notion: Notion, hook: Receiver) -> None:
    made = await make_table(sandbox, notion, "Plans")

    await settled(sandbox)
    assert sorted(hook.kinds) == ["data_source.created", "database.created"]
    assert hook.of("database.created")["data"]["parent"] == {"id": sandbox.parent_page_id, "type": "page"}
    assert hook.of("data_source.created")["entity"]["id"] == made.source_id
    assert hook.of("data_source.created")["authors"] == [bot(sandbox)]


async def test_rows_that_come_and_go_are_content_of_the_data_source(
    sandbox: Sandbox, hook: Receiver, people_table: Table, ann: str
) -> None:
    new = sandbox.people.create("Participants", {"Name": "Bea"})
    sandbox.people.trash(ann)

    await settled(sandbox)
    event = hook.of("data_source.content_updated")
    assert event["entity"] == {"id": people_table.source_id, "type": "data_source"}
    assert {block["id"] for block in event["data"]["updated_blocks"]} == {new, ann}


async def test_a_new_schema_is_told_with_what_became_of_each_property(
    sandbox: Sandbox, notion: Notion, hook: Receiver, people_table: Table
) -> None:
    before = (await notion.data_sources.retrieve(people_table.source_id))["properties"]
    sandbox.people.add_property("Participants", "Notes")
    sandbox.people.rename_property("Participants", "Budget", "Money")
    sandbox.people.remove_property("Participants", "Phone")
    sandbox.people.rename_option("Participants", "Status", "Active", "On")

    await settled(sandbox)
    updated = {one["name"]: one for one in hook.of("data_source.schema_updated")["data"]["updated_properties"]}
    assert {name: one["action"] for name, one in updated.items()} == {
        "Notes": "created", "Money": "updated", "Phone": "deleted", "Status": "updated",
    }  # fmt: skip
    assert updated["Money"]["id"] == before["Budget"]["id"]


async def test_a_property_that_was_made_and_removed_within_the_window_was_nothing(
    sandbox: Sandbox, hook: Receiver
) -> None:
    sandbox.people.add_property("Participants", "Notes")
    sandbox.people.remove_property("Participants", "Notes")

    await settled(sandbox)
    assert hook.received == []


async def test_a_database_in_the_trash_speaks_for_its_rows(
    sandbox: Sandbox, hook: Receiver, people_table: Table, ann: str
) -> None:
    sandbox.people.trash("Participants")
    await settled(sandbox)
    sandbox.people.restore("Participants")
    await settled(sandbox)

    assert hook.kinds == ["database.deleted", "database.undeleted"]
    assert hook.of("database.deleted")["entity"] == {"id": people_table.database_id, "type": "database"}


# Authors and the window


async def test_the_connections_own_writes_come_back_as_its_bots(
    sandbox: Sandbox, notion: Notion, hook: Receiver, people_table: Table
) -> None:
    page = await add_row(notion, people_table, "Ann")
    await settled(sandbox)
    await notion.pages.update(page["id"], properties={"Budget": {"number": 5}})
    await settled(sandbox)

    assert hook.of("page.created")["authors"] == [bot(sandbox)]
    assert hook.of("page.properties_updated")["authors"] == [bot(sandbox)]


async def test_edits_of_the_bot_and_of_a_person_within_the_window_are_one_event_by_both(
    sandbox: Sandbox, notion: Notion, hook: Receiver, ann: str
) -> None:
    await notion.pages.update(ann, properties={"Budget": {"number": 5}})
    sandbox.people.edit(ann, {"Email": "ann@example.org"}, person="Tom Baker")

    await settled(sandbox)
    event = hook.of("page.properties_updated")
    assert event["authors"] == [bot(sandbox), person(sandbox, "Tom Baker")]
    assert len(event["data"]["updated_properties"]) == 2


async def test_many_edits_within_the_window_are_one_event_per_page(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    bea = sandbox.people.create("Participants", {"Name": "Bea"})
    await settled(sandbox)
    hook.forget()

    for number in range(10):
        sandbox.people.edit(ann, {"Budget": number})
        sandbox.people.edit(bea, {"Budget": number + 0.5})

    await settled(sandbox)
    assert [event["entity"]["id"] for event in hook.events] == [ann, bea]


async def test_without_a_window_everything_is_told(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    sandbox.switches.update({"webhook_aggregation_s": 0})

    for number in range(2, 5):
        sandbox.people.edit(ann, {"Budget": number})

    await settled(sandbox)
    assert hook.kinds == ["page.properties_updated"] * 3


STEPS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "deleted and restored": (("trash", "restore"), []),
    "deleted": (("trash",), ["page.deleted"]),
    "deleted, restored and deleted": (("trash", "restore", "trash"), ["page.deleted"]),
    "edited, then deleted": (("edit", "trash"), ["page.properties_updated", "page.deleted"]),
    "deleted, restored and edited": (("trash", "restore", "edit"), ["page.properties_updated"]),
}


@pytest.mark.parametrize(("steps", "told"), STEPS.values(), ids=STEPS)
async def test_the_window_tells_the_net_effect(
    sandbox: Sandbox, hook: Receiver, ann: str, steps: tuple[str, ...], told: list[str]
) -> None:
    acts: dict[str, Callable[[], None]] = {
        "trash": lambda: sandbox.people.trash(ann),
        "restore": lambda: sandbox.people.restore(ann),
        "edit": lambda: sandbox.people.edit(ann, {"Budget": 7}),
    }
    for step in steps:
        acts[step]()

    await settled(sandbox)
    assert [kind for kind in hook.kinds if kind.startswith("page")] == told


async def test_a_page_that_came_and_went_within_the_window_never_was(sandbox: Sandbox, hook: Receiver) -> None:
    sandbox.people.trash(sandbox.people.create("Participants", {"Name": "Ann"}))

    await settled(sandbox)
    assert hook.received == []


async def test_a_page_that_was_made_and_edited_within_the_window_is_both(
    sandbox: Sandbox, notion: Notion, hook: Receiver, people_table: Table
) -> None:
    page = await add_row(notion, people_table, "Ann")
    sandbox.people.edit(page["id"], {"Budget": 7})

    await settled(sandbox)
    assert hook.of("page.created")["authors"] == [bot(sandbox)]
    assert hook.of("page.properties_updated")["authors"] == [person(sandbox, "Priya Nair")]


# Silence


async def test_nothing_is_told_of_what_the_connection_cannot_see(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    sandbox.people.unshare(ann)
    sandbox.people.edit(ann, {"Budget": 7})
    sandbox.people.trash(ann)
    await settled(sandbox)
    assert [kind for kind in hook.kinds if kind.startswith("page")] == []
    hook.forget()

    sandbox.people.unshare("Participants")
    sandbox.people.create("Participants", {"Name": "Bea"})
    sandbox.people.add_property("Participants", "Notes")

    await settled(sandbox)
    assert hook.received == []


async def test_what_is_unshared_within_the_window_is_not_told(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    sandbox.people.edit(ann, {"Budget": 7})
    sandbox.people.unshare(ann)

    await settled(sandbox)
    assert hook.received == []


async def test_what_is_gone_for_good_is_not_told(sandbox: Sandbox, hook: Receiver, ann: str) -> None:
    sandbox.people.edit(ann, {"Budget": 7})
    sandbox.people.purge(ann)

    await settled(sandbox)
    assert [kind for kind in hook.kinds if kind.startswith("page")] == []


@pytest.mark.parametrize("touches", [False, True])
async def test_the_other_side_of_a_relation_is_told_only_where_it_is_touched(
    sandbox: Sandbox, notion: Notion, hook: Receiver, people_table: Table, ann: str, touches: bool
) -> None:
    properties: Json = {
        "Name": {"title": {}},
        "Person": {"relation": {"data_source_id": people_table.source_id, "dual_property": {}}},
    }
    plans = await make_table(sandbox, notion, "Plans", properties)
    plan = await add_row(notion, plans, "P1")
    await settled(sandbox)
    hook.forget()
    sandbox.switches.update({"mirror_touches": touches})

    await notion.pages.update(plan["id"], properties={"Person": {"relation": [{"id": ann}]}})

    await settled(sandbox)
    told = {event["entity"]["id"] for event in hook.events}
    assert told == ({plan["id"], ann} if touches else {plan["id"]})


async def test_no_act_of_a_person_stops_the_telling(sandbox: Sandbox, api: Api, hook: Receiver, ann: str) -> None:
    people = sandbox.people
    loose = people.create("Participants", {"Name": "Loose"})
    people.move(loose)
    block = people.add_text(ann, "hello")
    comment = people.comment(ann, "look")
    view = people.add_view("Participants", "Mine")
    acts: list[Callable[[], Any]] = [
        lambda: people.archive(ann), lambda: people.purge(ann), lambda: people.remove_comment(comment),
        lambda: people.purge(loose), lambda: people.remove_property("Participants", "Phone"),
        lambda: people.retype_property("Participants", "Email", "rich_text"), lambda: people.unshare("Participants"),
        lambda: people.share("Participants", None), lambda: people.trash("Participants"),
        lambda: people.trash(sandbox.parent_page_id), lambda: people.restore(sandbox.parent_page_id),
        lambda: people.restore("Participants"), lambda: people.purge(sandbox.parent_page_id),
    ]  # fmt: skip
    for act in acts:
        act()
        await settled(sandbox)

    for path in (
        f"pages/{ann}", f"blocks/{block}", f"comments/{comment}", f"comments?block_id={ann}", f"views/{view}",
        f"pages/{sandbox.parent_page_id}",
    ):  # fmt: skip
        assert (await api("GET", f"/v1/{path}")).status == 404, path
    assert (await api("POST", "/v1/search", {})).body["results"] == []
    # nobody stopped listening: what is shared is told
    people.share("Participants")
    people.create("Participants", {"Name": "Bea"})
    hook.forget()
    await settled(sandbox)
    assert "page.created" in hook.kinds
