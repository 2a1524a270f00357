"""All seven entities: every page shows what MapAble holds, field by field, whatever a column can hold."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.local.demo import data
from tests.system.expectation import actual, expected
from tests.system.scene import Scene
from tests.system.service import command

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAN: Final = """
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt") values (%(id)s, %(id)s, %(id)s, %(start)s, %(end)s, %(total)s, %(remaining)s, now())
"""
OWNER: Final = """
insert into "User" (id, name, email, role, "updatedAt") values (%(id)s, %(id)s, %(email)s, 'PARTICIPANT', now())
"""
INCIDENT: Final = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
values (%(id)s, 'OTHER', %(description)s, %(at)s, 'x', now())
"""
CARE_PLAN: Final = """
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
values (%(id)s, 'owner', 'p', %(goals)s::jsonb, '[]', '2026-01-01', '2026-01-01', %(status)s, now())
"""

# the instant in UTC, and the day in Sydney: on both sides of both changes of the clock, of a day and of a year
DAYS: Final = (
    ("2025-10-04 13:59:59.999", "2025-10-04"), ("2025-10-04 14:00", "2025-10-05"),
    ("2025-10-04 15:59:59.999", "2025-10-05"), ("2025-10-04 16:00", "2025-10-05"),
    ("2025-10-05 12:59:59.999", "2025-10-05"), ("2025-10-05 13:00", "2025-10-06"),
    ("2026-04-04 12:59:59.999", "2026-04-04"), ("2026-04-04 13:00", "2026-04-05"),
    ("2026-04-04 15:30", "2026-04-05"), ("2026-04-04 16:30", "2026-04-05"),
    ("2026-04-05 13:59:59.999", "2026-04-05"), ("2026-04-05 14:00", "2026-04-06"),
    ("2025-12-31 12:59:59.999", "2025-12-31"), ("2025-12-31 13:00", "2026-01-01"),
    ("2024-02-28 13:00", "2024-02-29"), ("0001-01-01 00:00", "0001-01-01"),
)  # fmt: skip
MONEY: Final = (("9999999999.99", 9999999999.99), ("-9999999999.99", -9999999999.99), ("0.00", 0), ("-0.01", -0.01))
TEXTS: Final = {
    "emoji": "🦘👩🏽‍🦽‍➡️ at 1️⃣ o’clock",
    "right to left": "سقطت السيدة في الحديقة — הוא אמר",
    "lines": "one\n\n\ttwo\r\nthree\x0b\x1f  ",
    "2001 units": "a" * 1999 + "💙",
    "a pair at every edge": "a" + "💙" * 5000,
    "markup": "**b** <script> [x](y) {{name}} \\",
}
LONG: Final = "".join(f"{n:09d} " for n in range(22_000))
JUNK: Final = {
    "a number": ("7", "7"),
    "a text": ('"Walk"', "Walk"),
    "null": ("null", None),
    "an empty object": ("{}", None),
    "a bare object": ('{"description": "Swim", "status": "DONE"}', "Swim (DONE)"),
    "wrong types": ('[{"description": {"a": 1}, "targetDate": 5, "status": ["x"]}, true, [[]]]', "(target 5)"),
    "blank parts": ('[{"description": " a \\n b ", "targetDate": "soon", "status": ""}]', "a b (target soon)"),
    "deep": ("[" * 1500 + "]" * 1500, None),
    "endless digits beside what is not listed": ('[{"evidence": "SECRET", "n": ' + "9" * 6000 + "}]", None),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(scene: Scene) -> Scene:
    """Rows with every value that a column can hold and that is hard to show; each has its page."""
    plans = [f"day {stored}" for stored, _ in DAYS] + [f"money {stored}" for stored, _ in MONEY]
    for name in ("owner", "longest address", "endless", "before Christ", *plans):
        address = "a" * 188 if name == "longest address" else name
        await scene.run(OWNER, id=name, email=f"{address}@example.org")
    await scene.run(OWNER, id="long address", email="a" * 189 + "@example.org")
    await scene.settled()
    scene.sandbox.clear_requests()
    for stored, _ in DAYS:
        await scene.run(PLAN, id=f"day {stored}", start=stored, end=stored, total="1", remaining="1")
    for stored, _ in MONEY:
        await scene.run(PLAN, id=f"money {stored}", start="2026-01-01", end="2026-01-01", total=stored, remaining="1")
    await scene.run(PLAN, id="endless", start="-infinity", end="infinity", total="NaN", remaining="12.5")
    await scene.run(PLAN, id="before Christ", start="0044-03-15 BC", end="12026-01-01", total="1", remaining="1")
    for name, text in TEXTS.items():
        await scene.run(INCIDENT, id=f"text {name}", description=text, at="2026-01-01")
    await scene.run(INCIDENT, id="text too long", description=LONG, at="2026-01-01")
    await scene.run(INCIDENT, id="never", description="d", at="infinity")
    for name, (goals, _) in JUNK.items():
        await scene.run(CARE_PLAN, id=f"goals {name}", goals=goals, status="Active")
    for name, status in (("long", "x" * 101), ("blank", " "), ("new", "Ruht – später")):
        await scene.run(CARE_PLAN, id=f"status {name}", goals="[]", status=status)
    await scene.settled()
    return scene


async def test_none_of_these_values_is_set_aside_or_costs_a_second_write(edges: Scene) -> None:
    rows = await edges.value(
        """select (select count(*) from "NDISPlan") + (select count(*) from "Incident") +
                  (select count(*) from "CarePlan")"""
    )

    assert await edges.value("select count(*) from notion_sync.parked") == 0
    writes = [call for call in edges.writes() if "sentinel" not in str(call.body)]
    assert [call.status for call in writes] == [200] * rows
    assert {call.method for call in writes} == {"POST"}


async def test_every_page_of_the_demo_shows_what_its_row_holds(demo_scene: Scene) -> None:
    wanted = await expected(demo_scene)

    shown = actual(demo_scene)

    for database, pages in wanted.items():
        assert shown[database].keys() == pages.keys(), database
        for system_id, page in pages.items():
            assert shown[database][system_id] == page, (database, system_id)


async def test_the_demo_holds_what_is_worth_looking_at(demo_scene: Scene) -> None:
    # the equality above says nothing about a kind of row that is not there
    shown = actual(demo_scene)

    anonymous = shown["Complaints"][data.ANONYMOUS_COMPLAINT_ID]
    named = await demo_scene.value(
        """select "participantId" from "Complaint" where id = %(id)s""", id=data.ANONYMOUS_COMPLAINT_ID
    )
    assert (anonymous["Source"], anonymous["Participant"]) == ("ANONYMOUS", [])
    assert named is not None
    assert data.FORMER_PARTICIPANT_ID not in shown["Participants"]
    assert "" in {page["Status"] for page in shown["Care Plans"].values()}
    assert len(shown["Incidents"][data.LONG_INCIDENT_ID]["Description"]) > 2000


async def test_a_value_that_notion_cannot_hold_is_told_and_stops_nothing(demo_scene: Scene) -> None:
    code, told, said = await command(demo_scene.env, "status", "--json")

    assert code == 0, said
    status = json.loads(told)
    assert status["parked"] == 0
    (left_out,) = status["leftOut"]
    assert (left_out["entityType"], left_out["field"], left_out["rows"]) == ("CarePlan", "status", 1)
    assert "comma" in left_out["reason"]


@pytest.mark.parametrize(("stored", "day"), DAYS)
async def test_a_day_is_the_calendar_day_in_sydney(edges: Scene, stored: str, day: str) -> None:
    assert _shown(edges, "NDIS Plans", f"day {stored}", "Start Date") == day


@pytest.mark.parametrize(("stored", "amount"), MONEY)
async def test_money_is_exact_to_the_cent(edges: Scene, stored: str, amount: float) -> None:
    assert _shown(edges, "NDIS Plans", f"money {stored}", "Total Budget") == amount


@pytest.mark.parametrize("name", TEXTS)
async def test_a_text_arrives_unit_by_unit(edges: Scene, name: str) -> None:
    assert _shown(edges, "Incidents", f"text {name}", "Description") == TEXTS[name]


@pytest.mark.parametrize("name", JUNK)
async def test_goals_that_are_none_do_not_stop_the_row(edges: Scene, name: str) -> None:
    shown = _shown(edges, "Care Plans", f"goals {name}", "Goals")

    assert (shown or None) == JUNK[name][1]


async def test_a_text_longer_than_notion_holds_is_cut_and_says_so(edges: Scene) -> None:
    shown = _shown(edges, "Incidents", "text too long", "Description")

    kept, mark, rest = shown.rpartition("… [")
    assert mark
    assert LONG.startswith(kept)
    assert rest == f"{len(LONG) - len(kept)} more characters in MapAble]"
    assert 190_000 < len(shown) <= 200_000


async def test_dates_and_amounts_that_are_none_are_left_out_and_the_rest_arrives(edges: Scene) -> None:
    page = edges.page("NDIS Plans", "endless")
    assert page is not None
    shown = page["properties"]

    assert (shown["Start Date"], shown["End Date"], shown["Total Budget"]) == (None, None, None)
    assert (shown["Remaining Budget"], shown["Plan Number"]) == (12.5, "endless")
    left_out = await edges.value(
        """select "leftOut" from notion_sync."NotionSyncMapping" where "systemId" = 'endless'
           and "entityType" = 'NDISPlan'"""
    )
    assert left_out.keys() == {"startDate", "endDate", "totalBudget"}
    assert _shown(edges, "Incidents", "never", "Occurred At") is None
    assert _shown(edges, "Incidents", "never", "Incident") == "OTHER"
    assert _shown(edges, "NDIS Plans", "before Christ", "Start Date") is None


async def test_an_address_and_a_label_longer_than_notion_holds_are_left_out(edges: Scene) -> None:
    assert _shown(edges, "Participants", "long address", "Email") is None
    assert _shown(edges, "Participants", "longest address", "Email") == "a" * 188 + "@example.org"
    assert _shown(edges, "Care Plans", "status long", "Status") is None
    assert _shown(edges, "Care Plans", "status blank", "Status") is None
    assert _shown(edges, "Care Plans", "status new", "Status") == "Ruht – später"


async def test_a_value_that_became_impossible_stays_as_it_was_until_it_is_possible_again(edges: Scene) -> None:
    await edges.run("""update "NDISPlan" set "totalBudget" = 'NaN', status = 'ACTIVE' where id = 'money 0.00'""")
    await edges.until(lambda: edges.shows("NDIS Plans", "money 0.00", Status="ACTIVE"))
    assert edges.shows("NDIS Plans", "money 0.00", Total_Budget=0)

    await edges.run("""update "NDISPlan" set "totalBudget" = 7.25 where id = 'money 0.00'""")
    await edges.until(lambda: edges.shows("NDIS Plans", "money 0.00", Total_Budget=7.25))


def _shown(scene: Scene, database: str, system_id: str, name: str) -> Any:
    page = scene.page(database, system_id)
    assert page is not None, "the row has no page"
    return page["properties"][name]
