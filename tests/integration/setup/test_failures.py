"""Setup when requests fail or the process dies: after the next run there are seven databases, never a second set."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import ENTITIES
from state.errors import TransientError
from tests.integration.setup.stage import TITLES, Died, Stage

REQUESTS = 16
"""More than a first run sends: the last of them never comes."""

WRITE_FAULTS = (
    {"kind": "500", "when": "before"},
    {"kind": "500", "when": "after"},
    {"kind": "502", "when": "after"},
    {"kind": "503", "when": "after"},
    {"kind": "503", "when": "after", "with_committed_id": False},
    {"kind": "409", "when": "before"},
    {"kind": "429", "when": "before", "retry_after": 0},
    {"kind": "reset", "when": "before"},
    {"kind": "reset", "when": "after"},
    {"kind": "malformed", "when": "after"},
)


def ids(fault: dict[str, object]) -> str:
    return " ".join(str(value) for value in fault.values())


def assert_stands(stage: Stage) -> None:
    """Everything stands, and stands once."""
    assert stage.live_titles() == sorted(TITLES)
    for entity in ENTITIES:
        assert set(stage.properties(entity.title)) == {field.name for field in entity.fields}


async def assert_complete(stage: Stage) -> None:
    """Everything stands once, and another run finds nothing to do."""
    assert_stands(stage)
    stage.sandbox.clear_requests()
    done = await stage.setup()
    assert [item.outcome for item in done] == ["unchanged"] * 7
    assert stage.writes() == 0


@pytest.mark.parametrize("after_sending", [False, True], ids=["before it is sent", "after it was answered"])
async def test_a_process_that_dies_at_any_request_leaves_nothing_twice(stage: Stage, after_sending: bool) -> None:
    deaths = 0
    for number in range(REQUESTS):
        await stage.start_over()
        try:
            await stage.setup(dies_at=number, dies_after_sending=after_sending)
        except Died:
            deaths += 1
        await stage.setup()
        assert_stands(stage)
    assert deaths >= 15
    await assert_complete(stage)


@pytest.mark.parametrize("fault", WRITE_FAULTS, ids=ids)
async def test_a_write_that_fails_at_any_point_leads_to_no_second_database(
    stage: Stage, fault: dict[str, object]
) -> None:
    applied = 0
    # the first create, the one with the dual relation, the last one, the renaming of the mirror; all of them for the
    # answer that tells nothing
    numbers = range(8) if fault["kind"] == "502" else (0, 1, 6, 7)
    for number in numbers:
        await stage.start_over()
        script = stage.sandbox.faults.script(
            **fault, skip=number, where=lambda request: request.method in ("POST", "PATCH")
        )
        await stage.setup()
        applied += script.applied
        stage.sandbox.faults.clear()
        assert_stands(stage)
    assert applied == len(numbers)
    await assert_complete(stage)


async def test_a_write_that_is_never_answered_leads_to_no_second_database(stage: Stage) -> None:
    for when in ("before", "after"):
        await stage.start_over()
        script = stage.sandbox.faults.script(kind="timeout", when=when, method="POST", skip=3)

        await stage.setup()

        assert script.applied == 1
        await assert_complete(stage)


@pytest.mark.parametrize("kind", ["502", "reset"])
async def test_a_read_that_fails_is_repeated(stage: Stage, kind: str) -> None:
    await stage.setup()
    reads = stage.sandbox.count("GET")
    assert reads >= 5
    for number in range(reads):
        await stage.start_over()
        script = stage.sandbox.faults.script(kind=kind, skip=number, method="GET")
        await stage.setup()
        assert script.applied == 1
        assert_stands(stage)


async def test_a_notion_that_stays_down_is_an_error_and_the_next_run_goes_on(stage: Stage) -> None:
    stage.sandbox.faults.script(kind="500", method="POST", times=None, skip=2)
    stage.sandbox.faults.script(kind="400", method="GET", path_pattern=".*/children", times=None, skip=3)

    with pytest.raises(Exception, match="Notion"):
        await stage.setup()
    assert stage.live_titles() == ["NDIS Plans", "Participants"]
    stage.sandbox.faults.clear()
    done = await stage.setup()

    assert [item.outcome for item in done] == ["unchanged"] * 2 + ["made"] * 5
    await assert_complete(stage)


async def test_a_create_that_keeps_failing_ends_as_something_to_try_later(stage: Stage) -> None:
    # conflicts, because outages in a row make the client wait
    stage.sandbox.faults.script(kind="409", method="POST", times=None)

    with pytest.raises(TransientError, match="failed to make the database Participants"):
        await stage.setup()

    assert stage.live_titles() == []


async def test_an_added_property_whose_answer_is_lost_is_not_added_twice(stage: Stage) -> None:
    await stage.setup()
    stage.sandbox.people.remove_property("NDIS Plans", "Participant")
    script = stage.sandbox.faults.script(kind="502", when="after", method="PATCH")

    await stage.setup()

    assert script.applied == 1
    await assert_complete(stage)
