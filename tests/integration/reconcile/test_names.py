"""A name that pages show of another row changes there and back, and no page is left with what was between."""

from __future__ import annotations

from typing import Final

from cdc.reconcile.fanout import Fanout
from cdc.reconcile.reading import Reader
from sinks.mapping.entities import ENTITIES, by_name
from sinks.mapping.model import LookupVia
from state import lookups, work
from state.changes import Key, Priority, Reason
from state.work import Claim
from tests.integration.looking.stage import ZONE, Stage

PLAN: Final = by_name("ndisplan")
MANAGER: Final = Key("user", "manager")
CAST: Final = """
insert into public."User" (id, name, email, role, "updatedAt")
select id, case id when 'manager' then 'Before' end, id || '@example.org', role::public."UserRole", now()
from (values ('manager', 'PLAN_MANAGER'), ('p1', 'PARTICIPANT'), ('p2', 'PARTICIPANT')) v (id, role)
"""
PLANS: Final = """
insert into public."NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget",
    "remainingBudget", "planManagerId", "updatedAt")
select id, id, id, now(), now(), 1, 1, 'manager', now() from unnest('{p1,p2}'::text[]) id
"""
RENAME: Final = """update public."User" set name = %(name)s where id = 'manager'"""


def reader(stage: Stage) -> Reader:
    return Reader(
        stage.pool, stage.rows, time_zone=ZONE, directions={}, enabled=frozenset(entity.name for entity in ENTITIES)
    )


async def due(stage: Stage, *keys: Key) -> list[Claim]:
    """Mark these keys, be done with all that is due, and return its claims."""
    claims = await claimed(stage, *keys)
    async with stage.pool.connection() as conn:
        await work.finish(conn, claims)
    return claims


async def claimed(stage: Stage, *keys: Key) -> list[Claim]:
    """Mark these keys and return the claims of all that is due."""
    await work.mark(stage.conn, dict.fromkeys(keys, None), reason=Reason.OURS, priority=Priority.LIVE)
    return list(await stage.queue.claim(limit=100, lowest=Priority.BACKFILL))


async def shown(stage: Stage, system_id: str) -> object:
    """Read a plan as the program does and return the name that its page would show."""
    (claim,) = await due(stage, Key(PLAN.name, system_id))
    (now,) = await reader(stage).read(PLAN, [claim])
    assert now.ours is not None
    return now.ours.values["planManager"]


def plans(claims: list[Claim]) -> set[str]:
    return {claim.system_id for claim in claims if claim.entity == PLAN.name}


async def spread(stage: Stage, claims: list[Claim]) -> set[str]:
    """Work off the manager's key and return the plans that are due then."""
    (claim,) = [claim for claim in claims if claim.key == MANAGER]
    fanout = Fanout(stage.pool, stage.rows, ENTITIES)
    if claim in await fanout.unchanged([claim]):
        async with stage.pool.connection() as conn:
            await work.finish(conn, [claim])
    else:
        assert await fanout.settle(claim)
    return plans(await due(stage))


async def test_a_name_that_changed_there_and_back_is_put_right_where_it_was_seen_between(stage: Stage) -> None:
    await stage.run(CAST)
    await stage.run(PLANS)
    assert await shown(stage, "p1") == "Before"
    await stage.run(RENAME, name="Between")
    assert await shown(stage, "p2") == "Between"
    await stage.run(RENAME, name="Before")

    assert await spread(stage, await claimed(stage, MANAGER)) == {"p1", "p2"}


async def test_a_name_that_is_seen_while_another_one_is_spread_is_put_right(stage: Stage) -> None:
    await stage.run(CAST)
    await stage.run(PLANS)
    assert await shown(stage, "p1") == "Before"
    await stage.run(RENAME, name="Between")
    (claim,) = await claimed(stage, MANAGER)
    name, _ = (await stage.rows.shown(LookupVia.USER, {"manager": None}))["manager"]
    await lookups.spread(stage.conn, MANAGER, lookups.digest(name))
    await stage.run(RENAME, name="After")
    assert await shown(stage, "p2") == "After"
    await stage.run(RENAME, name="Between")

    async with stage.conn.transaction():
        await work.hold(stage.conn, claim)
        await lookups.remember(stage.conn, MANAGER, lookups.digest(name))
        await work.finish(stage.conn, [claim])

    assert await spread(stage, await claimed(stage)) == {"p1", "p2"}


async def test_a_name_that_is_as_it_was_marks_nobody(stage: Stage) -> None:
    await stage.run(CAST)
    await stage.run(PLANS)
    await shown(stage, "p1")
    await stage.run(RENAME, name="After")
    assert await spread(stage, await claimed(stage, MANAGER)) == {"p1", "p2"}
    assert await shown(stage, "p1") == "After"

    assert await spread(stage, await claimed(stage, MANAGER)) == set()
