"""What a person types in Notion is what the column holds: every shared property, exact; every other one comes back.

Nothing tells of the edits but the poll: no webhook is set up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
import pytest_asyncio
from psycopg import sql

from sinks.mapping.instants import naive
from tests.system.one_of_each import PLACES, ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG: Final = "A long story with an emoji 🦘 in it. " * 120
RUNS: Final = {
    "rich_text": [
        {"text": {"content": "She "}}, {"text": {"content": "fell"}, "annotations": {"bold": True}},
        {"text": {"content": " twice,\nand then once more."}},
    ]
}


def utc(text: str) -> datetime:
    return naive(datetime.fromisoformat(text).replace(tzinfo=UTC))


SHARED: Final[tuple[tuple[str, str, Any, str, Any], ...]] = (
    ("Participants", "Name", "Pat Lee-Wong", "name", "Pat Lee-Wong"),
    ("Participants", "Name", None, "name", None),
    ("NDIS Plans", "Plan Number", "PLAN-2", "planNumber", "PLAN-2"),
    ("NDIS Plans", "Status", "SUSPENDED", "status", "SUSPENDED"),
    ("NDIS Plans", "Total Budget", 9999999999.99, "totalBudget", Decimal("9999999999.99")),
    ("NDIS Plans", "Total Budget", 1234.5, "totalBudget", Decimal("1234.50")),
    ("NDIS Plans", "Remaining Budget", 0, "remainingBudget", Decimal("0.00")),
    ("NDIS Plans", "Remaining Budget", 0.1, "remainingBudget", Decimal("0.10")),
    # the stored instant is moved by whole days: 13:30 UTC is half past midnight of the next day in Sydney's summer
    ("NDIS Plans", "Start Date", "2026-01-05", "startDate", utc("2026-01-04T13:30")),
    # on the other side of the change of clocks that would be half past eleven of the day before: the local time stays
    ("NDIS Plans", "Start Date", "2026-07-05", "startDate", utc("2026-07-04T14:30")),
    ("NDIS Plans", "End Date", "2027-01-31", "endDate", utc("2027-01-31T02:00")),
    ("Care Plans", "Plan Name", "Daily living, part 2", "planName", "Daily living, part 2"),
    ("Care Plans", "Status", "On Hold", "status", "On Hold"),
    ("Care Plans", "Status", "Waiting for the family", "status", "Waiting for the family"),
    ("Care Plans", "Start Date", "2026-02-03T09:00:00+11:00", "startDate", utc("2026-02-03T00:00")),
    ("Care Plans", "Review Date", "2026-10-04", "reviewDate", utc("2026-10-04T00:00")),
    ("Incidents", "Incident Type", "SERIOUS_INCIDENT", "incidentType", "SERIOUS_INCIDENT"),
    ("Incidents", "Description", RUNS, "description", "She fell twice,\nand then once more."),
    ("Incidents", "Description", LONG, "description", LONG),
    ("Incidents", "Occurred At", "2026-07-06", "occurredAt", utc("2026-07-05T14:00")),
    ("Incidents", "Occurred At", "2026-03-06T08:00:00.123+00:00", "occurredAt", utc("2026-03-06T08:00:00.123")),
    ("Incidents", "Status", "UNDER_INVESTIGATION", "status", "UNDER_INVESTIGATION"),
    ("Incidents", "NDIS Reported", True, "ndisReported", True),
    ("Complaints", "Complaint Number", "C-2", "complaintNumber", "C-2"),
    ("Complaints", "Source", "WORKER", "source", "WORKER"),
    ("Complaints", "Description", "Very late", "description", "Very late"),
    ("Complaints", "Status", "ESCALATED", "status", "ESCALATED"),
    ("Complaints", "Received At", "2026-04-05T02:30:00+11:00", "receivedAt", utc("2026-04-04T15:30")),
    ("Risks", "Title", "Ramp and stairs", "title", "Ramp and stairs"),
    ("Risks", "Risk Level", "CRITICAL", "riskLevel", "CRITICAL"),
    ("Risks", "Status", "CLOSED", "status", "CLOSED"),
    ("Risks", "Category", "Access", "category", "Access"),
    ("Participants", "Email", "New.Login@example.org", "email", "New.Login@example.org"),
    ("Payment Transactions", "Status", "FAILED", "status", "FAILED"),
)
OPENED: Final = "participant.email,payment.status"

KEPT: Final[tuple[tuple[str, str, Any], ...]] = (
    ("Participants", "Participant ID", "someone-else"),
    ("Participants", "Status", "Inactive"),
    ("NDIS Plans", "Participant", []),
    ("NDIS Plans", "Plan Manager", "Me"),
    ("Care Plans", "Participant", []),
    ("Care Plans", "Worker", None),
    ("Care Plans", "Goals", "None"),
    ("Incidents", "Incident", "Nothing happened"),
    ("Incidents", "Participant", []),
    ("Incidents", "NDIS Reported", False),
    ("Complaints", "Participant", []),
    ("Risks", "Participant", []),
    ("Payment Transactions", "Transaction ID", "t2"),
    ("Payment Transactions", "Participant", []),
    ("Payment Transactions", "Provider", "Me"),
    ("Payment Transactions", "Amount", 1_000_000),
    ("Payment Transactions", "Service Code", "99"),
    ("Payment Transactions", "Created At", "2020-01-01"),
    *((database, "System ID", "another") for database in PLACES),
    # what MapAble's columns or rules don't take
    ("NDIS Plans", "Plan Number", None),
    ("NDIS Plans", "Status", "ON_FIRE"),
    ("NDIS Plans", "Remaining Budget", -1),
    ("NDIS Plans", "Remaining Budget", 10_000_000_000_000),
    ("NDIS Plans", "Total Budget", 12.345),
    ("NDIS Plans", "Total Budget", None),
    ("NDIS Plans", "End Date", "2020-01-01"),
    ("NDIS Plans", "Start Date", None),
    ("Incidents", "Description", None),
    ("Incidents", "Occurred At", None),
    ("Complaints", "Status", None),
    ("Complaints", "Description", "with a \x00 in it"),
)


def names(cases: Sequence[Any]) -> list[str]:
    return [f"{number} {case[0]} {case[1]}" for number, case in enumerate(cases)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(
        scene_dsn, NOTION_POLL_SECONDS="0.2", NOTION_REVERT_GRACE_SECONDS="0.2", NOTION_SHARED_FIELDS=OPENED
    ) as scene:
        await scene.run(ROWS)
        await scene.settled()
        yield scene


# a record that is written again and again is written ever more seldom; here each test is a day of its own
COOL_DOWN: Final = """update notion_sync."NotionSyncMapping" set "sendIntervalS" = 0"""


async def stored(scene: Scene, database: str, column: str) -> Any:
    table, system_id, _ = PLACES[database]
    query = sql.SQL("select {} from {} where id = %(id)s").format(sql.Identifier(column), sql.Identifier(table))
    row = await (await scene.db.execute(query, {"id": system_id})).fetchone()
    assert row is not None
    return row[0]


async def snapshot(scene: Scene) -> dict[str, Any]:
    """Return every row of the seven tables, without the times of their last change."""
    rows: dict[str, Any] = {}
    for table, _, _ in PLACES.values():
        query = sql.SQL("select to_jsonb(t) - 'updatedAt' from {} t order by id").format(sql.Identifier(table))
        rows[table] = [row[0] for row in await (await scene.db.execute(query)).fetchall() if "sentinel" not in str(row)]
    return rows


@pytest.mark.parametrize(("database", "name", "typed", "column", "expected"), SHARED, ids=names(SHARED))
async def test_a_persons_edit_is_what_the_column_holds(
    scene: Scene, database: str, name: str, typed: Any, column: str, expected: Any
) -> None:
    await scene.run(COOL_DOWN)
    page = scene.page_id(database, PLACES[database][1])

    scene.sandbox.people.edit(page, {name: typed})

    async def arrived() -> bool:
        return bool(await stored(scene, database, column) == expected)

    await scene.until_async(arrived)
    await scene.settled()
    assert await stored(scene, database, column) == expected


@pytest.mark.parametrize(("database", "name", "typed"), KEPT, ids=names(KEPT))
async def test_an_edit_that_mapable_does_not_take_comes_back_and_changes_no_row(
    scene: Scene, database: str, name: str, typed: Any
) -> None:
    await scene.run(COOL_DOWN)
    if name == "NDIS Reported":
        await scene.run("""update "Incident" set "ndisReported" = true where id = 'i'""")
        await scene.until(lambda: scene.shows("Incidents", "i", NDIS_Reported=True))
        await scene.settled()
    _, system_id, entity = PLACES[database]
    page = scene.page_id(database, system_id)
    before = scene.sandbox.people.row(page)["properties"]
    rows = await snapshot(scene)

    scene.sandbox.people.edit(page, {name: typed})

    await scene.until(lambda: scene.sandbox.people.row(page)["properties"] == before)
    await scene.settled()
    assert await snapshot(scene) == rows
    lines = await scene.value(
        """select array_agg(action order by id) from notion_sync.audit_log
           where entity = %(entity)s and system_id = %(id)s and action like 'edit.%%'""",
        entity=entity, id=system_id,
    )
    assert lines[-2:] == ["edit.refused", "edit.put_back"]


@pytest.mark.parametrize("typed", ["p2", None], ids=["another row's", "cleared"])
async def test_a_page_whose_system_id_a_person_changes_stays_the_row_s(scene: Scene, typed: str | None) -> None:
    await scene.run(COOL_DOWN)
    page, other = scene.page_id("Participants", "p"), scene.page_id("Participants", "p2")
    before = scene.sandbox.people.row(other)["properties"]
    name = f"Renamed with {typed}"

    scene.sandbox.people.edit(page, {"System ID": typed, "Name": name})

    await scene.until_true("""select name = %(name)s from "User" where id = 'p'""", name=name)
    await scene.until(lambda: scene.sandbox.people.row(page)["properties"]["System ID"] == "p")
    await scene.settled()
    assert scene.sandbox.people.row(other)["properties"] == before
    assert await scene.value("""select name from "User" where id = 'p2'""") == "Sam Ho"
    assert len(scene.sandbox.people.rows("Participants")) == 2
    assert await scene.value("select count(*) from notion_sync.stray_page") == 0


async def test_a_cleared_name_shows_the_email_again(scene: Scene) -> None:
    # a record of its own: one field that changes again and again on both sides is nobody's work
    await scene.participant("cleared", "Pat")

    scene.sandbox.people.edit(scene.page_id("Participants", "cleared"), {"Name": None})

    await scene.until_true("""select name is null from "User" where id = 'cleared'""")
    await scene.until(lambda: scene.shows("Participants", "cleared", Name="cleared@example.org"))
