"""Pages that no row is linked to: whose they are is found out one by one, and a row's own page is never touched."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import by_name
from state import audit, links
from state.changes import Key, PageId, Priority
from state.errors import TransientError
from state.links import PageState
from state.merge import Pair
from tests.integration.looking.stage import RISK, Stage

R1 = Key("risk", "r1")


async def linked(stage: Stage, system_id: str = "r1") -> tuple[str, PageId | None]:
    link = (await links.load(stage.conn, RISK.table, [system_id]))[system_id]
    return link.state, link.page_id


def trashed(stage: Stage, page: str) -> bool:
    return bool(stage.sandbox.people.row(page)["in_trash"])


async def made_by_us(stage: Stage, system_id: str) -> PageId:
    async with stage.sink.turn(Priority.LIVE):
        return (await stage.sink.create(RISK, {"systemId": system_id, "title": system_id})).page_id


async def test_a_copy_is_flagged_once_and_the_original_is_left_alone(stage: Stage) -> None:
    await stage.participant("anna")
    await stage.insert("r1")
    await stage.run("""update public."Risk" set "participantId" = 'anna'""")
    original = await stage.link("r1")
    copy = stage.sandbox.people.duplicate(original)

    assert await stage.judge(copy) == set()
    stage.sandbox.people.edit(copy, {"Title": "Stairs"})
    assert await stage.judge(copy) == set()

    (line,) = await stage.audited("page.copied")
    assert (line["entity"], line["system_id"], line["page_id"]) == ("risk", "r1", copy)
    assert line["participant_id"] == "anna"
    assert (await stage.strays())[copy].kind == "copy"
    assert await linked(stage) == ("live", original)
    assert not trashed(stage, copy)


async def test_a_second_page_that_we_made_ourselves_and_nobody_touched_goes_to_the_trash(stage: Stage) -> None:
    await stage.insert("r1")
    original = await stage.link("r1")
    second = await made_by_us(stage, "r1")

    assert await stage.judge(second) == set()

    assert trashed(stage, second)
    assert not trashed(stage, original)
    (line,) = await stage.audited("page.duplicate_trashed")
    assert (line["system_id"], line["page_id"]) == ("r1", second)
    assert await stage.strays() == {}


async def test_a_page_that_was_the_rows_own_once_is_left_to_a_person_though_nobody_touched_it_since(
    stage: Stage,
) -> None:
    await stage.insert("r1")
    await stage.link("r1")
    earlier = await made_by_us(stage, "r1")
    await audit.append(stage.conn, audit.Entry("page.created", R1, None, earlier))

    assert await stage.judge(earlier) == set()

    assert not trashed(stage, earlier)
    assert (await stage.strays())[earlier].kind == "copy"


async def test_a_second_page_of_ours_that_goes_at_this_very_moment_is_forgotten(stage: Stage) -> None:
    await stage.insert("r1")
    await stage.link("r1")
    second = await made_by_us(stage, "r1")
    stage.sandbox.faults.script(
        kind="400", method="PATCH", message="Can't edit block that is archived. You must unarchive the block first."
    )

    assert await stage.judge(second) == set()

    assert await stage.strays() == {}


async def test_a_second_page_of_ours_that_a_person_wrote_on_is_a_copy(stage: Stage) -> None:
    await stage.insert("r1")
    await stage.link("r1")
    second = await made_by_us(stage, "r1")
    stage.sandbox.people.edit(second, {"Title": "Stairs"})

    await stage.judge(second)

    assert not trashed(stage, second)
    assert (await stage.strays())[second].kind == "copy"


@pytest.mark.parametrize("lost", ["trash", "purge"])
async def test_a_second_page_is_kept_while_the_first_one_is_not_there(stage: Stage, lost: str) -> None:
    await stage.insert("r1")
    original = await stage.link("r1")
    second = await made_by_us(stage, "r1")
    getattr(stage.sandbox.people, lost)(original)

    with pytest.raises(TransientError):
        await stage.judging().work(await stage.claim(second))

    assert not trashed(stage, second)
    assert R1 in await stage.marked()


async def test_a_page_that_was_linked_meanwhile_is_left_to_its_row(stage: Stage) -> None:
    page = await stage.link("r1")
    stage.sandbox.clear_requests()

    assert await stage.judge(page) == {R1}
    assert stage.sandbox.count() == 0


@pytest.mark.parametrize("gone", ["trash", "purge", "move", "archive", "unshare"])
async def test_a_stray_that_is_not_among_our_pages_any_more_is_forgotten(stage: Stage, gone: str) -> None:
    page = stage.sandbox.people.create("Risks", {"Title": "Mine"})
    await stage.judge(page)
    assert (await stage.strays())[page].kind == "new"

    getattr(stage.sandbox.people, gone)(page)

    assert await stage.judge(page) == set()
    assert await stage.strays() == {}


async def test_a_page_with_the_id_of_a_row_that_has_none_becomes_its_page(stage: Stage) -> None:
    await stage.insert("r1", "Ramp")
    page = stage.sandbox.people.create("Risks", {"Title": "Ramp!", "System ID": "r1"})

    assert await stage.judge(page) == {R1}

    link = (await links.load(stage.conn, RISK.table, ["r1"]))["r1"]
    assert (link.state, link.page_id) == ("live", page)
    assert link.base["title"].got == "Ramp!"
    assert link.base["title"] != Pair("Ramp!", "Ramp!")
    assert len(await stage.audited("page.adopted")) == 1


async def test_a_page_with_the_id_of_a_row_whose_page_a_person_took_away_takes_its_place(stage: Stage) -> None:
    await stage.insert("r1")
    original = await stage.link("r1")
    copy = stage.sandbox.people.duplicate(original)
    await stage.judge(copy)
    stage.sandbox.people.trash(original)
    await stage.state("r1", PageState.UNLINKED)

    assert await stage.judge(copy) == {R1}

    assert await linked(stage) == ("live", copy)
    assert await stage.strays() == {}


async def test_who_points_at_a_page_that_another_one_takes_the_place_of_is_marked(stage: Stage) -> None:
    original = await stage.participant("ada")
    await stage.link("r1", participant=[original])
    await stage.link("r2")
    copy = stage.sandbox.people.duplicate(original)
    stage.sandbox.people.trash(original)
    await stage.state("ada", PageState.UNLINKED, by_name("participant"))

    await stage.judging().work(await stage.claim(copy))

    marked = await (await stage.conn.execute("select entity, system_id from work where entity = 'risk'")).fetchall()
    assert marked == [("risk", "r1")]


async def test_two_pages_that_claim_one_row_wait_for_a_person(stage: Stage) -> None:
    await stage.insert("r1")
    pages = [stage.sandbox.people.create("Risks", {"Title": "Ramp", "System ID": "r1"}) for _ in range(2)]

    for page in pages:
        assert await stage.judge(page) == {R1}

    assert await linked(stage) == ("ambiguous", None)
    assert {stray.kind for stray in (await stage.strays()).values()} == {"other"}


async def test_a_row_that_is_looking_for_its_page_is_asked(stage: Stage) -> None:
    await stage.insert("r1")
    await links.intend(
        stage.conn, RISK.table, "r1", database_id=stage.sink.database_of(RISK), direction="both", pushing={}
    )
    page = await made_by_us(stage, "r1")

    assert await stage.judge(page) == {R1}
    assert await linked(stage) == ("intended", None)


async def test_the_id_of_somebody_who_is_no_participant_links_nothing(stage: Stage) -> None:
    await stage.run("""
        insert into public."User" (id, name, email, role, "updatedAt") values ('u1', 'Una', 'u', 'PROVIDER', now())""")
    page = stage.sandbox.people.create("Participants", {"Name": "Una", "System ID": "u1"})

    assert await stage.judge(page) == set()

    assert await links.load(stage.conn, by_name("participant").table, ["u1"]) == {}
    assert (await stage.strays())[page].kind == "orphan"


async def test_a_new_page_is_flagged_once_with_the_participant_it_names(stage: Stage) -> None:
    anna = await stage.participant("anna")
    page = stage.sandbox.people.create("Complaints", {"Complaint Number": "C-1", "Participant": [anna]})

    await stage.judge(page)
    stage.sandbox.people.edit(page, {"Description": "Late again"})
    await stage.judge(page)

    (line,) = await stage.audited("page.unclaimed")
    assert (line["entity"], line["page_id"], line["participant_id"]) == ("complaint", page, "anna")
    assert (await stage.strays())[page].kind == "new"
    assert await stage.row("Complaint", {"complaintNumber": "C-1"}) is None
