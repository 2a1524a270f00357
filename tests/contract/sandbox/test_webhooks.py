"""Webhooks on the wire: the handshake, a subscription's life, signatures and envelopes.

Source: Notion's "Webhooks" and "Event types & delivery" pages.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.receiver import Received, Receiver, listening, settled
from tests.contract.sandbox.shapes import TOKEN, Clock, Notion, Table, add_row


def signed(one: Received, token: str) -> bool:
    """Whether the signature is the token's over the bytes that came."""
    digest = hmac.new(token.encode(), one.raw, hashlib.sha256).hexdigest()
    return one.signature == f"sha256={digest}"


async def test_the_handshake_brings_the_token_and_is_signed_with_it(sandbox: Sandbox, receiver: Receiver) -> None:
    made = sandbox.webhooks.subscribe(receiver.url)
    await settled(sandbox)

    (greeting,) = receiver.received
    assert list(greeting.body) == ["verification_token"]
    assert receiver.token.startswith("secret_")
    assert signed(greeting, receiver.token)
    assert made.state == "pending"


async def test_nothing_is_told_before_the_token_was_pasted_back(
    sandbox: Sandbox, receiver: Receiver, people_table: Table
) -> None:
    sandbox.webhooks.subscribe(receiver.url)
    await settled(sandbox)
    sandbox.people.create("Participants", {"Name": "Ann"})
    await settled(sandbox)
    with pytest.raises(LookupError):
        sandbox.webhooks.verify("secret_wrong")
    assert receiver.events == []

    assert sandbox.webhooks.verify(receiver.token).state == "active"

    sandbox.people.create("Participants", {"Name": "Bea"})
    await settled(sandbox)
    assert "page.created" in receiver.kinds


