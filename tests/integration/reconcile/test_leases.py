"""A worker whose lease ended is overtaken at any moment: it changes nothing any more, and stops nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from cdc.operate.orders import Orders
from cdc.reconcile.effects import Effects
from cdc.reconcile.plan import Resolve
from cdc.reconcile.reading import Reader
from cdc.reconcile.returning import Returning
from cdc.reconcile.settling import Settling
from cdc.watch.pausing import Paused
from cdc.watch.schema import SchemaWatch
from sinks.mapping.entities import ENTITIES, by_name
from sinks.notion.client import NotionClient
from sinks.notion.pacing import Pacer
from sinks.notion.schemas import Schemas
from state import conflicts, forgetting, links, parking, work
from state.changes import Key, Priority, Reason
from state.errors import PoisonError
from state.links import PageState
from state.work import Claim, LeaseLost
from tests.integration.looking.stage import RISK, ZONE, Stage

KEY: Final = Key("risk", "r1")
WAITS: Final = "select exists (select from pg_locks where not granted)"


async def claimed(stage: Stage) -> Claim:
    await work.mark(stage.conn, {KEY: None}, reason=Reason.OURS, priority=Priority.LIVE)
    (claim,) = await stage.queue.claim(limit=1, lowest=Priority.BACKFILL)
    return claim


async def overtaken(stage: Stage) -> Claim:
    """Return a claim whose key somebody else has in hand by now."""
    claim = await claimed(stage)
    await stage.queue.take_over()
    await stage.queue.claim(limit=1, lowest=Priority.BACKFILL)
    return claim


def reader(stage: Stage) -> Reader:
    return Reader(
        stage.pool, stage.rows, time_zone=ZONE, directions={}, enabled=frozenset(entity.name for entity in ENTITIES)
    )


def effects(stage: Stage) -> Effects:
    reads = reader(stage)
    settling = Settling(stage.pool, stage.sink, reads, time_zone=ZONE)
    return Effects(stage.pool, stage.queue, stage.sink, reads, settling, lookup_window_s=0.0)


def returning(stage: Stage) -> Returning:
    client = NotionClient(stage.sandbox.token, base_url=stage.sandbox.url, pacer=Pacer(0))
    watch = SchemaWatch(stage.pool, Schemas(client), stage.sink, ENTITIES, Paused())
    return Returning(stage.pool, watch, {}, sink_down=lambda: False, observer=lambda *_: None)


async def state_of(stage: Stage) -> str:
    return (await links.load(stage.conn, RISK.table, ["r1"]))["r1"].state


async def test_what_is_in_hand_when_a_property_is_made_again_is_taken_back(stage: Stage) -> None:
    await stage.insert("r1")
    await stage.link("r1")
    claim = await claimed(stage)

    async with stage.conn.transaction():
        await forgetting.empty_fields(stage.conn, "risk", RISK.table, {"category": None})

    with pytest.raises(LeaseLost):
        await work.hold(stage.conn, claim)
    (again,) = await stage.queue.claim(limit=1, lowest=Priority.BACKFILL)
    assert (again.gen, again.attempts) == (claim.gen, claim.attempts)


async def test_who_searched_for_too_long_does_not_unsettle_what_was_linked_meanwhile(stage: Stage) -> None:
    await stage.insert("r1")
    page = await stage.link("r1")
    stage.sandbox.people.duplicate(page)
    claim = await overtaken(stage)
    (now,) = await reader(stage).read(RISK, [claim])

    with pytest.raises(LeaseLost):
        await effects(stage).resolve(now, Resolve(wanted=True))

    assert await state_of(stage) == PageState.LIVE


async def test_two_pages_of_one_row_are_a_persons_to_tell_apart(stage: Stage) -> None:
    await stage.insert("r1")
    page = await stage.link("r1")
    stage.sandbox.people.duplicate(page)
    await stage.conn.execute("""update "NotionSyncMapping" set "notionPageId" = null, "pageState" = 'intended'""")
    (now,) = await reader(stage).read(RISK, [await claimed(stage)])

    with pytest.raises(PoisonError):
        await effects(stage).resolve(now, Resolve(wanted=True))

    assert await state_of(stage) == PageState.AMBIGUOUS


@pytest.mark.parametrize(
    "gives_up",
    [
        lambda returning, claim: returning.park(claim, "reason", "message"),
        lambda returning, claim: returning.failed(claim, PoisonError("reason", "message")),
        lambda returning, claim: returning.release(claim, 0.0),
        lambda returning, claim: returning.finish([claim]),
    ],
    ids=["parks", "fails", "releases", "finishes"],
)
async def test_who_was_overtaken_leaves_the_key_to_the_other_and_goes_on(
    stage: Stage, gives_up: Callable[[Returning, Claim], Awaitable[None]]
) -> None:
    claim = await overtaken(stage)

    await gives_up(returning(stage), claim)

    assert await parking.named(stage.conn) == ()
    row = await (await stage.conn.execute("select fence from work")).fetchone()
    assert row is not None
    assert row[0] > claim.fence


async def test_a_decision_and_the_work_on_its_record_never_wait_for_each_other(stage: Stage) -> None:
    await stage.insert("r1")
    page = await stage.link("r1")
    facts: dict[str, Any] = {
        "entity_type": RISK.table, "system_id": "r1", "page_id": page, "field": "title", "base": "a", "mapable": "b",
        "notion": "c", "mapable_at": None, "notion_at": None, "notion_by": None, "rule": "manual-review",
    }
    seen = await conflicts.put_open(stage.conn, **facts)
    claim = await claimed(stage)
    orders = Orders(stage.pool, stage.rows, [by_name("risk")])

    async with stage.pool.connection() as worker, worker.transaction():
        await work.hold(worker, claim)
        deciding = asyncio.create_task(orders.decide(seen.id, seen.version, "mapable"))
        await until_somebody_waits(stage)
        await conflicts.put_open(worker, **facts, seen=seen.version)
    decided = await deciding

    assert decided.status == "deciding"


async def until_somebody_waits(stage: Stage) -> None:
    async with asyncio.timeout(10):
        row = None
        while row is None or not row[0]:
            row = await (await stage.conn.execute(WAITS)).fetchone()
