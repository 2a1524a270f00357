"""Pages that hold more than a page read shows: read to their end, within the turn that reads the page."""

from __future__ import annotations

from sinks.mapping.entities import by_name
from state.changes import PageId, Priority
from state.threeway import Unknown
from tests.integration.databases.conftest import Place

PLAN = by_name("ndisplan")
RISK = by_name("risk")


async def test_a_relation_of_many_pages_is_read_to_its_end(place: Place) -> None:
    page_id = place.sandbox.people.create("NDIS Plans", {"Plan Number": "many"})
    people = [
        place.sandbox.people.create("Participants", {"Name": f"Person {n}", "NDIS Plan": [page_id]}) for n in range(230)
    ]
    place.client.pacer.budget.limit = 2

    async with place.sink.turn(Priority.LIVE):
        page = await place.sink.read(PLAN, PageId(page_id))

    assert page.values["participant"] == sorted(people)
    assert page.unknown == {}
    # the page and three more requests: who comes next waits for as long as if each had had a turn
    assert len(place.client.pacer.budget.finished_s) == 4


async def test_a_text_of_many_mentions_is_read_to_its_end(place: Place) -> None:
    someone = place.sandbox.people.create("Participants", {"Name": "Ada"})
    mention = {"type": "mention", "mention": {"type": "page", "page": {"id": someone}}}
    page_id = place.sandbox.people.create("Risks", {"Title": "x", "Category": {"rich_text": [mention] * 40}})

    async with place.sink.turn(Priority.LIVE):
        page = await place.sink.read(RISK, PageId(page_id))

    assert page.values["category"] == "Ada" * 40
    assert page.unknown == {}


async def test_a_query_leaves_them_unread(place: Place) -> None:
    people = [place.sandbox.people.create("Participants", {"Name": f"Person {n}"}) for n in range(30)]
    place.sandbox.people.create("NDIS Plans", {"Plan Number": "many", "Participant": people})

    [[page]] = [batch async for batch in place.sink.scan(PLAN)]

    assert page.unknown == {"participant": Unknown.UNREAD}
    assert "participant" not in page.values
