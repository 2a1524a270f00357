"""What follows from a changed schema, on a real sidecar: stored at once or not at all, and never under work in hand."""

from __future__ import annotations

import asyncio

import pytest
from psycopg.types.json import Jsonb

from sinks.base import EntityUnavailable
from sinks.mapping.entities import by_name
from state.changes import Key, Priority, Reason
from state.settings import data_sources
from state.work import WorkQueue, mark, release
from tests.integration.databases.conftest import Place
from tests.system import waiting

RISK = by_name("risk")
LINK = """
insert into "NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState", base)
values ('Risk', %(id)s, %(page)s, 'live', %(base)s)
"""
BASE = """select base -> %(field)s from "NotionSyncMapping" where "systemId" = %(id)s"""


async def linked(place: Place, system_id: str, level: str, *, agreed: bool = True) -> str:
    """Make a page, and a link as it stands after it was written (or only found)."""
    page_id = place.sandbox.people.create(
        "Risks", {"Title": "x", "Risk Level": level, "Category": "falls", "System ID": system_id}
    )
    halves = ("sent", "got") if agreed else ("got",)
    base = {key: dict.fromkeys(halves, value) for key, value in (("riskLevel", level), ("category", "falls"))}
    await place.conn.execute(LINK, {"id": system_id, "page": page_id, "base": Jsonb(base)})
    return page_id


async def base(place: Place, system_id: str, field: str) -> object:
    row = await (await place.conn.execute(BASE, {"id": system_id, "field": field})).fetchone()
    assert row is not None
    return row[0]


async def holds_still(place: Place) -> bool:
    return "risk" in place.paused.names(0.0)


async def marked(place: Place) -> list[str]:
    cursor = await place.conn.execute("select system_id from work order by 1")
    return [row[0] for row in await cursor.fetchall()]


async def test_where_a_removed_option_was_agreed_on_nothing_is_and_the_row_is_marked(place: Place) -> None:
    await linked(place, "high", "HIGH")
    await linked(place, "low", "LOW")
    place.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")

    await place.watch.check(RISK)

    assert await base(place, "high", "riskLevel") == {"sent": None, "got": None}
    assert await base(place, "low", "riskLevel") == {"sent": "LOW", "got": "LOW"}
    assert await marked(place) == ["high"]


async def test_what_a_field_shows_when_it_is_back_is_agreed_on(place: Place) -> None:
    kept, lost = await linked(place, "kept", "HIGH"), await linked(place, "lost", "HIGH")
    await linked(place, "found", "HIGH", agreed=False)
    place.sandbox.people.retype_property("Risks", "Category", "number")
    await place.watch.check(RISK)
    place.sandbox.people.retype_property("Risks", "Category", "rich_text")
    place.sandbox.people.edit(kept, {"Category": "falls"})
    place.sandbox.people.edit(lost, {"Category": "what is left"})

    await place.watch.check(RISK)

    assert await base(place, "kept", "category") == {"sent": "falls", "got": "falls"}
    assert await base(place, "lost", "category") == {"sent": "what is left", "got": "what is left"}
    # a page that was only found is not made ours by a change of the schema: it could go to the trash with a row
    assert await base(place, "found", "category") == {"got": "falls"}
    cursor = await place.conn.execute("select entity from marking")
    assert await cursor.fetchall() == [("risk",)]


async def test_links_do_not_change_under_a_key_in_hand(place: Place) -> None:
    await linked(place, "high", "HIGH")
    await mark(place.conn, {Key("risk", "high"): None}, reason=Reason.OURS, priority=Priority.LIVE)
    [claim] = await WorkQueue(place.pool, lease_s=60).claim(limit=9, lowest=Priority.BACKFILL)
    place.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")

    async with asyncio.TaskGroup() as tasks:
        checking = tasks.create_task(place.watch.check(RISK))
        await waiting.until(place.sandbox, lambda: holds_still(place), 10.0)
        assert await base(place, "high", "riskLevel") == {"sent": "HIGH", "got": "HIGH"}
        assert not checking.done()
        assert place.paused.reasons == {}
        await release(place.conn, claim, wait_s=0, counts=False)

    assert await base(place, "high", "riskLevel") == {"sent": None, "got": None}
    assert place.paused.names(0.0) == ()


async def test_askers_share_a_look_and_are_told_whether_to_try_again(place: Place) -> None:
    assert not await place.watch.check_now(RISK)
    place.sandbox.people.remove_property("Risks", "Category")
    place.sandbox.clear_requests()

    told = await asyncio.gather(*(place.watch.check_now(RISK) for _ in range(20)))

    assert set(told) == {True}
    assert len(place.sandbox.requests) <= 4
    # what follows is for `run` to do: the asker has a key in hand
    assert not place.sink.paused(RISK)


async def test_a_write_that_began_before_what_was_found_is_tried_again(place: Place) -> None:
    place.sandbox.people.remove_property("Risks", "Category")
    await place.watch.check(RISK)

    assert place.sink.paused(RISK) == {"category"}
    assert await place.watch.check_now(RISK)


async def test_every_asker_is_told_that_the_database_is_out_of_reach(place: Place) -> None:
    place.sandbox.people.unshare("Risks")

    told = await asyncio.gather(*(place.watch.check_now(RISK) for _ in range(5)), return_exceptions=True)

    assert {type(one) for one in told} == {EntityUnavailable}


async def test_a_database_that_is_shared_again_goes_on(place: Place) -> None:
    place.sandbox.people.unshare("Risks")
    await place.watch.check(RISK)
    assert place.paused.names(1e9) == ("risk",)
    assert "not shared" in str((await data_sources(place.conn))["risk"].unavailable)
    place.sandbox.people.share("Risks")

    await place.watch.check(RISK)

    assert place.paused.names(0.0) == ()
    assert (await data_sources(place.conn))["risk"].unavailable is None


async def test_without_system_ids_no_page_is_made_or_looked_for(place: Place) -> None:
    place.sandbox.people.remove_property("Risks", "System ID")
    await place.watch.check(RISK)

    with pytest.raises(EntityUnavailable, match="System ID of Risks was removed"):
        await place.sink.create(RISK, {"title": "x"})
    with pytest.raises(EntityUnavailable):
        await place.sink.find(RISK, "x")


async def test_a_schema_that_may_not_grow_is_no_reason_to_stop_watching(place: Place) -> None:
    place.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")
    place.sandbox.people.remove_property("Risks", "Category")
    place.sandbox.switches.update({"schema_limit_bytes": 1})

    await place.watch.check(RISK)

    assert place.sink.paused(RISK) == {"category"}
    assert "HIGH" not in place.sink.sources["risk"].options["riskLevel"].values()
