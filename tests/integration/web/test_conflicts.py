"""A person decides a conflict on what they saw; whatever moved since makes them look again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from state import conflicts
from state.changes import ABSENT
from state.conflicts import Conflict
from state.database import Connection

EARLY, LATE = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 1, 9, tzinfo=UTC)


async def put(conn: Connection, **changes: Any) -> Conflict:
    facts: dict[str, Any] = {
        "entity_type": "Risk", "system_id": "r1", "page_id": "p1", "field": "title", "base": "flood", "mapable": "fire",
        "notion": "frost", "mapable_at": EARLY, "notion_at": LATE, "notion_by": "ana", "rule": "manual-review",
    }
    return await conflicts.put_open(conn, **{**facts, **changes})


async def link(conn: Connection, system_id: str = "r1") -> None:
    await conn.execute(
        """insert into "NotionSyncMapping" ("entityType", "systemId") values ('Risk', %s)""", (system_id,)
    )


async def state_of(conn: Connection, system_id: str = "r1") -> str:
    await conflicts.conflict_state(conn, "Risk", system_id)
    row = await (
        await conn.execute("""select "conflictState" from "NotionSyncMapping" where "systemId" = %s""", (system_id,))
    ).fetchone()
    assert row is not None
    return str(row[0])


async def test_a_conflict_keeps_all_that_a_reviewer_needs(sidecar: Connection) -> None:
    opened = await put(sidecar)

    found = await conflicts.one(sidecar, opened.id)

    assert found == opened
    assert (found.base, found.mapable, found.notion) == ("flood", "fire", "frost")
    assert (found.mapable_at, found.notion_at, found.notion_by) == (EARLY, LATE, "ana")
    assert (found.status, found.version, found.rule) == ("open", 1, "manual-review")


@pytest.mark.parametrize("value", [None, "", "fire", True, False, ["a", "b"], []])
async def test_every_kind_of_value_comes_back_as_it_was(sidecar: Connection, value: Any) -> None:
    opened = await put(sidecar, base=ABSENT, mapable=value, notion=value)

    decided = await conflicts.decide(sidecar, opened.id, 1, "value", value)

    assert decided is not None
    assert (decided.base, decided.mapable, decided.notion, decided.value) == (None, value, value, value)


async def test_seen_again_it_stays_one_conflict_of_one_version(sidecar: Connection) -> None:
    first = await put(sidecar)

    again = await put(sidecar, notion_at=None, notion_by=None)

    assert (again.id, again.version) == (first.id, 1)
    assert (again.notion_at, again.notion_by) == (LATE, "ana")


@pytest.mark.parametrize("moved", [{"mapable": "hail"}, {"notion": None}, {"base": ABSENT}])
async def test_a_side_that_moves_makes_a_new_version(sidecar: Connection, moved: dict[str, Any]) -> None:
    await put(sidecar)

    again = await put(sidecar, **moved)

    assert again.version == 2
    assert await conflicts.count(sidecar) == 1


async def test_a_time_that_is_unknown_is_not_the_time_of_the_value_before(sidecar: Connection) -> None:
    await put(sidecar)

    again = await put(sidecar, notion="hail", notion_at=None, notion_by=None)

    assert (again.notion_at, again.notion_by) == (None, None)
    assert again.mapable_at == EARLY


async def test_a_decision_counts_only_on_what_was_seen(sidecar: Connection) -> None:
    opened = await put(sidecar)
    await put(sidecar, notion="hail")

    stale = await conflicts.decide(sidecar, opened.id, 1, "mapable")
    fresh = await conflicts.decide(sidecar, opened.id, 2, "notion")

    assert stale is None
    assert fresh is not None
    assert (fresh.status, fresh.choice, fresh.version) == ("deciding", "notion", 3)


async def test_what_is_being_decided_can_t_be_decided_twice(sidecar: Connection) -> None:
    opened = await put(sidecar)
    decided = await conflicts.decide(sidecar, opened.id, 1, "mapable")
    assert decided is not None

    again = await conflicts.decide(sidecar, opened.id, decided.version, "notion")

    assert again is None


async def test_a_side_that_moves_while_it_is_decided_voids_the_choice(sidecar: Connection) -> None:
    opened = await put(sidecar)
    await conflicts.decide(sidecar, opened.id, 1, "value", "snow")

    reopened = await put(sidecar, mapable="hail")

    assert (reopened.id, reopened.status, reopened.choice, reopened.value) == (opened.id, "open", None, None)
    assert reopened.version == 3


async def test_a_choice_that_came_after_the_look_is_not_voided_by_it(sidecar: Connection) -> None:
    seen = await put(sidecar)
    await conflicts.decide(sidecar, seen.id, seen.version, "notion")

    again = await put(sidecar, seen=seen.version)

    assert (again.status, again.choice, again.version) == ("deciding", "notion", 2)


async def test_a_choice_that_came_after_the_look_is_void_when_the_look_saw_a_side_move(sidecar: Connection) -> None:
    seen = await put(sidecar)
    await conflicts.decide(sidecar, seen.id, seen.version, "value", "flood")

    again = await put(sidecar, seen=seen.version, notion="hail")

    assert (again.status, again.choice, again.value, again.version) == ("open", None, None, 3)


async def test_a_choice_that_the_look_knew_is_void_when_it_is_put_open_again(sidecar: Connection) -> None:
    opened = await put(sidecar)
    decided = await conflicts.decide(sidecar, opened.id, opened.version, "notion")
    assert decided is not None

    again = await put(sidecar, seen=decided.version)

    assert (again.status, again.choice) == ("open", None)


async def test_whatever_is_open_of_a_record_is_closed_together(sidecar: Connection) -> None:
    await link(sidecar)
    first, second = await put(sidecar), await put(sidecar, field="category")
    await put(sidecar, system_id="another")

    closed = await conflicts.close_of(sidecar, "Risk", "r1", "converged", "sync")

    assert {conflict.id for conflict in closed} == {first.id, second.id}
    assert await conflicts.count(sidecar) == 1
    assert await state_of(sidecar) == "resolved"


async def test_a_closed_one_stays_for_the_record_and_the_next_is_another(sidecar: Connection) -> None:
    opened = await put(sidecar)

    closed = await conflicts.close(sidecar, opened.id, "resolved", "operator")
    again = await conflicts.close(sidecar, opened.id, "converged", "sync")
    following = await put(sidecar)

    assert (closed, again) == (True, False)
    assert following.id != opened.id
    kept = await conflicts.one(sidecar, opened.id)
    assert kept is not None
    assert (kept.status, kept.closed_by) == ("resolved", "operator")
    assert kept.closed_at is not None


async def test_they_are_listed_by_state_and_in_pages(sidecar: Connection) -> None:
    ids = [(await put(sidecar, system_id=f"r{number}")).id for number in range(5)]
    await conflicts.close(sidecar, ids[0], "converged", "sync")
    await conflicts.decide(sidecar, ids[1], 1, "mapable")

    first = await conflicts.listed(sidecar, limit=2)
    rest = await conflicts.listed(sidecar, limit=9, after=first[-1].id)
    closed = await conflicts.listed(sidecar, conflicts.CLOSED)

    assert [conflict.id for conflict in first] == ids[1:3]
    assert [conflict.id for conflict in rest] == ids[3:]
    assert [conflict.id for conflict in closed] == ids[:1]


async def test_the_open_ones_of_some_records_are_found_by_record(sidecar: Connection) -> None:
    await put(sidecar)
    await put(sidecar, field="status")
    gone = await put(sidecar, system_id="r2")
    await conflicts.close(sidecar, gone.id, "resolved", "operator")
    await put(sidecar, entity_type="Incident")

    found = await conflicts.open_of(sidecar, "Risk", ["r1", "r2", "r3"])

    assert {system_id: [conflict.field for conflict in several] for system_id, several in found.items()} == {
        "r1": ["title", "status"]
    }


async def test_the_mapping_s_conflict_state_follows(sidecar: Connection) -> None:
    await link(sidecar)
    await link(sidecar, "r2")

    before = await state_of(sidecar)
    opened, other = await put(sidecar), await put(sidecar, field="status")
    await conflicts.decide(sidecar, opened.id, 1, "mapable")
    pending = await state_of(sidecar)
    await conflicts.close(sidecar, opened.id, "resolved", "operator")
    still = await state_of(sidecar)
    await conflicts.close(sidecar, other.id, "converged", "sync")

    assert (before, pending, still, await state_of(sidecar)) == ("none", "pending", "pending", "resolved")
    assert await state_of(sidecar, "r2") == "none"
