"""The inbox keeps each event once, and knows who last edited what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from state import inbox
from state.changes import PageId
from state.database import Connection
from state.inbox import Author, Edit, Edits, Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA, BEN = Author("ana", "person"), Author("ben", "person")
BOT, OTHER_BOT, AGENT = Author("bot", "bot"), Author("robot", "bot"), Author("agent", "agent")


def event(event_id: str, minute: int = 0, *authors: Author, **changes: Any) -> Event:
    facts: dict[str, Any] = {
        "kind": "page.properties_updated", "entity_type": "page", "entity_id": "p1", "properties": ("title",),
    }
    return Event(event_id, NOON + timedelta(minutes=minute), authors=authors, **{**facts, **changes})


async def test_an_event_is_kept_once(sidecar: Connection) -> None:
    first = await inbox.receive(sidecar, event("e1", 0, ANA))
    again = await inbox.receive(sidecar, event("e1", 0, ANA, attempt=2))

    row = await (await sidecar.execute("select count(*), max(attempt) from inbox")).fetchone()
    assert (first, again) == (True, False)
    assert row == (1, 1)


async def test_the_newest_edit_of_each_property_counts_whatever_the_order(sidecar: Connection) -> None:
    for one in (
        event("e3", 3, BEN, properties=("b",)), event("e1", 1, ANA, properties=("a", "b")),
        event("e2", 2, ANA, properties=("a%40",)),
    ):
        await inbox.receive(sidecar, one)

    edits = await inbox.edits(sidecar, "p1", "bot")

    assert edits == Edits(
        NOON + timedelta(minutes=3), "ben",
        {
            "a": Edit(NOON + timedelta(minutes=1), "ana", "e1"),
            "b": Edit(NOON + timedelta(minutes=3), "ben", "e3"),
            "a%40": Edit(NOON + timedelta(minutes=2), "ana", "e2"),
        },
    )


async def test_only_our_own_bot_is_not_somebody_else(sidecar: Connection) -> None:
    for number, author in enumerate((ANA, OTHER_BOT, AGENT, BOT)):
        await inbox.receive(sidecar, event(f"e{number}", number, author, properties=(author.id,)))

    edits = await inbox.edits(sidecar, "p1", "bot")

    assert set(edits.properties) == {"ana", "robot", "agent"}
    assert (edits.by, edits.at) == ("agent", NOON + timedelta(minutes=2))


async def test_an_edit_told_together_with_ours_is_the_first_other_author_s(sidecar: Connection) -> None:
    await inbox.receive(sidecar, event("e1", 0, BOT, BEN, ANA))

    edits = await inbox.edits(sidecar, "p1", "bot")

    assert edits.properties == {"title": Edit(NOON, "ben", "e1")}


async def test_an_event_that_names_nobody_may_be_a_person_s(sidecar: Connection) -> None:
    await inbox.receive(sidecar, event("e1"))

    edits = await inbox.edits(sidecar, "p1", "bot")

    assert edits.properties == {"title": Edit(NOON, None, "e1")}


async def test_text_below_the_properties_and_other_pages_are_no_edits(sidecar: Connection) -> None:
    await inbox.receive(sidecar, event("e1", 1, ANA, kind="page.content_updated", properties=()))
    await inbox.receive(sidecar, event("e2", 2, ANA, entity_id="p2"))
    await inbox.receive(sidecar, event("e3", 3, ANA, kind="page.deleted", properties=()))

    assert await inbox.edits(sidecar, "p1", "bot") == Edits(None, None, {})


async def test_a_page_is_known_by_its_link_and_our_last_write(sidecar: Connection) -> None:
    await sidecar.execute(
        """insert into "NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState", "sentAt", pushing)
           values ('Risk', 'r1', 'p1', 'live', %s, '{}')""",
        (NOON,),
    )

    found, unknown = await inbox.known_as(sidecar, PageId("p1")), await inbox.known_as(sidecar, PageId("p2"))

    assert found == inbox.KnownAs("Risk", "r1", being_written=True, written_at=NOON)
    assert unknown is None


async def test_what_is_older_than_a_month_is_forgotten(sidecar: Connection) -> None:
    await inbox.receive(sidecar, event("old", 0, ANA))
    await sidecar.execute("update inbox set received_at = clock_timestamp() - interval '30 days 1 minute'")
    await inbox.receive(sidecar, event("new", 0, ANA))

    forgotten = await inbox.prune(sidecar)

    assert forgotten == 1
    assert await inbox.prune(sidecar) == 0
    assert set((await inbox.edits(sidecar, "p1", "bot")).properties) == {"title"}


def test_an_event_is_ours_alone_only_when_all_its_authors_are_our_bot() -> None:
    by = {
        authors: event("e", 0, *authors).only_by("bot")
        for authors in ((BOT,), (BOT, BOT), (BOT, ANA), (OTHER_BOT,), ())
    }

    assert by == {(BOT,): True, (BOT, BOT): True, (BOT, ANA): False, (OTHER_BOT,): False, (): False}
    assert not event("e", 0, BOT).only_by(None)
