"""Webhooks are hints: none, lost, twice or out of order, the same edits end in the same rows, and in no others."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.conftest import copied
from tests.system.desk import subscribe
from tests.system.expectation import actual, expected
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED: Final = 20260303
EDITS: Final = 60
EACH: Final = range(4)
"""So many rows of each table; of the last one nobody edits the page."""

ROWS: Final = """
insert into "User" (id, name, email, role, "updatedAt")
select p || n, p || n, p || n || '@example.org', 'PARTICIPANT', '2026-01-01' from k;
insert into "NDISPlan" (id, "participantId", "planNumber", status, "startDate", "endDate", "totalBudget",
    "remainingBudget", "updatedAt")
select p || n, p || n, p || n, 'ACTIVE', '2026-01-01', '2026-12-31', 90000, 100, '2026-01-01' from k;
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
select p || n, p || n, 'Plan', '[]', '[]', '2026-02-01', '2026-06-01', 'Active', '2026-01-01' from k;
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "participantId", "updatedAt")
select p || n, 'NEAR_MISS', 'A fall', '2026-03-05 21:15:30', 'w', p || n, '2026-01-01' from k;
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
select p || n, 'Ramp', '', 'LOW', 'Home', 'w', p || n, '2026-01-01' from k;
"""
KEYS: Final = "with k (p, n) as (select %(prefix)s, n from generate_series(0, 3) as n)"

SHARED: Final[Mapping[str, tuple[str, str, tuple[Any, ...]]]] = {
    "Participants.Name": ("User", "name", ("Pat Lee", "Sam Ho", "Kim")),
    "NDIS Plans.Remaining Budget": ("NDISPlan", "remainingBudget", (0, 12.5, 89999.99)),
    "NDIS Plans.Status": ("NDISPlan", "status", ("DRAFT", "SUSPENDED", "ACTIVE")),
    "Care Plans.Plan Name": ("CarePlan", "planName", ("Daily living", "Cooking", "Plan")),
    "Care Plans.Status": ("CarePlan", "status", ("On Hold", "Completed", "Active")),
    "Incidents.Description": ("Incident", "description", ("She fell.", "He slipped.", "A fall")),
    "Incidents.Status": ("Incident", "status", ("RESOLVED", "CLOSED", "REPORTED")),
    "Risks.Title": ("Risk", "title", ("Stairs", "Ramp", "Bath")),
    "Risks.Risk Level": ("Risk", "riskLevel", ("HIGH", "CRITICAL", "LOW")),
    "Risks.Category": ("Risk", "category", ("Access", "Falls", "Home")),
}
TABLES: Final = sorted({table for table, _, _ in SHARED.values()})
WAYS: Final[Mapping[str, tuple[bool, Mapping[str, float]]]] = {
    "no webhooks at all": (True, {"webhook_loss": 1}),
    "a third of them lost": (True, {"webhook_loss": 0.34}),
    "nothing but webhooks": (False, {}),
    "every one of them twice": (False, {"webhook_duplicate": 1, "webhook_retry_s": 0.1}),
    "shuffled": (False, {"webhook_reorder": 1, "webhook_reorder_s": 0.6}),
}
"""Of each way of being told: whether the program also looks by itself, and what goes wrong with webhooks."""


@dataclass(frozen=True)
class Edit:
    """What a person types into a property of the page of a row."""

    place: str
    row: int
    typed: Any


def edits() -> list[Edit]:
    """Return the same edits every time; some of them take back what an earlier one did."""
    rng = random.Random(SEED)
    places = [rng.choice(sorted(SHARED)) for _ in range(EDITS)]
    return [Edit(place, rng.choice(EACH[:-1]), rng.choice(SHARED[place][2])) for place in places]


@asynccontextmanager
async def told_of(postgres_server: PostgresServer, template: str, *, poll_s: str) -> AsyncIterator[Scene]:
    with copied(postgres_server, template) as dsn:
        async with staged(dsn, NOTION_POLL_SECONDS=poll_s) as scene:
            await subscribe(scene)
            scene.sandbox.switches.update({"webhook_aggregation_s": 0})
            yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenes(postgres_server: PostgresServer, mapable_template: str) -> AsyncIterator[Mapping[bool, Scene]]:
    """A service that looks by itself, and one that does not; every way of being told has rows of its own in one."""
    async with (
        told_of(postgres_server, mapable_template, poll_s="0.2") as looking,
        told_of(postgres_server, mapable_template, poll_s="0") as waiting,
    ):
        for way, (looks, _) in WAYS.items():
            for statement in ROWS.split(";")[:-1]:
                await (looking if looks else waiting).run(f"{KEYS} {statement.strip()}", prefix=way)
        await looking.settled()
        await waiting.settled()
        yield {True: looking, False: waiting}


async def rows_of(scene: Scene, way: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the rows by table and number, with the transaction that wrote each last."""
    return {
        table: {
            int(row["id"].removeprefix(way)): row
            for row in await scene.rows(f'select xmin::text::int8 as xmin, * from "{table}"')  # noqa: S608
            if row["id"].startswith(way)
        }
        for table in TABLES
    }


