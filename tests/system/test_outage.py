"""Notion goes away under a running service: it is told, asked seldom, and followed at once when it is back."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from sinks.notion.pacing import MAX_IN_FLIGHT, PROBE_S
from tests.system.plant import Plant, planted, ready
from tests.system.service import Service
from tests.system.waiting import duplicates

CROWD = """
insert into "User" (id, name, email, role, "updatedAt")
select 'c' || n, 'Person ' || n, 'c' || n || '@example.org', 'PARTICIPANT', now() from generate_series(1, 40) n
"""
EMAILS = """update "User" set email = 'new' || email where id like 'c%'"""
CAPTURED = """
select confirmed_flush_lsn - '0/0' >= %(end)s::numeric from pg_replication_slots where slot_name = %(slot)s
"""


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn, CROWD) as plant:
        yield plant


def down(plant: Plant) -> Callable[[], None]:
    plant.sandbox.switches.update({"outage": True})
    return lambda: plant.sandbox.switches.update({"outage": False})


def refused(plant: Plant) -> Callable[[], None]:
    plant.sandbox.faults.script(kind="401", times=None)
    return plant.sandbox.faults.clear


async def until_told(plant: Plant, service: Service, *, degraded: bool) -> dict[str, object]:
    async def told() -> bool:
        return ("degraded" in (await ready(service))[1]) is degraded

    await plant.until(told)
    status, body = await ready(service)
    assert (status, body["role"], body["streaming"]) == (200, "active", True)
    return body


@pytest.mark.parametrize("goes", [down, refused])
async def test_an_outage_is_told_and_over_with_the_first_answer(
    plant: Plant, goes: Callable[[Plant], Callable[[], None]]
) -> None:
    async with plant.ran() as service:
        plant.sandbox.clear_requests()
        began_s = time.monotonic()
        comes_back = goes(plant)
        await plant.run(EMAILS, """update "Risk" set category = 'later'""")
        body = await until_told(plant, service, degraded=True)
        # what MapAble does meanwhile is kept in the queue, and the log may go
        end = await plant.value("select (pg_current_wal_lsn() - '0/0')::int8")
        await plant.until_true(CAPTURED, end=end)
        behind = json.loads((await plant.types("status", "--json")).out)
        in_vain = sum(request.status in (401, 503) for request in plant.sandbox.requests)
        lasted_s = time.monotonic() - began_s
        plant.sandbox.clear_requests()

        comes_back()

        async def all_there() -> bool:
            rows = plant.sandbox.people.rows("Participants")
            emails = [str(row["properties"]["Email"]) for row in rows]
            return sum(email.startswith("newc") for email in emails) == 40

        await plant.until(all_there)
        await plant.quiet()
        answered_s = [request.at_s for request in plant.sandbox.requests if request.status == 200]
        pauses_s = [later - sooner for sooner, later in pairwise(answered_s)]
        # no second probe was waited for
        assert max(pauses_s) < PROBE_S / 2
        await until_told(plant, service, degraded=False)
        assert plant.page("Risks", "r")["Category"] == "later"
        assert await plant.value("select count(*) from notion_sync.parked") == 0
        assert duplicates(plant.sandbox) == {}
    # what was in flight when it began, and a probe now and then
    assert in_vain <= MAX_IN_FLIGHT + 1 + lasted_s / PROBE_S
    # forty changed rows and one more wait, and since when is told
    assert sum(each["keys"] for each in behind["queue"].values()) >= 41
    assert max(each["oldestAgeSeconds"] for each in behind["queue"].values()) > 0
    assert behind["slot"]["walStatus"] == "reserved"
    assert body["notion"]
    assert "c1@example.org" not in json.dumps(body)
