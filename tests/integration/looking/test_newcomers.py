"""A page that a person made becomes a row where that is switched on, with everything in it, and exactly one."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import pytest

from sinks.mapping.entities import by_name
from state import links
from state.changes import PageId, Priority
from state.errors import TransientError
from state.work import LeaseLost
from tests.integration.looking.stage import Stage

INCIDENT: dict[str, Any] = {
    "Incident": "Fall in the kitchen", "Incident Type": "NEAR_MISS", "Description": "Slipped, no injury",
    "Occurred At": "2026-03-04T08:15:00+11:00", "Status": "UNDER_INVESTIGATION", "NDIS Reported": True,
}
COMPLAINT: dict[str, Any] = {"Complaint Number": "C-1", "Source": "FAMILY", "Description": "Late again"}
RISK_PAGE: dict[str, Any] = {"Title": "Ramp", "Risk Level": "HIGH", "Category": "falls"}


def create(stage: Stage, database: str, properties: dict[str, Any]) -> str:
    return stage.sandbox.people.create(database, properties)


def person(stage: Stage) -> str:
    return next(str(user["id"]) for user in stage.sandbox.store.all("user").values() if user["type"] == "person")


async def test_an_incident_is_made_with_everything_that_the_page_shows(stage: Stage) -> None:
    anna = await stage.participant("anna")
    page = create(stage, "Incidents", INCIDENT | {"Participant": [anna]})

    (key,) = await stage.judge(page, "incident")

    row = await stage.row("Incident", {"id": key.system_id})
    assert row is not None
    assert key.entity == "incident"
    assert row["incidentType"] == "NEAR_MISS"
    assert row["description"] == "Slipped, no injury"
    assert row["occurredAt"] == datetime(2026, 3, 3, 21, 15)  # noqa: DTZ001
    assert row["status"] == "UNDER_INVESTIGATION"
    assert row["ndisReported"] is True
    assert row["participantId"] == "anna"
    assert row["reportedBy"] == f"Notion {person(stage)}"
    assert abs((row["updatedAt"] - row["createdAt"]).total_seconds()) < 5
    assert await stage.strays() == {}


async def test_the_new_row_is_linked_to_the_page_and_lacks_nothing_but_what_mapable_makes(stage: Stage) -> None:
    page = create(stage, "Incidents", INCIDENT)

    (key,) = await stage.judge(page, "incident")

    link = (await links.load(stage.conn, "Incident", [key.system_id]))[key.system_id]
    assert (link.state, link.page_id) == ("live", page)
    assert "systemId" not in link.base
    assert all(pair.sent == pair.got for pair in link.base.values())
    (line,) = await stage.audited("row.created")
    assert (line["system_id"], line["page_id"], line["actor"]) == (key.system_id, page, person(stage))
    assert line["detail"] == {"replaced": {"incident": "Fall in the kitchen"}}


async def test_what_the_page_leaves_open_comes_from_the_database(stage: Stage) -> None:
    complaint = create(stage, "Complaints", COMPLAINT)
    risk = create(stage, "Risks", RISK_PAGE)

    await stage.judge(complaint, "complaint", "risk")
    await stage.judge(risk, "complaint", "risk")

    made = await stage.row("Complaint", {"complaintNumber": "C-1"})
    assert made is not None
    assert (made["status"], made["participantId"]) == ("RECEIVED", None)
    assert made["receivedAt"] is not None
    made = await stage.row("Risk", {"title": "Ramp"})
    assert made is not None
    assert (made["status"], made["description"]) == ("IDENTIFIED", "")
    assert made["identifiedBy"] == f"Notion {person(stage)}"


async def test_where_it_is_not_switched_on_there_is_no_row(stage: Stage) -> None:
    page = create(stage, "Complaints", COMPLAINT)

    await stage.judge(page, "incident", "risk")

    assert await stage.row("Complaint", {"complaintNumber": "C-1"}) is None
    assert (await stage.strays())[page].kind == "new"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"Description": None, "Source": None}, "Source is missing. Description is missing."),
        ({"Source": "NEIGHBOUR"}, "Source can only be one of: PARTICIPANT, FAMILY, WORKER, ANONYMOUS, OTHER."),
        ({"Complaint Number": ""}, "Complaint Number is missing."),
    ],
    ids=["missing", "unknown option", "no title"],
)
async def test_what_is_missing_or_wrong_is_said_once_and_there_is_no_row(
    stage: Stage, wrong: dict[str, Any], why: str
) -> None:
    page = create(stage, "Complaints", COMPLAINT | wrong)

    assert await stage.judge(page, "complaint") == set()
    assert await stage.judge(page, "complaint") == set()

    assert stage.told == [(page, f"MapAble has no record of this page yet. {why}")]
    assert [line["detail"] for line in await stage.audited("row.refused")] == [{"why": why}]
    assert (await stage.strays())[page].note == why
    assert await stage.row("Complaint", {}) is None


async def test_a_participant_that_has_no_record_is_not_left_out_silently(stage: Stage) -> None:
    nobody = create(stage, "Participants", {"Name": "Nobody"})
    page = create(stage, "Complaints", COMPLAINT | {"Participant": [nobody]})

    await stage.judge(page, "complaint")

    assert stage.told == [
        (page, "MapAble has no record of this page yet. Participant is a page that has no record in MapAble.")
    ]


async def test_a_value_that_another_record_has_is_said_to_be(stage: Stage) -> None:
    await stage.judge(create(stage, "Complaints", COMPLAINT), "complaint")
    page = create(stage, "Complaints", COMPLAINT)

    await stage.judge(page, "complaint")

    assert stage.told == [
        (page, "MapAble has no record of this page yet. Another record in MapAble has this Complaint Number already.")
    ]
    assert await links.load(stage.conn, "Complaint", []) == {}
    assert len(await stage.audited("row.created")) == 1


async def test_a_text_too_long_for_the_index_that_keeps_it_unique_is_said_to_be(stage: Stage) -> None:
    # hardly compressible, as an index would have it
    long = "".join(secrets.token_hex(32) for _ in range(150))
    page = create(stage, "Complaints", COMPLAINT | {"Complaint Number": long})

    assert await stage.judge(page, "complaint") == set()

    why = "One of these values is longer than MapAble's database takes."
    assert stage.told == [(page, f"MapAble has no record of this page yet. {why}")]


async def test_what_a_trigger_of_mapables_refuses_is_said_and_not_tried_again(stage: Stage) -> None:
    await stage.run("""
        create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'not %', new.description; end $$""")
    await stage.run(
        'create trigger refuses before insert on public."Complaint" for each row execute function refuse()'
    )
    page = create(stage, "Complaints", COMPLAINT)

    assert await stage.judge(page, "complaint") == set()

    why = "MapAble's database refuses these values."
    assert stage.told == [(page, f"MapAble has no record of this page yet. {why}")]


async def test_nothing_is_said_while_a_person_may_still_be_typing(stage: Stage) -> None:
    page = create(stage, "Complaints", {"Complaint Number": "C-1"})
    await stage.judging("complaint", grace_s=30).work(await stage.claim(page))
    assert stage.told == []
    stage.sandbox.people.edit(page, COMPLAINT)

    (key,) = await stage.judge(page, "complaint", grace_s=30)

    assert stage.told == []
    assert await stage.row("Complaint", {"id": key.system_id}) is not None


async def test_a_page_that_we_made_ourselves_never_becomes_a_row(stage: Stage) -> None:
    async with stage.sink.turn(Priority.LIVE):
        page = await stage.sink.create(by_name("risk"), {"systemId": "long gone", "title": "Ramp", "category": "falls"})

    await stage.judge(page.page_id, "risk")

    assert await stage.row("Risk", {}) is None
    assert (await stage.strays())[page.page_id].kind == "orphan"


async def test_a_copy_whose_system_id_was_removed_with_the_property_makes_no_row(stage: Stage) -> None:
    page = create(stage, "Complaints", COMPLAINT | {"System ID": "somebody's"})
    stage.sandbox.people.remove_property("Complaints", "System ID")

    assert await stage.judge(page, "complaint") == set()

    assert await stage.row("Complaint", {}) is None
    assert (await stage.strays())[page].kind == "other"


async def test_a_worker_that_lost_its_lease_makes_no_row(stage: Stage) -> None:
    page = create(stage, "Complaints", COMPLAINT)
    claim = await stage.claim(page)
    await stage.queue.take_over()

    with pytest.raises(LeaseLost):
        await stage.judging("complaint").work(claim)

    assert await stage.row("Complaint", {}) is None


async def test_a_page_that_gets_another_link_at_this_moment_makes_no_row(stage: Stage) -> None:
    page = create(stage, "Complaints", COMPLAINT)
    claim = await stage.claim(page)
    _, seen = await stage.sink.identify(PageId(page))
    await stage.run("""
        insert into "NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
        values ('Complaint', 'c9', %(page)s, 'live')""", page=page)

    with pytest.raises(TransientError):
        await stage.newcomers().make(claim, by_name("complaint"), seen)

    assert await stage.row("Complaint", {}) is None
