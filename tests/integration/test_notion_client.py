"""The client against a Notion that fails: what is tried again, how long is waited, what each failure becomes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from tenacity import AsyncRetrying, Future, RetryCallState

from deploy.sandbox.server import Sandbox
from sinks.base import SinkUnavailable
from sinks.notion.client import NotionClient, wait_s
from sinks.notion.failures import ConflictOnSave, NotionOutage
from sinks.notion.pacing import Pacer
from state.changes import Priority
from state.errors import PoisonError, RateLimited, SyncError

PASSING: Final[dict[str, type[SyncError]]] = {
    "409": ConflictOnSave, "429": RateLimited, "500": NotionOutage, "502": NotionOutage, "503": NotionOutage,
    "504": NotionOutage, "529": NotionOutage, "malformed": NotionOutage, "reset": NotionOutage,
    "timeout": NotionOutage,
}  # fmt: skip
LASTING: Final[dict[str, type[SyncError]]] = {"400": PoisonError, "401": SinkUnavailable, "403": SinkUnavailable}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[NotionClient]:
    client = NotionClient("ntn_test", base_url=sandbox.url, pacer=Pacer(0), timeout_s=0.3)
    yield client
    await client.close()


def failed(error: Exception, attempt: int = 1) -> RetryCallState:
    """Return what tenacity knows after a failed attempt."""
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, error, has_exception=True)
    return state


@pytest.mark.parametrize("kind", PASSING)
async def test_a_read_that_failed_is_repeated(sandbox: Sandbox, client: NotionClient, kind: str) -> None:
    fault = sandbox.faults.script(kind=kind, retry_after=1 if kind in ("429", "529") else None)

    answer = await client.call("GET", "users/me", priority=Priority.LIVE)

    assert answer["object"] == "user"
    assert (fault.applied, sandbox.count()) == (1, 2)


@pytest.mark.parametrize(("kind", "becomes"), [*PASSING.items(), *LASTING.items()])
async def test_a_request_is_one_attempt_and_says_what_became_of_it(
    sandbox: Sandbox, client: NotionClient, kind: str, becomes: type[SyncError]
) -> None:
    sandbox.faults.script(kind=kind, times=None)

    with pytest.raises(becomes):
        async with client.turn(Priority.LIVE):
            await client.request("GET", "users/me")

    assert sandbox.count() == 1


@pytest.mark.parametrize(("kind", "becomes"), LASTING.items())
async def test_what_will_not_pass_is_not_repeated(
    sandbox: Sandbox, client: NotionClient, kind: str, becomes: type[SyncError]
) -> None:
    sandbox.faults.script(kind=kind, times=None)

    with pytest.raises(becomes):
        await client.call("GET", "users/me")

    assert sandbox.count() == 1


async def test_a_text_that_no_request_can_hold_is_not_held_against_notion(
    sandbox: Sandbox, client: NotionClient
) -> None:
    with pytest.raises(PoisonError) as caught:
        await client.call("POST", "comments", body={"text": "half a kangaroo: \ud83e"})

    assert "kangaroo" not in str(caught.value)
    assert sandbox.count() == 0
    assert not client.pacer.breaker.open


async def test_the_last_attempt_s_failure_is_raised(sandbox: Sandbox, client: NotionClient) -> None:
    sandbox.faults.script(kind="409", times=None)

    with pytest.raises(ConflictOnSave):
        await client.call("GET", "users/me", attempts=2)

    assert sandbox.count() == 2


async def test_where_nobody_listens_nothing_was_sent() -> None:
    client = NotionClient("ntn_test", base_url="http://127.0.0.1:9", pacer=Pacer(0))

    with pytest.raises(NotionOutage) as caught:
        async with client.turn(Priority.LIVE):
            await client.request("POST", "pages", body={})

    assert not caught.value.sent
    await client.close()


@pytest.mark.parametrize("asked_s", [40.0, 3600.0])
def test_a_longer_wait_that_the_server_asked_for_counts(asked_s: float) -> None:
    assert wait_s(failed(RateLimited("", asked_s))) == asked_s
    assert wait_s(failed(NotionOutage("", sent=True, retry_after_s=asked_s))) == asked_s


def test_our_longer_wait_counts_and_grows_up_to_half_a_minute() -> None:
    longest = {attempt: max(wait_s(failed(NotionOutage("", sent=True), attempt)) for _ in range(200))
               for attempt in (1, 4, 12)}

    assert 0 < longest[1] <= 0.5 < longest[4] <= 4 < longest[12] <= 30


async def test_notion_s_words_are_not_in_any_log(
    sandbox: Sandbox, client: NotionClient, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.faults.script(kind="400", message="Amelia's story is not a valid number")

    with pytest.raises(PoisonError) as caught:
        await client.call("GET", "users/me")

    assert "Amelia" not in str(caught.value)
    assert "Amelia" not in "".join(capfd.readouterr())
