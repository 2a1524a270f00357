"""The wire to Notion: one paced, timed and classified request at a time; the official client underneath.

The client's own retries are off: they don't know 409, 504, 529, a 503 after the change was saved, or our pacing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import structlog
from notion_client import AsyncClient
from notion_client.errors import APIResponseError, HTTPResponseError, RequestTimeoutError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from sinks.base import SinkUnavailable
from sinks.notion.failures import ConflictOnSave, NotionOutage, classify, lacks_content, parse_body
from sinks.notion.pacing import Pacer, Turn
from state.changes import Priority
from state.errors import PoisonError, RateLimited, SyncError, TransientError

NOTION_VERSION: Final = "2026-03-11"
REQUEST_TIMEOUT_S: Final = 60.0
READ_ATTEMPTS: Final = 6

Observer = Callable[[str, str, float], None]
"""Called with (operation, outcome, seconds) for every request."""

Assured = Callable[[], Awaitable[None]]
"""Returns once it is sure that it is us who may write."""

_backoff = wait_random_exponential(multiplier=0.5, max=30)
log = structlog.get_logger(__name__)


def wait_s(attempt: RetryCallState) -> float:
    """Return the longer of our back-off and the wait that the server asked for, in seconds."""
    error = attempt.outcome.exception() if attempt.outcome else None
    asked_s = error.retry_after_s if isinstance(error, RateLimited | NotionOutage) else 0.0
    return max(asked_s, _backoff(attempt))


class NotionClient:
    """Requests with the connection's token. `request` is one attempt inside a turn; `call` paces and retries."""

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        pacer: Pacer,
        timeout_s: float = REQUEST_TIMEOUT_S,
        observer: Observer | None = None,
        assured: Assured | None = None,
    ) -> None:
        self.pacer = pacer
        self._observer = observer
        self._client = AsyncClient(
            client=httpx.AsyncClient(event_hooks={"request": [_asking(assured)]}) if assured is not None else None,
            auth=token, base_url=base_url, notion_version=NOTION_VERSION, timeout_ms=int(timeout_s * 1000), retry=False,
            # its own logger writes Notion's messages to stderr, and a refusal may quote the value that it refuses
            logger=logging.Logger("notion_client"), log_level=logging.CRITICAL + 1,
        )

    async def close(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def turn(self, priority: Priority, *, begun: bool = False) -> AsyncIterator[Turn]:
        """Wait for leave to send one request."""
        async with self.pacer.turn(priority, begun=begun) as turn:
            yield turn

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        lacking: Callable[[str], SyncError] = lacks_content,
    ) -> dict[str, Any]:
        """Send one request, once. The caller holds a turn. Raises our own errors only; see `classify` for `lacking`."""
        started_s = time.monotonic()
        operation = _operation(method, path)
        try:
            answer = await self._send(method, path, body, query, lacking)
        except SyncError as error:
            self._learn(error)
            self._observe(operation, type(error).__name__, started_s)
            raise
        self.pacer.succeeded()
        self._observe(operation, "ok", started_s)
        return answer

    async def follow_up(self, method: str, path: str, *, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send the continuation of a request that was answered, within its turn: seldom, so that nobody waits for it.

        To wait for a turn while holding one could wait forever.
        """
        await self.pacer.follow_up()
        return await self.request(method, path, query=query)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        priority: Priority = Priority.MANUAL,
        attempts: int = READ_ATTEMPTS,
    ) -> dict[str, Any]:
        """Send a request that may be repeated, pacing it and trying again while that can help."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((RateLimited, NotionOutage, ConflictOnSave)),
            stop=stop_after_attempt(attempts),
            wait=wait_s,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                async with self.turn(priority):
                    return await self.request(method, path, body=body, query=query)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        lacking: Callable[[str], SyncError],
    ) -> dict[str, Any]:
        try:
            answer = await self._client.request(
                path=path, method=method, body=dict(body) if body is not None else None,
                query=dict(query) if query is not None else None,
            )
        except (APIResponseError, HTTPResponseError) as error:
            raise classify(error.status, parse_body(error.body), error.headers, time.time(), lacking) from None
        except (RequestTimeoutError, httpx.TimeoutException) as error:
            raise NotionOutage(f"Notion did not answer in time ({type(error).__name__})", sent=True) from None
        except httpx.ConnectError:
            raise NotionOutage("no connection to Notion", sent=False) from None
        except httpx.HTTPError as error:
            raise NotionOutage(f"the connection to Notion broke ({type(error).__name__})", sent=True) from None
        except UnicodeEncodeError:
            # half of a surrogate pair: it was not sent, never can be, and says nothing about Notion
            raise PoisonError("not_utf8", "what was to be sent holds a character that no request can") from None
        except (ValueError, RecursionError):
            raise NotionOutage("Notion's answer was not JSON", sent=True) from None
        if not isinstance(answer, dict):
            raise NotionOutage("Notion's answer was not a JSON object", sent=True)
        return answer

    def _learn(self, error: SyncError) -> None:
        """Tell the pacer what an answer says about Notion as a whole."""
        match error:
            case RateLimited():
                self.pacer.pause(error.retry_after_s)
                log.info("notion.rate_limited", wait_s=error.retry_after_s)
            case NotionOutage():
                self.pacer.failed(str(error), asked_s=error.retry_after_s)
            case SinkUnavailable():
                self.pacer.failed(str(error), at_once=True)
            case TransientError():
                pass
            case _:
                self.pacer.succeeded()

    def _observe(self, operation: str, outcome: str, started_s: float) -> None:
        if self._observer is not None:
            self._observer(operation, outcome, time.monotonic() - started_s)


def _asking(assured: Assured) -> Callable[[httpx.Request], Awaitable[None]]:
    """Have each write assured at the last moment: a process may be paused while it waits for a connection."""

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            await assured()

    async def ask(request: httpx.Request) -> None:
        if request.method != "GET" and not request.url.path.endswith("/query"):
            request.extensions = {**request.extensions, "trace": trace}

    return ask


def _operation(method: str, path: str) -> str:
    """Return a name for metrics without ids: `PATCH pages`."""
    parts = [part for part in path.strip("/").split("/") if part]
    kept = [parts[0]] + [part for part in parts[2:] if part in {"query", "children", "properties"}] if parts else []
    return f"{method} {'/'.join(kept)}"
