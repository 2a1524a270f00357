"""The stand-in's HTTP server: headers, versions, rate, faults and latency around the endpoints.

    async with Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox:
        client = AsyncClient(auth=sandbox.token, base_url=sandbox.url)

`sandbox.people` does what a person does, `sandbox.faults` scripts failures, `sandbox.switches` turns behaviour on,
`sandbox.requests` is the log of what came in, `sandbox.webhooks` tells a URL what happened, and
`await sandbox.wait_for(predicate)` waits without sleeping.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from deploy.sandbox import browsing, control, webhookcontrol
from deploy.sandbox.cursors import Cursors
from deploy.sandbox.endpoints import Endpoints
from deploy.sandbox.faults import Faults
from deploy.sandbox.gate import Gate
from deploy.sandbox.lag import QueryLag
from deploy.sandbox.limits import RateWindow
from deploy.sandbox.listings import SearchIndex
from deploy.sandbox.people import People
from deploy.sandbox.requestlog import RequestLog
from deploy.sandbox.store import Change, Store
from deploy.sandbox.switches import Switches
from deploy.sandbox.webhooks import Webhooks
from deploy.sandbox.workspace import Workspace


class Sandbox:
    """A running stand-in; `async with` starts and stops it."""

    def __init__(
        self,
        *,
        token: str = "ntn_sandbox",  # noqa: S107
        rate_limit: int = 180,
        rate_window_s: float = 60.0,
        seed: int | None = None,
        state_file: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        switches: Switches | None = None,
    ) -> None:
        self.token = token
        self.switches = switches or Switches()
        self.requests = RequestLog()
        self.store = Store(state_file)
        self.rng = random.Random(seed)
        self.faults = Faults(self.rng)
        self.rate = RateWindow(rate_limit, rate_window_s, monotonic, self.rng)
        self._lag = QueryLag(self.switches, monotonic)
        self._search = SearchIndex(self.switches, monotonic)
        self.state = Workspace(
            self.store, clock=lambda: clock() + self.switches.clock_offset_s, monotonic=monotonic, seed=seed,
            switches=self.switches,
        )
        self.people = People(self.state, self.moved)
        self._endpoints = Endpoints(self.state, Cursors(self.state.workspace_id), self._lag, self._search)
        self.webhooks = Webhooks(self.state, self.moved)
        for listener in (self._lag.notice, self._search.notice, self.webhooks.notice, self._notice):
            self.store.listen(listener)
        self._gate = Gate(
            token=token,
            workspace=self.state,
            endpoints=self._endpoints,
            faults=self.faults,
            rate=self.rate,
            requests=self.requests,
            rng=self.rng,
            moved=self.moved,
        )
        self._address = (host, port)
        self._runner: web.AppRunner | None = None
        self._moved = asyncio.Event()
        self.moves = 0
        """Goes up with every request and every change of a document."""

    @property
    def url(self) -> str:
        """The base URL for clients, without /v1."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def parent_page_id(self) -> str:
        """The page that is shared with the connection."""
        return self.state.parent_page_id

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        control.add_routes(app, self)
        webhookcontrol.add_routes(app, self)
        browsing.add_routes(app, self)
        app.router.add_route("*", "/{path:.*}", self._gate.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._address)
        await site.start()
        self._address = (self._address[0], self._runner.addresses[0][1])
        await self.webhooks.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.stop()
        await self.webhooks.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.store.close()

    # What tests ask

    def count(self, method: str | None = None, path: str | None = None, status: int | None = None) -> int:
        """Return how many logged requests match; `path` is a regular expression for the whole path."""
        return self.requests.count(method, path, status)

    def clear_requests(self) -> None:
        """Forget the logged requests."""
        self.requests.clear()

    async def wait_for(self, holds: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Return when `holds()` is true; it is asked after every request and every change. TimeoutError otherwise."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                await self.next_move()

    async def next_move(self) -> None:
        """Wait for the next request or change."""
        await self._moved.wait()

    def moved(self) -> None:
        """Commit to disk and wake whoever waits."""
        self.store.commit()
        self.moves += 1
        self._moved.set()
        self._moved = asyncio.Event()

    def reset(self) -> None:
        """Start over: an empty workspace, no faults, default switches, an empty log."""
        self.switches.update(Switches().as_dict())
        self.faults.clear()
        self.webhooks.forget()
        self.store.clear()
        self.state.start()
        self._endpoints.cursors = Cursors(self.state.workspace_id)
        self.requests.clear()
        self.moved()

    def _notice(self, _change: Change) -> None:
        self.moves += 1