def after(found: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return what these rows hold when each edit has arrived in its column; all else as it is."""
    wanted = {table: {number: dict(row) for number, row in rows.items()} for table, rows in found.items()}
    for edit in edits():
        table, column, _ = SHARED[edit.place]
        money = isinstance(edit.typed, int | float)
        wanted[table][edit.row][column] = Decimal(str(edit.typed)) if money else edit.typed
    return wanted


def values(rows: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the rows without what says when they were written."""
    return {
        table: {
            number: {column: value for column, value in row.items() if column not in ("xmin", "updatedAt")}
            for number, row in numbered.items()
        }
        for table, numbered in rows.items()
    }


@pytest.mark.parametrize("way", WAYS)
async def test_however_it_is_told_the_same_edits_end_in_the_same_rows(scenes: Mapping[bool, Scene], way: str) -> None:
    looks, switches = WAYS[way]
    scene = scenes[looks]
    before = await rows_of(scene, way)
    scene.sandbox.clear_requests()
    usual = scene.sandbox.switches.as_dict()

    scene.sandbox.switches.update(dict(switches))
    for edit in edits():
        database, _, name = edit.place.partition(".")
        scene.sandbox.people.edit(scene.page_id(database, f"{way}{edit.row}"), {name: edit.typed})
        await scene.value("select 1")    # the program goes on meanwhile
    await scene.until(scene.sandbox.webhooks.idle)
    scene.sandbox.switches.update(usual)

    async def arrived() -> bool:
        return values(await rows_of(scene, way)) == values(after(before))

    await scene.until_async(arrived)
    await scene.settled()
    assert values(await rows_of(scene, way)) == values(after(before))
    assert actual(scene) == await expected(scene)
    assert [request for request in scene.writes() if "sentinel" not in str(request.body)] == []


async def test_the_ways_were_what_they_are_called(scenes: Mapping[bool, Scene]) -> None:
    looking, waiting = scenes[True].sandbox.webhooks, scenes[False].sandbox.webhooks

    assert len(looking.lost) > EDITS / 2
    assert any(each.status == 200 for each in looking.delivered)
    assert waiting.lost == ()
    assert any(each.attempt > 1 for each in waiting.delivered)


@pytest.mark.parametrize("way", WAYS)
async def test_no_row_changes_that_nobody_edited(scenes: Mapping[bool, Scene], way: str) -> None:
    scene = scenes[WAYS[way][0]]
    edited = {(SHARED[edit.place][0], edit.row) for edit in edits()}

    found = await rows_of(scene, way)

    untouched = {
        (table, number): row["xmin"]
        for table, rows in found.items() for number, row in rows.items() if (table, number) not in edited
    }
    assert len(untouched) >= len(TABLES)
    inserted = {table: min(row["xmin"] for row in rows.values()) for table, rows in found.items()}
    assert {key: inserted[key[0]] for key in untouched} == untouched
