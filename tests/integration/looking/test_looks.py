"""Looking at what was edited since the last look: what is marked, what is not, and what a look costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from cdc.watch.looking import SHARED_S
from deploy.sandbox.server import Sandbox
from sinks.base import EntityUnavailable
from sinks.mapping.entities import by_name
from sinks.notion.sink import NotionSink
from state import conflicts, links, strays
from state.changes import Key, PageId, Priority
from state.links import PageState
from tests.integration.looking.stage import RISK, Stage


def risk(system_id: str) -> Key:
    return Key("risk", system_id)


def shown(moment_s: float) -> datetime:
    return datetime.fromtimestamp(moment_s, UTC).replace(second=0, microsecond=0)


def queries(sandbox: Sandbox) -> int:
    return sandbox.count("POST", "/v1/data_sources/.*/query")


async def test_the_first_look_sees_every_page_and_marks_none_that_is_as_agreed(stage: Stage) -> None:
    for number in range(3):
        await stage.link(f"r{number}")
        stage.clock.turn(3600)

    assert await stage.look() == set()
    assert stage.read == [3]


async def test_an_edit_is_marked_once_it_is_looked_for(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.link("r2")
    await stage.look()

    stage.sandbox.people.edit(page, {"Title": "Ramp"})

    assert await stage.look() == {risk("r1")}


@pytest.mark.parametrize("why", ["frozen", "refused"])
async def test_what_is_known_to_stand_on_a_page_is_marked_once_somebody_types_something_else(
    stage: Stage, why: str
) -> None:
    page = await stage.link("r1", category="falls")
    stage.sandbox.people.edit(page, {"Category": "theirs"})
    if why == "frozen":
        await conflicts.put_open(
            stage.conn, entity_type="Risk", system_id="r1", page_id=page, field="category", base="falls",
            mapable="ours", notion="theirs", mapable_at=None, notion_at=None, notion_by=None, rule="manual-review",
        )
    else:
        refused = {"category": {"value": "theirs", "since": "2026-03-05", "reason": "No."}}
        await stage.conn.execute("""update "NotionSyncMapping" set refused = %s""", (Jsonb(refused),))

    assert await stage.look() == set()
    assert await stage.look() == set()
    stage.sandbox.people.edit(page, {"Category": "falls"})
    assert await stage.look() == {risk("r1")}


async def test_two_edits_in_one_minute_are_both_seen_though_their_times_are_one(stage: Stage) -> None:
    first, second = await stage.link("r1"), await stage.link("r2")
    stage.clock.turn(600)
    stage.sandbox.people.edit(first, {"Title": "Ramp"})
    assert await stage.look() == {risk("r1")}
    stage.clock.turn(30)

    stage.sandbox.people.edit(second, {"Title": "Stairs"})

    assert risk("r2") in await stage.look()


async def test_our_own_writes_are_never_marked(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.look()
    stage.clock.turn(600)

    await links.store_pushing(stage.conn, RISK.table, "r1", {"title": "Ramp"})
    async with stage.sink.turn(Priority.LIVE):
        await stage.sink.update(RISK, page, {"title": "Ramp"})

    assert await stage.look() == set()
    assert stage.read[-1] == 1


async def test_what_is_edited_is_read_for_a_few_minutes_and_then_no_more(stage: Stage) -> None:
    for number in range(150):
        await stage.link(f"r{number}")
    await stage.look()
    stage.clock.turn(90)
    await stage.look()

    stage.clock.turn(240)
    await stage.look()
    stage.sandbox.clear_requests()
    await stage.look()

    assert stage.read == [150, 150, 150, 0]
    assert queries(stage.sandbox) == 1


@pytest.mark.parametrize("ahead", [timedelta(days=-400), timedelta(days=400)], ids=["behind", "ahead"])
async def test_neither_clock_but_notions_decides_what_was_seen(stage: Stage, ahead: timedelta) -> None:
    stage.clock.turn(ahead.total_seconds())
    page = await stage.link("r1")
    await stage.look()
    stage.clock.turn(3600)
    assert await stage.look() == set()

    stage.sandbox.people.edit(page, {"Title": "Ramp"})

    assert await stage.look() == {risk("r1")}
    until = await stage.until()
    assert until is not None
    assert until <= shown(stage.clock.now_s)


async def test_the_time_of_the_last_look_stays_a_minute_behind_notions(stage: Stage) -> None:
    stage.clock.turn(20)
    await stage.link("r1")

    await stage.look()

    assert await stage.until() == shown(stage.clock.now_s) - timedelta(minutes=1)


async def test_a_look_that_fails_in_the_middle_is_begun_again(stage: Stage) -> None:
    pages = [await stage.link(f"r{number}") for number in range(250)]
    await stage.look()
    stage.clock.turn(3600)
    for page in pages:
        stage.sandbox.people.edit(page, {"Title": "Ramp"})
    before = await stage.until()
    stage.sandbox.faults.script(kind="404", path_pattern="/v1/data_sources/.*/query", skip=2)

    with pytest.raises(EntityUnavailable):
        await stage.looks.edited(RISK, Priority.MANUAL)

    assert await stage.until() == before
    assert len(await stage.look()) == 250


async def test_who_comes_while_somebody_looks_or_soon_after_shares_the_look(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.look()
    stage.sandbox.people.edit(page, {"Title": "Ramp"})
    stage.sandbox.clear_requests()

    first, second = await asyncio.gather(stage.looks.shared(RISK), stage.looks.shared(RISK))
    stage.clock.turn(SHARED_S)
    third = await stage.looks.shared(RISK)

    assert first[page].values["title"] == "Ramp"
    assert first is second is third
    assert stage.sandbox.count() == 1


async def test_who_comes_later_looks_again(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.looks.shared(RISK)
    stage.sandbox.people.edit(page, {"Title": "Ramp"})
    stage.clock.turn(SHARED_S + 0.1)

    found = await stage.looks.shared(RISK)

    assert found[page].values["title"] == "Ramp"


async def test_a_look_that_failed_is_shared_with_nobody(stage: Stage) -> None:
    page = await stage.link("r1")
    stage.sandbox.faults.script(kind="404", path_pattern="/v1/data_sources/.*/query")

    with pytest.raises(EntityUnavailable):
        await stage.looks.shared(RISK)

    assert not stage.looks.lately(RISK)
    assert page in await stage.looks.shared(RISK)
    assert stage.looks.lately(RISK)
    stage.clock.turn(SHARED_S + 0.1)
    assert not stage.looks.lately(RISK)


async def test_a_page_that_is_edited_while_the_leaves_are_turned_hides_no_other(stage: Stage) -> None:
    pages = []
    for number in range(250):
        pages.append(await stage.link(f"r{number}"))
        stage.clock.turn(60)
    await stage.look()
    stage.clock.turn(3600)
    for page in pages:
        stage.sandbox.people.edit(page, {"Title": "Ramp"})
        stage.clock.turn(60)

    since = datetime.fromtimestamp(stage.clock.now_s - 250 * 60, UTC)
    seen: set[PageId] = set()
    async for batch in stage.sink.edited_since(RISK, since, priority=Priority.MANUAL):
        seen |= {page.page_id for page in batch}
        # among those that the reader has not come to yet
        moved = sorted(set(pages) - seen)[:3]
        for page in moved:
            stage.sandbox.people.edit(page, {"Title": "Stairs"})
        stage.clock.turn(60)
        seen |= set(moved)

    assert seen == set(pages)


@pytest.mark.parametrize("minutes_apart", [1, 0], ids=["over time", "all at once"])
async def test_more_edits_than_one_query_returns_are_all_seen(stage: Stage, minutes_apart: int) -> None:
    pages = []
    for number in range(60):
        pages.append(await stage.link(f"r{number}"))
        stage.clock.turn(60)
    await stage.look()
    stage.clock.turn(3600)
    stage.sandbox.switches.update({"query_result_cap": 25})
    for page in pages:
        stage.sandbox.people.edit(page, {"Title": "Ramp"})
        stage.clock.turn(60 * minutes_apart)

    assert len(await stage.look()) == 60


async def test_a_scan_goes_past_the_most_that_a_query_returns(stage: Stage) -> None:
    for number in range(60):
        await stage.link(f"r{number}")
        stage.clock.turn(30)
    stage.sandbox.switches.update({"query_result_cap": 25})

    seen = [page.page_id async for batch in stage.sink.scan(RISK) for page in batch]

    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize("state", [PageState.UNLINKED, PageState.TRASHED])
async def test_a_page_that_is_here_again_is_marked_though_it_shows_what_it_did(stage: Stage, state: PageState) -> None:
    page = await stage.link("r1")
    await stage.look()
    stage.sandbox.people.trash(page)
    await stage.state("r1", state)

    stage.sandbox.people.restore(page)

    assert await stage.look() == {risk("r1")}


async def test_a_page_that_was_moved_to_another_database_is_marked_there(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.look()

    stage.sandbox.people.move(page, "Complaints")

    assert await stage.look(by_name("complaint")) == {risk("r1")}


@pytest.mark.parametrize("changed", ["taken away", "added"])
async def test_an_edit_of_one_side_of_a_relation_marks_the_record_on_the_other(stage: Stage, changed: str) -> None:
    first, second = await stage.participant("p"), await stage.participant("p2")
    plan = by_name("ndisplan")
    page = await stage.link("n", plan, planNumber="PLAN-1", participant=[first])
    await stage.link("n2", plan, planNumber="PLAN-2", participant=[second])
    participants = by_name("participant")
    assert await stage.look(participants) == set()

    if changed == "taken away":
        stage.sandbox.people.edit(first, {"NDIS Plan": []})
    else:
        kept = stage.sandbox.people.row(second)["properties"]["NDIS Plan"]
        stage.sandbox.people.edit(second, {"NDIS Plan": [*kept, page]})

    assert await stage.look(participants) == {Key("ndisplan", "n")}
    refused = {"participant": {
        "value": stage.sandbox.people.row(page)["properties"]["Participant"], "since": "2026-03-05", "reason": "No.",
    }}
    await stage.run(
        'update "NotionSyncMapping" set refused = %(refused)s where "systemId" = \'n\'', refused=Jsonb(refused)
    )
    # known to stand there: nothing to look at again
    assert await stage.look(participants) == set()


async def test_a_page_that_nobody_linked_is_marked_until_it_was_judged_and_again_when_it_changes(stage: Stage) -> None:
    page = stage.sandbox.people.create("Risks", {"Title": "Mine"})
    key = Key(strays.KIND, page)
    assert await stage.look() == {key}
    assert await stage.look() == {key}

    (seen,) = [seen async for batch in stage.sink.scan(RISK) for seen in batch]
    await flagged(stage, stage.sink, page)

    assert await stage.look() == set()
    stage.sandbox.people.edit(page, {"Category": "falls"})
    assert await stage.look() == {key}
    assert seen.system_id is None


async def flagged(stage: Stage, sink: NotionSink, page_id: str) -> None:
    from cdc.watch.comparing import facts_of

    async with sink.turn(Priority.LIVE):
        _, page = await sink.identify(PageId(page_id))
    await strays.flag(
        stage.conn, strays.Stray(page.page_id, "risk", None, "new", None, facts_of(page), page.edited_at)
    )


async def test_a_page_that_is_being_made_is_left_to_whoever_makes_it(stage: Stage) -> None:
    await links.intend(
        stage.conn, RISK.table, "r1", database_id=stage.sink.database_of(RISK), direction="both", pushing={}
    )
    async with stage.sink.turn(Priority.LIVE):
        await stage.sink.create(RISK, {"systemId": "r1", "title": "Ramp"})

    assert await stage.look() == set()
