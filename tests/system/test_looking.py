"""No webhooks at all: the program looks for what people did in Notion by itself, and finds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.conftest import copied
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAGGED = "select exists (select from notion_sync.stray_page where page_id = %(page)s and kind = %(kind)s)"
AUDITED = "select count(*) = 1 from notion_sync.audit_log where page_id = %(page)s and action = %(action)s"
FOUND = "mapable_cdc_pages_found_total"
READ = "mapable_cdc_pages_looked_at_total"


@pytest.fixture(scope="module")
def watched_dsn(postgres_server: PostgresServer, mapable_template: str) -> Iterator[str]:
    with copied(postgres_server, mapable_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(watched_dsn: str) -> AsyncIterator[Scene]:
    """A service that polls all the time, and makes rows of people's incidents and complaints."""
    async with staged(
        watched_dsn, NOTION_POLL_SECONDS="0.1", NOTION_CREATE_ROWS="incident,complaint",
        NOTION_REVERT_GRACE_SECONDS="0.2",
    ) as scene:
        yield scene


async def risk(scene: Scene, system_id: str) -> str:
    """Insert a risk and return its page."""
    await scene.run(
        """insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
        values (%(id)s, %(id)s, '', 'LOW', 'falls', '', now())""", id=system_id,
    )
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    return scene.page_id("Risks", system_id)


async def looked(scene: Scene) -> None:
    """Return after two more looks at the risks: one of them began after now."""
    before = scene.sandbox.count("POST", ".*/query")
    await scene.until(lambda: scene.sandbox.count("POST", ".*/query") >= before + 14)


async def as_the_bot(scene: Scene, properties: dict[str, Any]) -> str:
    """Make a risk's page with the connection's own token, as a create that was sent twice does."""
    source = scene.sandbox.people.source("Risks")["id"]
    headers = {"Authorization": f"Bearer {scene.sandbox.token}", "Notion-Version": "2026-03-11"}
    body = {"parent": {"type": "data_source_id", "data_source_id": source}, "properties": properties}
    async with aiohttp.ClientSession() as client, client.post(
        f"{scene.sandbox.url}/v1/pages", json=body, headers=headers
    ) as answer:
        assert answer.status == 200
        return str((await answer.json())["id"])


async def test_our_own_writes_are_no_edits(watched: Scene) -> None:
    await risk(watched, "own")
    await watched.run("""update "Risk" set title = 'Ramp' where id = 'own'""")
    await watched.until(lambda: watched.shows("Risks", "own", Title="Ramp"))
    await watched.settled()

    await looked(watched)

    await watched.until_metric(READ, 1, entity="risk", occasion="poll")
    _, metrics = await watched.get("/metrics")
    for what in ("unknown", "differing"):
        assert f'{FOUND}{{entity="risk",occasion="poll",what="{what}"}} 0.0' in metrics


async def test_an_edit_is_found_without_having_been_told(watched: Scene) -> None:
    page = await risk(watched, "edited")

    watched.sandbox.people.edit(page, {"Title": "Stairs"})

    await watched.until_metric(FOUND, 1, entity="risk", occasion="poll", what="differing")


async def test_a_copy_is_flagged_and_the_row_stays_as_it_is(watched: Scene) -> None:
    page = await risk(watched, "copied")
    before = await watched.rows("""select * from "Risk" where id = 'copied'""")

    copy = watched.sandbox.people.duplicate(page)
    watched.sandbox.people.edit(copy, {"Title": "Something else"})

    await watched.until_true(FLAGGED, page=copy, kind="copy")
    await looked(watched)
    assert await watched.value(AUDITED, page=copy, action="page.copied")
    assert await watched.rows("""select * from "Risk" where id = 'copied'""") == before
    assert watched.sandbox.people.row(page)["properties"]["Title"] == "copied"
    watched.sandbox.people.trash(copy)


async def test_a_second_page_of_ours_goes_to_the_trash_and_the_first_one_stays(watched: Scene) -> None:
    page = await risk(watched, "twice")

    second = await as_the_bot(
        watched, {"Title": {"title": [{"text": {"content": "twice"}}]},
                  "System ID": {"rich_text": [{"text": {"content": "twice"}}]}},
    )

    await watched.until(lambda: bool(watched.sandbox.people.row(second)["in_trash"]))
    await watched.until_true(AUDITED, page=second, action="page.duplicate_trashed")
    assert watched.page_id("Risks", "twice") == page


async def test_a_new_page_where_no_rows_are_made_is_flagged(watched: Scene) -> None:
    page = watched.sandbox.people.create("Risks", {"Title": "Mine"})

    await watched.until_true(FLAGGED, page=page, kind="new")
    assert await watched.value("""select count(*) from "Risk" where title = 'Mine'""") == 0


async def test_a_new_incident_becomes_a_row_and_gets_its_id_and_title(watched: Scene) -> None:
    await watched.participant("anna")
    anna = watched.page_id("Participants", "anna")

    page = watched.sandbox.people.create("Incidents", {
        "Incident": "Fell", "Incident Type": "NEAR_MISS", "Description": "Slipped", "Participant": [anna],
        "Occurred At": "2026-03-04T08:15:00+11:00",
    })

    await watched.until(lambda: bool(watched.sandbox.people.row(page)["properties"]["System ID"]))
    shown = watched.sandbox.people.row(page)["properties"]
    (row,) = await watched.rows("""select id, "participantId", status::text from "Incident" """)
    assert row == {"id": shown["System ID"], "participantId": "anna", "status": "REPORTED"}
    assert (shown["Incident"], shown["Status"]) == ("NEAR_MISS · 2026-03-04", "REPORTED")
    assert shown["Participant"] == [anna]


async def test_a_complaint_that_lacks_something_becomes_a_row_once_it_does_not(watched: Scene) -> None:
    page = watched.sandbox.people.create("Complaints", {"Complaint Number": "C-7", "Source": "FAMILY"})
    await watched.until_true(AUDITED, page=page, action="row.refused")
    assert await watched.value('select count(*) from "Complaint"') == 0

    watched.sandbox.people.edit(page, {"Description": "Late again"})

    await watched.until(lambda: bool(watched.sandbox.people.row(page)["properties"]["System ID"]))
    assert await watched.value('select "complaintNumber" from "Complaint"') == "C-7"


async def test_one_database_that_cannot_be_read_keeps_no_other_from_being_looked_at(watched: Scene) -> None:
    page = await risk(watched, "still")
    watched.sandbox.people.unshare("Participants")
    failed = await watched.service.event("look.failed")
    assert (failed["doing"], failed["entity"]) == ("poll", "participant")

    copy = watched.sandbox.people.duplicate(page)
    await watched.until_true(FLAGGED, page=copy, kind="copy")

    watched.sandbox.people.share("Participants")
    await watched.service.event("look.recovered")
    told = [event for event in watched.service.events if event.get("event") == "look.failed"]
    assert len(told) == 1
