"""Setup by what the settings name: ids of databases and data sources, the parent page, and what can't be used."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.base import SinkUnavailable
from sinks.mapping.entities import ENTITIES
from sinks.notion.discovery import WrongSetting
from state.errors import FatalError
from tests.integration.setup.stage import Stage

RISK = ENTITIES[5]


async def make(stage: Stage, title: str, **properties: Any) -> dict[str, Any]:
    """Make a database as a person would have, and return it as Notion answers."""
    body = {
        "parent": {"type": "page_id", "page_id": stage.sandbox.parent_page_id},
        "title": [{"text": {"content": title}}],
        "initial_data_source": {"properties": {"Name": {"title": {}}, **properties}},
    }
    return await stage.client.call("POST", "databases", body=body)


@pytest.mark.parametrize("named_by", ["database", "data source"])
async def test_a_configured_database_is_completed_where_it_is(stage: Stage, named_by: str) -> None:
    made = await make(stage, "Our dangers", Category={"rich_text": {}}, Own={"number": {}})
    an_id = made["id"] if named_by == "database" else made["data_sources"][0]["id"]

    (done,) = await stage.setup(entities=[RISK], configured={"risk": an_id}, parent=None)

    assert done.outcome == "completed"
    assert done.source.database_id == made["id"]
    assert done.source.data_source_id == made["data_sources"][0]["id"]
    assert stage.live_titles() == ["Our dangers"]
    assert set(stage.properties("Our dangers")) == {
        "Title", "Risk Level", "Status", "Category", "System ID", "Own",
    }


async def test_a_title_that_a_person_named_keeps_its_name(stage: Stage) -> None:
    made = await make(stage, "Our dangers")
    stage.sandbox.people.rename_property("Our dangers", "Name", "What may happen")

    (done,) = await stage.setup(entities=[RISK], configured={"risk": made["id"]}, parent=None)

    assert done.source.properties["title"] == "title"
    assert "What may happen" in stage.properties("Our dangers")
    assert "Title" not in stage.properties("Our dangers")


async def test_a_configured_database_goes_before_the_known_one(stage: Stage) -> None:
    await stage.setup()
    other = await make(stage, "Other risks")

    done = await stage.setup(configured={"risk": other["id"]})

    assert done[5].source.database_id == other["id"]
    assert (await stage.stored("risk"))[0] == other["id"]


async def test_a_configured_database_that_changed_nothing_since_is_unchanged(stage: Stage) -> None:
    done = await stage.setup()
    stage.sandbox.clear_requests()

    again = await stage.setup(configured={item.entity.name: item.source.database_id for item in done}, parent=None)

    assert [item.outcome for item in again] == ["unchanged"] * 7
    assert stage.writes() == 0


async def test_a_database_with_two_data_sources_needs_the_data_source_s_id(stage: Stage) -> None:
    made = await make(stage, "Our dangers")
    second = await stage.client.call(
        "POST", "data_sources",
        body={"parent": {"type": "database_id", "database_id": made["id"]}, "properties": {"Name": {"title": {}}},
              "title": [{"text": {"content": "Second"}}]},
    )

    with pytest.raises(WrongSetting) as caught:
        await stage.setup(entities=[RISK], configured={"risk": made["id"]}, parent=None)
    assert str(caught.value) == "NOTION_RISKS_DB_ID names a database with 2 data sources"
    assert "id of the data source" in caught.value.hint
    (done,) = await stage.setup(entities=[RISK], configured={"risk": second["id"]}, parent=None)

    assert (done.source.database_id, done.source.data_source_id) == (made["id"], second["id"])


async def test_a_configured_id_that_nobody_can_see_is_an_error(stage: Stage) -> None:
    made = await make(stage, "Our dangers")
    stage.sandbox.people.unshare("Our dangers")

    with pytest.raises(WrongSetting, match="NOTION_RISKS_DB_ID names no database that the connection can see"):
        await stage.setup(entities=[RISK], configured={"risk": made["id"]}, parent=None)


async def test_a_configured_database_in_the_trash_is_an_error(stage: Stage) -> None:
    made = await make(stage, "Our dangers")
    stage.sandbox.people.trash("Our dangers")

    with pytest.raises(FatalError, match="NOTION_RISKS_DB_ID names a database that is in the trash"):
        await stage.setup(entities=[RISK], configured={"risk": made["id"]}, parent=None)


async def test_a_database_serves_one_entity_only(stage: Stage) -> None:
    done = await stage.setup()

    with pytest.raises(FatalError, match="it serves risk already") as caught:
        await stage.setup(configured={"complaint": done[5].source.database_id})

    assert "NOTION_COMPLAINTS_DB_ID" in caught.value.hint


async def test_without_any_parent_setup_says_how_to_name_one(stage: Stage) -> None:
    with pytest.raises(WrongSetting, match="no parent page is known") as caught:
        await stage.setup(parent=None)

    assert "mapable-cdc setup PAGE" in caught.value.hint
    assert "NOTION_PARENT_PAGE_ID" in caught.value.hint


async def test_a_parent_that_is_not_shared_is_an_error(stage: Stage) -> None:
    stage.sandbox.people.unshare(stage.sandbox.parent_page_id)

    with pytest.raises(FatalError, match="the parent page is not there, or not shared") as caught:
        await stage.setup()

    assert "add the connection" in caught.value.hint


async def test_a_parent_in_the_trash_is_an_error(stage: Stage) -> None:
    stage.sandbox.people.trash(stage.sandbox.parent_page_id)

    with pytest.raises(FatalError):
        await stage.setup()

    assert stage.live_titles() == []


@pytest.mark.parametrize("capability", ["insert_content", "read_content"])
async def test_a_missing_capability_ends_setup_at_once(stage: Stage, capability: str) -> None:
    stage.sandbox.switches.update({capability: False})

    with pytest.raises(SinkUnavailable, match="lacks a capability"):
        await stage.setup()

    assert len(stage.sandbox.requests) <= 2


async def test_the_missing_right_to_update_ends_setup_and_the_next_run_goes_on(stage: Stage) -> None:
    stage.sandbox.switches.update({"update_content": False})
    with pytest.raises(SinkUnavailable, match="lacks a capability"):
        await stage.setup()
    stage.sandbox.switches.update({"update_content": True})

    await stage.setup()

    assert len(stage.live_titles()) == 7
    assert "NDIS Plan" in stage.properties("Participants")


async def test_a_token_that_notion_refuses_ends_setup_at_once(stage: Stage) -> None:
    stage.sandbox.faults.script(kind="401", times=None)

    with pytest.raises(SinkUnavailable, match="set NOTION_API_KEY"):
        await stage.setup()

    assert len(stage.sandbox.requests) == 1


async def test_a_workspace_without_free_blocks_is_said_so(stage: Stage) -> None:
    stage.sandbox.switches.update({"out_of_blocks": True})

    with pytest.raises(FatalError, match="free blocks") as refused:
        await stage.setup()

    assert "plan" in refused.value.hint
