"""How events get there, or don't: attempts, lost acknowledgements, losses, repeats, overtaking and delay."""

from __future__ import annotations

import time

import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Receiver, listening, settled

SHORT_S = 0.01


@pytest.fixture
def one(sandbox: Sandbox, hook: Receiver) -> Receiver:
    """A receiver whose sandbox tells every change once, at once, and does not wait long between attempts."""
    sandbox.switches.update({"webhook_aggregation_s": 0, "webhook_retry_s": SHORT_S})
    return hook


def rename(sandbox: Sandbox, title: str = "Renamed") -> None:
    """Cause exactly one event."""
    sandbox.people.edit(sandbox.parent_page_id, {"title": title})


@pytest.mark.parametrize("refusal", [500, 404, 302], ids=str)
async def test_what_was_not_received_comes_again_with_the_same_id(
    sandbox: Sandbox, one: Receiver, refusal: int
) -> None:
    one.answers.extend([refusal, refusal, 204])

    rename(sandbox)

    await settled(sandbox)
    assert [event["attempt_number"] for event in one.events] == [1, 2, 3]
    assert len({event["id"] for event in one.events}) == 1
    assert len({event["timestamp"] for event in one.events}) == 1
    assert len({received.signature for received in one.received}) == 3
    assert [attempt.status for attempt in sandbox.webhooks.delivered[-3:]] == [refusal, refusal, 204]


async def test_after_eight_attempts_it_is_given_up(sandbox: Sandbox, one: Receiver) -> None:
    one.answers.extend([503] * 20)
    sandbox.switches.update({"webhook_retry_s": 0.0005})

    rename(sandbox)

    await settled(sandbox)
    assert [event["attempt_number"] for event in one.events] == list(range(1, 9))


async def test_the_waits_between_attempts_double(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_retry_s": 0.05, "webhook_attempts": 4})
    one.answers.extend([500] * 4)
    began_s = time.monotonic()

    rename(sandbox)

    await settled(sandbox)
    assert len(one.events) == 4
    assert time.monotonic() - began_s >= 0.05 + 0.1 + 0.2


async def test_no_answer_in_time_is_none(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_timeout_s": 0.05})
    one.answers.append(None)

    rename(sandbox)

    await settled(sandbox)
    assert [attempt.status for attempt in sandbox.webhooks.delivered[-2:]] == [None, 200]


async def test_a_receiver_that_is_down_gets_it_once_it_is_back(sandbox: Sandbox) -> None:
    sandbox.switches.update({"webhook_aggregation_s": 0, "webhook_retry_s": SHORT_S, "webhook_attempts": 100})
    async with Receiver() as receiver:
        await listening(sandbox, receiver)
        port = receiver.port
    rename(sandbox)
    await sandbox.wait_for(lambda: any(attempt.status is None for attempt in sandbox.webhooks.delivered))

    async with Receiver(port) as receiver:
        await settled(sandbox)

    assert receiver.kinds == ["page.content_updated"]
    assert receiver.events[0]["attempt_number"] > 1


async def test_a_lost_acknowledgement_brings_the_event_twice(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_duplicate": 1.0})

    rename(sandbox)

    await settled(sandbox)
    first, second = one.events
    assert first["id"] == second["id"]
    assert (first["attempt_number"], second["attempt_number"]) == (1, 2)


async def test_some_events_are_never_sent(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_loss": 0.5})

    for number in range(40):
        rename(sandbox, f"Name {number}")

    await settled(sandbox)
    assert len(one.events) + len(sandbox.webhooks.lost) == 40
    assert 5 < len(sandbox.webhooks.lost) < 35
    assert not {event["id"] for event in sandbox.webhooks.lost} & {event["id"] for event in one.events}


async def test_events_overtake_each_other(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_reorder": 0.5, "webhook_reorder_s": 0.1})

    pages = [sandbox.people.create("Participants", {"Name": f"P{number}"}) for number in range(20)]

    await settled(sandbox)
    came = [event["entity"]["id"] for event in one.events if event["type"] == "page.created"]
    assert sorted(came) == sorted(pages)
    assert came != pages


async def test_every_event_can_be_late(sandbox: Sandbox, one: Receiver) -> None:
    sandbox.switches.update({"webhook_delay_s": 0.15})
    began_s = time.monotonic()

    rename(sandbox)

    await settled(sandbox)
    assert one.kinds == ["page.content_updated"]
    assert time.monotonic() - began_s >= 0.15


async def test_a_seed_repeats_what_is_lost(receiver: Receiver) -> None:
    lost = []
    for _ in range(2):
        async with Sandbox(seed=7) as sandbox:
            await listening(sandbox, receiver)
            sandbox.switches.update({"webhook_aggregation_s": 0, "webhook_loss": 0.5})
            for number in range(20):
                rename(sandbox, f"Name {number}")
            await settled(sandbox)
            lost.append([event["id"] for event in sandbox.webhooks.lost])

    assert lost[0] == lost[1] != []


async def test_what_waits_when_the_stand_in_stops_is_lost_and_stopping_does_not_wait(receiver: Receiver) -> None:
    async with Sandbox(seed=7) as sandbox:
        await listening(sandbox, receiver)
        sandbox.switches.update({"webhook_delay_s": 60.0})
        rename(sandbox)
        began_s = time.monotonic()

    assert time.monotonic() - began_s < 5
    assert receiver.events == []
