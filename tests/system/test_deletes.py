"""Many rows go at once: the first pages follow, the rest waits for a person, and rows that are back end the wait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.system.invoked import Said, invoke
from tests.system.scene import Scene, staged

PEOPLE: Final = """
insert into "User" (id, name, email, role, "updatedAt")
select 'p' || lpad(n::text, 2, '0'), 'Person ' || n, n || '@example.org', 'PARTICIPANT', now()
from generate_series(1, 60) n
"""
PLANS: Final = """
insert into "User" (id, name, email, role, "updatedAt") values ('provider', 'provider', 'p', 'PROVIDER', now());
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt")
select 'plan-' || id, id, 'N-' || id, now(), now(), 1, 1, now() from "User" where role = 'PARTICIPANT';
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
select 'care-' || n, 'p01', 'plan ' || n, '[]', '[]', now(), now(), 'Active', now() from generate_series(1, 12) n;
insert into "PaymentTransaction" (id, "planId", "participantId", "providerId", "serviceCode", amount)
select 'payment-' || n, 'plan-p02', 'p02', 'provider', 'S', n from generate_series(1, 9) n;
"""
HELD: Final = "select array_agg(system_id order by system_id) from notion_sync.deletion where state = 'held'"


@pytest.fixture
async def scene(mapable_dsn: str) -> AsyncIterator[Scene]:
    """Sixty participants with their pages."""
    async with staged(mapable_dsn) as scene:
        await scene.run(PEOPLE)
        await scene.settled()
        scene.sandbox.clear_requests()
        yield scene


def standing(scene: Scene, database: str = "Participants") -> set[str]:
    return {row["properties"]["System ID"] for row in scene.sandbox.people.rows(database)}


def trashed(scene: Scene) -> int:
    return sum(request.body == {"in_trash": True} for request in scene.writes())


async def types(scene: Scene, *arguments: str) -> Said:
    return await invoke({**scene.env, "LOG_LEVEL": "error"}, *arguments)


async def listed(scene: Scene) -> list[dict[str, Any]]:
    shown = await types(scene, "deletes", "list", "--json")
    assert shown.code in (0, 1), shown.err
    found: list[dict[str, Any]] = json.loads(shown.out)["deletes"]
    assert shown.code == bool(found)
    return found


async def actions(scene: Scene, action: str) -> int:
    return int(
        await scene.value("select count(*) from notion_sync.audit_log where action = %(action)s", action=action)
    )


async def test_thirty_of_sixty_participants_go_at_once(scene: Scene) -> None:
    await scene.run("""delete from "User" where id <= 'p30'""")
    await scene.settled()

    held = [item["systemId"] for item in await listed(scene)]
    assert trashed(scene) == 5
    assert len(held) == 25
    assert standing(scene) == set(held) | {f"p{n}" for n in range(31, 61)}
    assert await actions(scene, "delete.held") == 25
    assert await actions(scene, "page.trashed") == 5
    assert await scene.value("select count(*) from notion_sync.parked") == 0
    said = [line for line in scene.service.lines if "deletes.held" in line]
    assert len(said) == 1, "an operator is told once, not for each page"

    # approving a few
    first, second = held[:2]
    assert (await types(scene, "deletes", "approve", first, second)).out == "2 approved.\n"
    await scene.until(lambda: {first, second}.isdisjoint(standing(scene)))
    assert len(await listed(scene)) == 23
    assert (await types(scene, "deletes", "approve", first)).code == 1

    # keeping one
    kept = held[2]
    assert (await types(scene, "deletes", "reject", kept)).out == "1 rejected.\n"
    await scene.settled()
    assert kept in standing(scene)
    assert await scene.value(
        """select "pageState" from notion_sync."NotionSyncMapping" where "systemId" = %(id)s""", id=kept
    ) == "unlinked"

    # rows that are back
    for back in (kept, *held[3:6]):
        await scene.run(
            """insert into "User" (id, name, email, role, "updatedAt")
               values (%(id)s, 'Back', %(id)s || '@example.org', 'PARTICIPANT', now())""",
            id=back,
        )
    await scene.settled()
    assert [item["systemId"] for item in await listed(scene)] == held[6:]
    assert all(scene.shows("Participants", back, Name="Back") for back in (kept, *held[3:6]))
    assert await actions(scene, "delete.undone") == 4

    # the rest goes
    assert (await types(scene, "deletes", "approve", "--all")).out == f"{len(held[6:])} approved.\n"
    await scene.until(lambda: standing(scene).isdisjoint(held[6:]))
    await scene.settled()
    assert await listed(scene) == []
    assert await actions(scene, "delete.approved") == 2 + len(held[6:])
    assert await actions(scene, "delete.rejected") == 1


async def test_what_one_participant_s_deletion_took_along_counts_as_one(scene: Scene) -> None:
    await scene.run(PLANS)
    await scene.settled()

    await scene.run("""delete from "User" where id = 'p01'""")
    await scene.settled()

    assert await listed(scene) == []
    assert standing(scene, "Care Plans") == set()
    assert "plan-p01" not in standing(scene, "NDIS Plans")
    assert len(standing(scene)) == 59


async def test_a_plan_s_payments_count_as_one(scene: Scene) -> None:
    await scene.run(PLANS)
    await scene.settled()

    await scene.run("""delete from "NDISPlan" where id = 'plan-p02'""")
    await scene.settled()

    assert await listed(scene) == []
    assert standing(scene, "Payment Transactions") == set()
    assert {"p02", "p01"} <= standing(scene)


async def test_what_was_taken_along_follows_the_verdict_about_its_participant(scene: Scene) -> None:
    await scene.run(PLANS)
    await scene.settled()

    await scene.run("""delete from "User" where role = 'PARTICIPANT' and id <= 'p20'""")
    await scene.settled()

    held = {item["systemId"] for item in await listed(scene) if item["entity"] == "participant"}
    assert len(held) == 15
    assert standing(scene) == held | {f"p{n}" for n in range(21, 61)}
    plans = standing(scene, "NDIS Plans")
    assert plans == {f"plan-{person}" for person in standing(scene)}, "a person stands with their plan or goes with it"
    assert bool(standing(scene, "Care Plans")) == ("p01" in held)

    waits = sorted(held)[0]
    approved = await types(scene, "deletes", "approve", "--entity", "participant", waits)
    assert approved.code == 0, approved.err
    await scene.until(lambda: waits not in standing(scene) and f"plan-{waits}" not in standing(scene, "NDIS Plans"))
    await scene.settled()
    assert {item["systemId"] for item in await listed(scene) if item["entity"] == "participant"} == held - {waits}


async def test_a_hold_outlives_a_restart_and_a_comparison_of_everything(scene: Scene) -> None:
    await scene.run("""delete from "User" where id <= 'p08'""")
    await scene.settled()
    held = await scene.value(HELD)

    marked = await types(scene, "backfill", "--entity", "participant")

    assert marked.code == 0, marked.err
    await scene.settled()
    assert len(held) == 3
    assert await scene.value(HELD) == held
    assert set(held) <= standing(scene)


@pytest.mark.parametrize(("arguments", "said"), [
    (("approve",), "nothing is named"),
    (("reject",), "nothing is named"),
    (("approve", "--all", "p1"), "--all means everything"),
    (("reject", "--all", "--entity", "risk"), "--all means everything"),
])  # fmt: skip
async def test_what_is_meant_has_to_be_said(arguments: tuple[str, ...], said: str) -> None:
    ended = await invoke({}, "deletes", *arguments)

    assert ended.code == 2
    assert said in ended.failure