async def test_a_pending_subscriptions_token_can_be_sent_again_and_its_url_changed(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    made = sandbox.webhooks.subscribe(receiver.url)
    sandbox.webhooks.resend(made.id)
    sandbox.webhooks.change(made.id, url=f"{receiver.url}?second")
    await settled(sandbox)

    assert len({one.body["verification_token"] for one in receiver.received}) == 1
    assert len(receiver.received) == 3
    sandbox.webhooks.verify(receiver.token)
    with pytest.raises(ValueError, match="not pending"):
        sandbox.webhooks.resend(made.id)
    with pytest.raises(ValueError, match="before the subscription is verified"):
        sandbox.webhooks.change(made.id, url=receiver.url)


@pytest.mark.parametrize("url", ["https://example.org/hook", "http://10.0.0.1/", "ftp://127.0.0.1/", "http://u@127.0.0.1/"])
async def test_nothing_is_sent_to_another_machine(sandbox: Sandbox, url: str) -> None:
    with pytest.raises(ValueError, match="on this machine"):
        sandbox.webhooks.subscribe(url)


async def test_what_happens_during_a_pause_is_never_told(
    sandbox: Sandbox, receiver: Receiver, people_table: Table
) -> None:
    subscription_id = await listening(sandbox, receiver)
    sandbox.webhooks.pause(subscription_id)
    sandbox.people.create("Participants", {"Name": "Ann"})
    await settled(sandbox)
    sandbox.webhooks.resume(subscription_id)

    page_id = sandbox.people.create("Participants", {"Name": "Bea"})

    await settled(sandbox)
    assert receiver.of("page.created")["entity"]["id"] == page_id


async def test_a_deleted_subscription_hears_nothing_more(
    sandbox: Sandbox, receiver: Receiver, people_table: Table
) -> None:
    subscription_id = await listening(sandbox, receiver)
    sandbox.people.create("Participants", {"Name": "Ann"})

    sandbox.webhooks.delete(subscription_id)

    await settled(sandbox)
    assert receiver.received == []
    assert sandbox.webhooks.subscriptions == ()


async def test_a_subscription_hears_the_types_that_were_chosen(
    sandbox: Sandbox, receiver: Receiver, people_table: Table
) -> None:
    subscription_id = await listening(sandbox, receiver, events=["page.deleted"])
    page_id = sandbox.people.create("Participants", {"Name": "Ann"})
    await settled(sandbox)
    sandbox.people.trash(page_id)
    await settled(sandbox)
    assert receiver.kinds == ["page.deleted"]

    sandbox.webhooks.change(subscription_id, events=["page.undeleted"])
    sandbox.people.restore(page_id)

    await settled(sandbox)
    assert receiver.kinds == ["page.deleted", "page.undeleted"]
    with pytest.raises(ValueError, match="no events"):
        sandbox.webhooks.change(subscription_id, events=["page.exploded"])


async def test_the_body_is_minified_and_signed_as_the_bytes_that_are_sent(sandbox: Sandbox, receiver: Receiver) -> None:
    await listening(sandbox, receiver)
    token = sandbox.webhooks.subscriptions[0].token
    database = sandbox.people.page(sandbox.parent_page_id)

    sandbox.people.edit(database["id"], {"title": "Überblick 🙂"})

    await settled(sandbox)
    (one,) = receiver.received
    assert signed(one, token)
    assert one.headers["Content-Type"] == "application/json"
    assert one.raw == json.dumps(one.body, ensure_ascii=False, separators=(",", ":")).encode()


async def test_letters_of_every_alphabet_are_sent_as_they_are(sandbox: Sandbox, hook: Receiver) -> None:
    token = sandbox.webhooks.subscriptions[0].token

    sandbox.people.add_property("Participants", "Größe 🙂")

    await settled(sandbox)
    (one,) = hook.received
    assert "Größe 🙂".encode() in one.raw
    assert signed(one, token)


async def test_an_envelope_has_exactly_these_fields(
    sandbox: Sandbox, notion: Notion, receiver: Receiver, people_table: Table, clock: Clock
) -> None:
    subscription_id = await listening(sandbox, receiver)
    clock.move(1.25)
    priya = sandbox.state.person("Priya Nair")["id"]

    page_id = sandbox.people.create("Participants", {"Name": "Ann"}, person="Priya Nair")

    await settled(sandbox)
    event = receiver.of("page.created")
    event_id = event.pop("id")
    assert event == {
        "timestamp": "2026-09-21T14:13:24.250Z",
        "workspace_id": (await notion.users.me())["bot"]["workspace_id"],
        "workspace_name": "Sandbox",
        "subscription_id": subscription_id,
        "integration_id": sandbox.state.integration_id,
        "type": "page.created",
        "authors": [{"id": priya, "type": "person"}],
        "attempt_number": 1,
        "api_version": "2026-03-11",
        "entity": {"id": page_id, "type": "page"},
        "data": {
            "parent": {
                "id": people_table.database_id, "type": "database", "data_source_id": people_table.source_id,
            }
        },
    }  # fmt: skip
    assert event_id not in (page_id, subscription_id)


async def test_the_oldest_version_knows_databases_only(
    sandbox: Sandbox, receiver: Receiver, people_table: Table
) -> None:
    await listening(sandbox, receiver, api_version="2022-06-28")

    sandbox.people.create("Participants", {"Name": "Ann"})

    await settled(sandbox)
    assert sorted(receiver.kinds) == ["database.content_updated", "page.created"]
    event = receiver.of("database.content_updated")
    assert event["entity"] == {"id": people_table.database_id, "type": "database"}
    assert event["api_version"] == "2022-06-28"
    assert receiver.of("page.created")["data"]["parent"] == {"id": people_table.database_id, "type": "database"}
    with pytest.raises(ValueError, match="api_version"):
        sandbox.webhooks.subscribe(receiver.url, api_version="2020-01-01")


async def test_a_subscription_and_its_token_outlive_the_process(tmp_path: Path, receiver: Receiver) -> None:
    state = tmp_path / "sandbox.sqlite"
    async with Sandbox(token=TOKEN, seed=1, state_file=state) as first:
        subscription_id = await listening(first, receiver)
        token = first.webhooks.subscriptions[0].token

    async with Sandbox(token=TOKEN, seed=1, state_file=state) as second:
        second.people.edit(second.parent_page_id, {"title": "Renamed"})
        await settled(second)

    assert receiver.of("page.content_updated")["subscription_id"] == subscription_id
    assert signed(receiver.received[-1], token)


async def test_everything_works_over_the_control_api(sandbox: Sandbox, receiver: Receiver, people_table: Table) -> None:
    async with aiohttp.ClientSession(sandbox.url) as session:

        async def call(method: str, path: str, body: Any = None) -> Any:
            async with session.request(method, f"/sandbox/webhooks{path}", json=body) as answer:
                return answer.status, await answer.json()

        status, made = await call("POST", "", {"url": receiver.url, "events": ["page.created"]})
        assert (status, made["state"]) == (200, "pending")
        await settled(sandbox)
        assert receiver.token not in str(await call("GET", ""))
        assert (await call("POST", "/verify", {"token": receiver.token}))[1]["state"] == "active"
        sandbox.people.create("Participants", {"Name": "Ann"})
        await settled(sandbox)

        _, told = await call("GET", "/deliveries")

        assert [one["event"] for one in told["delivered"]] == ["verification", "page.created"]
        assert (told["idle"], told["lost"]) == (True, [])
        assert (await call("POST", f"/{made['id']}/pause"))[0] == 200
        assert (await call("GET", ""))[1][0]["state"] == "paused"
        for method, path, body in (
            ("POST", "", {"url": 5}), ("POST", "", {"url": receiver.url, "colour": "red"}), ("POST", "/verify", {}),
            ("POST", f"/{made['id']}/explode", {}), ("PATCH", "/nobody", {"events": []}), ("DELETE", "/nobody", None),
            ("PATCH", f"/{made['id']}", {"events": 5}),
        ):  # fmt: skip
            assert (await call(method, path, body))[0] == 400, (method, path)
        assert (await call("DELETE", f"/{made['id']}"))[0] == 200


async def test_starting_over_forgets_subscriptions_and_what_is_pending(
    sandbox: Sandbox, notion: Notion, hook: Receiver, people_table: Table
) -> None:
    await add_row(notion, people_table, "Ann")

    sandbox.reset()

    await settled(sandbox)
    assert hook.received == []
    assert sandbox.webhooks.subscriptions == ()
    assert sandbox.webhooks.delivered == ()
