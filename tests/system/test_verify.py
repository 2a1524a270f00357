"""`mapable-cdc verify`: every difference is told and nothing else, and neither side is touched unless asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.invoked import Said
from tests.system.plant import Plant, planted
from tests.system.waiting import DATABASES

CROWD = """
insert into "User" (id, name, email, role, "updatedAt")
select 'c' || n, 'Person ' || n, 'c' || n || '@example.org', 'PARTICIPANT', now() from generate_series(1, 298) n
"""


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    """Everything is in Notion, and nothing runs."""
    async with planted(mapable_dsn, NOTION_REVERT_GRACE_SECONDS="0") as plant:
        async with plant.ran():
            pass
        yield plant


@contextmanager
def untouched(plant: Plant) -> Iterator[None]:
    """Nothing is written to Notion in this block."""
    plant.sandbox.clear_requests()
    yield
    assert plant.writes() == ()


def found(ended: Said) -> dict[tuple[str, str | None], list[Any]]:
    """Return by what and System ID the fields and how they differ."""
    told = json.loads(ended.out)
    assert ended.code == (0 if told["clean"] else 1)
    return {
        (one["what"], one["systemId"]): [(field["field"], field["how"]) for field in one["fields"]]
        for one in told["differences"]
    }


async def test_equal_sides_are_clean_and_cost_a_request_for_a_hundred_pages(mapable_dsn: str) -> None:
    async with planted(mapable_dsn, CROWD) as plant:
        async with plant.ran():
            pass
        with untouched(plant):
            ended = await plant.types("verify", "--json")

        told = json.loads(ended.out)
        assert (ended.code, told["clean"], told["differences"]) == (0, True, [])
        assert {one["entity"]: (one["rows"], one["pages"]) for one in told["entities"]} == {
            "participant": (300, 300), "ndisplan": (1, 1), "careplan": (1, 1), "incident": (1, 1),
            "complaint": (1, 1), "risk": (1, 1), "payment": (1, 1),
        }
        # three hundred pages in three reads, and one for each of the other databases
        assert all(request.path.endswith("/query") for request in plant.sandbox.requests)
        assert len(tuple(plant.sandbox.requests)) == 3 + len(DATABASES) - 1


async def test_every_kind_of_difference_is_told_by_field(plant: Plant) -> None:
    people = plant.sandbox.people
    await plant.run(
        """update "Risk" set title = 'CANARY ours' where id = 'r'""",
        """update "Complaint" set description = 'CANARY ours' where id = 'k'""",
        """delete from "PaymentTransaction" where id = 't'""",
        """insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
           values ('r2', 'CANARY new', '', 'LOW', '', '', now())""",
    )
    people.edit(plant.page_id("Incidents", "i"), {"Description": "CANARY theirs"})
    people.edit(plant.page_id("Participants", "p"), {"Email": "canary@example.org"})
    people.edit(plant.page_id("Complaints", "k"), {"Description": "CANARY theirs"})
    people.trash(plant.page_id("Care Plans", "c"))
    copy = people.duplicate(plant.page_id("NDIS Plans", "n"))
    with untouched(plant):
        before = await plant.value("select count(*) from notion_sync.audit_log")

        ended = await plant.types("verify", "--json")
        shown = await plant.types("verify")
        with_values = await plant.types("verify", "--values", "--json")

        assert await plant.value("select count(*) from notion_sync.audit_log") == before
        assert await plant.value("select count(*) from notion_sync.work") == 0
    assert found(ended) == {
        ("differs", "r"): [("title", "mapable changed")],
        ("differs", "i"): [("description", "notion changed")],
        ("differs", "p"): [("email", "not taken")],
        ("differs", "k"): [("description", "both changed")],
        ("page without row", "t"): [],
        ("page without row", None): [],
        ("row without page", "r2"): [],
        ("row without page", "c"): [],
    }
    assert [one["pageId"] for one in json.loads(ended.out)["differences"] if one["systemId"] is None] == [copy]
    counts = {one["entity"]: one for one in json.loads(ended.out)["entities"]}
    assert (counts["risk"]["differing"], counts["risk"]["rowsWithoutPage"], counts["ndisplan"]["pagesWithoutRow"]) == (
        1, 1, 1,
    )
    assert shown.code == 1
    for said in (ended.out, ended.err, shown.out, shown.err):
        assert "canary" not in said.lower()
    assert with_values.out.count("CANARY ours") == 2
    assert with_values.out.count("CANARY theirs") == 2


@pytest.mark.parametrize("beside_a_run", [False, True], ids=["alone", "beside a run"])
async def test_repair_puts_right_what_differs_and_nothing_else(plant: Plant, beside_a_run: bool) -> None:
    people = plant.sandbox.people
    people.edit(plant.page_id("Incidents", "i"), {"Description": "theirs"})
    people.edit(plant.page_id("Participants", "p"), {"Email": "other@example.org"})
    if beside_a_run:
        async with plant.ran():
            plant.sandbox.clear_requests()
            ended = await plant.types("verify", "--repair", "--json")
    else:
        await plant.run("""update "Risk" set title = 'ours' where id = 'r'""")
        plant.sandbox.clear_requests()
        ended = await plant.types("verify", "--repair", "--json")

    assert found(ended) == {}
    assert ended.code == 0
    assert await plant.value("""select description from "Incident" where id = 'i'""") == "theirs"
    assert plant.page("Participants", "p")["Email"] == "pat@example.org"
    written = {request.object_id for request in plant.writes()}
    assert written == {plant.page_id("Participants", "p")} | (
        set() if beside_a_run else {plant.page_id("Risks", "r")}
    )
    assert (await plant.types("verify")).code == 0


async def test_what_people_took_away_is_listed_as_their_choice(plant: Plant) -> None:
    plant.sandbox.people.trash(plant.page_id("Care Plans", "c"))
    first = await plant.types("verify", "--repair", "--json")

    again = await plant.types("verify", "--json")

    assert found(first) == found(again) == {("unlinked", "c"): []}
    assert again.code == 0
    assert "a person put its page into Notion's trash" in again.out


async def test_what_a_query_does_not_show_to_its_end_or_at_all_is_looked_at_again(plant: Plant) -> None:
    people = plant.sandbox.people
    mention = {"type": "mention", "mention": {"type": "page", "page": {"id": plant.page_id("Participants", "p")}}}
    people.edit(plant.page_id("Incidents", "i"), {"Description": {"rich_text": [mention] * 40}})
    people.move(plant.page_id("Risks", "r"))
    people.edit(plant.page_id("Participants", "p"), {"Email": "typed@example.org"})
    with untouched(plant):
        ended = await plant.types("verify", "--json", NOTION_SHARED_FIELDS="participant.email")

    assert found(ended) == {
        ("differs", "i"): [("description", "notion changed")],
        ("row without page", "r"): [],
        # where people may edit it, it is an edit that is on its way
        ("differs", "p"): [("email", "notion changed")],
    }
    assert "its page was moved out of the database" in ended.out


async def test_what_is_on_its_way_is_told_as_that(plant: Plant) -> None:
    await plant.run(
        """update "Risk" set title = 'ours' where id = 'r'""",
        "insert into notion_sync.work (entity, system_id, reasons, priority) values ('risk', 'r', 1, 0)",
    )

    ended = await plant.types("verify", "--json")

    (told,) = json.loads(ended.out)["differences"]
    assert (ended.code, told["systemId"], told["queued"]) == (1, "r", True)


async def test_with_from_notion_differences_are_shown_and_stay(plant: Plant) -> None:
    one_way = {"NOTION_DIRECTION_RISKS": "from_notion"}
    async with plant.ran(**one_way):
        pass
    await plant.run("""update "Risk" set title = 'ours' where id = 'r'""")
    with untouched(plant):
        shown = await plant.types("verify", "--entity", "risk", "--json", **one_way)
        repaired = await plant.types("verify", "--entity", "risk", "--repair", "--json", **one_way)

    assert found(shown) == found(repaired) == {("differs", "r"): [("title", "mapable changed")]}
    assert "nothing is written to Notion" in shown.out


async def test_what_a_query_shows_as_it_was_is_no_difference(plant: Plant) -> None:
    plant.sandbox.switches.update({"query_lag_queries": 3})
    async with plant.ran():
        await plant.run("""update "Risk" set title = 'ours' where id = 'r'""")

        async def arrived() -> bool:
            return bool(plant.page("Risks", "r")["Title"] == "ours")

        await plant.until(arrived)
        await plant.quiet()
    plant.sandbox.clear_requests()

    ended = await plant.types("verify", "--entity", "risk", "--json")

    assert found(ended) == {}
    # the second look
    assert [request.method for request in plant.sandbox.requests] == ["POST", "GET"]


async def test_a_database_that_is_out_of_reach_is_told_and_the_others_are_compared(plant: Plant) -> None:
    plant.sandbox.people.unshare(plant.sandbox.people.source("Risks")["parent"]["database_id"])
    await plant.run("""update "Complaint" set description = 'ours' where id = 'k'""")

    ended = await plant.types("verify", "--json")

    told = {one["entity"]: one for one in json.loads(ended.out)["entities"]}
    assert ended.code == 1
    assert "not shared" in told["risk"]["trouble"] or "no such" in told["risk"]["trouble"]
    assert (told["complaint"]["differing"], told["complaint"]["trouble"]) == (1, None)
