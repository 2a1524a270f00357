"""The sweep: what differs, what is missing and what nobody knows is marked, at the price of reading every page once."""

from __future__ import annotations

import pytest

from deploy.sandbox.server import Sandbox
from sinks.base import EntityUnavailable
from sinks.mapping.entities import by_name
from state import looks, marking, settings, strays
from state.changes import Key, PageId
from state.links import PageState
from tests.integration.looking.stage import RISK, Stage


def risk(system_id: str) -> Key:
    return Key("risk", system_id)


def stray(page: str) -> Key:
    return strays.key_of(PageId(page))


async def swept(stage: Stage) -> looks.Sweep:
    """Sweep the risks, whose pages were looked through before."""
    await settings.scanned(stage.conn, "risk")
    return await stage.sweeping.sweep(RISK)


def counts(found: looks.Sweep) -> tuple[int | None, ...]:
    return found.pages, found.differing, found.missing, found.unknown


async def test_pages_that_are_as_agreed_cost_a_read_of_a_hundred_and_nothing_else(stage: Stage) -> None:
    for number in range(250):
        await stage.link(f"r{number}")
    stage.sandbox.clear_requests()

    found = await swept(stage)

    assert counts(found) == (250, 0, 0, 0)
    assert queries(stage.sandbox) == stage.sandbox.count() == 3
    assert await stage.marked() == set()


def queries(sandbox: Sandbox) -> int:
    return sandbox.count("POST", "/v1/data_sources/.*/query")


async def test_an_edit_of_long_ago_that_no_look_saw_is_found(stage: Stage) -> None:
    page = await stage.link("r1")
    await stage.link("r2")
    stage.sandbox.people.edit(page, {"Title": "Ramp"})
    stage.clock.turn(90 * 86_400)
    await looks.move(stage.conn, "risk", stage.sink.database_of(RISK), await looks.now(stage.conn))

    found = await swept(stage)

    assert counts(found) == (2, 1, 0, 0)
    assert await stage.marked() == {risk("r1")}


@pytest.mark.parametrize("gone", ["trash", "purge", "move", "archive", "unshare"])
@pytest.mark.parametrize("state", [PageState.LIVE, PageState.UNLINKED])
async def test_the_row_of_a_page_that_does_not_show_up_is_marked(stage: Stage, gone: str, state: PageState) -> None:
    page = await stage.link("r1")
    await stage.link("r2")
    await stage.state("r1", state)
    getattr(stage.sandbox.people, gone)(page)

    found = await swept(stage)

    assert counts(found) == (1, 0, 1, 0)
    assert await stage.marked() == {risk("r1")}


async def test_the_page_of_a_deleted_row_is_not_missed(stage: Stage) -> None:
    page = await stage.link("r1")
    stage.sandbox.people.trash(page)
    await stage.state("r1", PageState.TRASHED)

    assert counts(await swept(stage)) == (0, 0, 0, 0)


async def test_pages_that_nobody_linked_are_judged_again_each_time(stage: Stage) -> None:
    page = stage.sandbox.people.create("Risks", {"Title": "Mine"})

    assert counts(await swept(stage)) == (1, 0, 0, 1)
    await stage.judge(page)

    assert counts(await swept(stage)) == (1, 0, 0, 1)
    assert await stage.marked() == {stray(page)}


async def test_a_stray_that_does_not_show_up_any_more_is_looked_at(stage: Stage) -> None:
    page = stage.sandbox.people.create("Risks", {"Title": "Mine"})
    await stage.judge(page)
    stage.sandbox.people.trash(page)

    assert counts(await swept(stage)) == (0, 0, 1, 0)
    assert await stage.marked() == {stray(page)}


async def test_every_row_is_marked_as_well(stage: Stage) -> None:
    await swept(stage)

    assert [item.entity for item in await marking.under_way(stage.conn)] == ["risk"]


async def test_what_was_found_is_kept_and_when_it_began(stage: Stage) -> None:
    await stage.link("r1")
    before = await looks.now(stage.conn)

    found = await swept(stage)

    (kept,) = await looks.sweeps(stage.conn)
    assert kept == found
    assert before <= kept.swept_at <= await looks.now(stage.conn)


async def test_a_database_that_cannot_be_read_was_not_swept(stage: Stage) -> None:
    await looks.request(stage.conn, ["risk"])
    await settings.scanned(stage.conn, "risk")
    stage.sandbox.people.unshare("Risks")

    with pytest.raises(EntityUnavailable):
        await stage.sweeping.sweep(RISK)

    assert await looks.due(stage.conn, 0) == {"risk"}


async def test_a_sweep_is_due_after_its_interval_and_when_it_is_asked_for(stage: Stage) -> None:
    await looks.begin(stage.conn, ["risk", "complaint"])
    assert await looks.due(stage.conn, 3600) == set()
    assert await looks.due(stage.conn, 0) == set()
    await stage.run("update look set swept_at = swept_at - interval '2 hours' where entity = 'risk'")
    assert await looks.due(stage.conn, 3600) == {"risk"}

    await looks.request(stage.conn)

    everything = {source.entity for source in (await settings.data_sources(stage.conn)).values()}
    assert await looks.due(stage.conn, 0) == everything


async def test_what_is_asked_for_while_a_sweep_is_under_way_is_done_after_it(stage: Stage) -> None:
    database_id = stage.sink.database_of(RISK)
    await looks.begin(stage.conn, ["risk"])
    began_at = await looks.now(stage.conn)
    await looks.request(stage.conn, ["risk"])

    await looks.swept(stage.conn, looks.Sweep("risk", began_at, False, 0, 0, 0, 0), database_id)

    assert await looks.due(stage.conn, 3600) == {"risk"}


async def test_what_stands_already_is_linked_before_it_is_compared(stage: Stage) -> None:
    await stage.insert("r1")
    stage.sandbox.people.create("Risks", {"Title": "Ramp", "System ID": "r1"})

    found = await stage.sweeping.sweep(by_name("risk"))

    assert counts(found) == (1, 0, 0, 0)
    rows = await stage.conn.execute("select entity, system_id from work")
    assert await rows.fetchall() == [("risk", "r1")]


async def test_a_page_that_trips_us_up_is_told_without_its_values_and_ends_nothing(stage: Stage) -> None:
    await stage.link("r1")
    await settings.scanned(stage.conn, "risk")
    await looks.begin(stage.conn, ["risk"])
    await stage.run("""update "NotionSyncMapping" set base = '{"title": "secret"}'""")

    await stage.sweeping.attempt(RISK)

    (found,) = [sweep for sweep in await looks.sweeps(stage.conn) if sweep.entity == "risk"]
    assert found.trouble is not None
    assert "AttributeError" in found.trouble
    assert "secret" not in found.trouble
