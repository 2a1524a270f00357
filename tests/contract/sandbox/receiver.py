"""A receiver of webhooks on a free port: keeps what came, byte for byte, and answers what a test wants."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Json


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    raw: bytes
    headers: dict[str, str]

    @property
    def body(self) -> Json:
        parsed: Json = json.loads(self.raw)
        return parsed

    @property
    def signature(self) -> str:
        return self.headers["X-Notion-Signature"]


class Receiver:
    """Answers 200, or the next of `answers`; None among them: no answer until the receiver ends."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.received: list[Received] = []
        self.answers: deque[int | None] = deque()
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def token(self) -> str:
        """The token that the handshake brought last."""
        return str([one.body for one in self.received if "verification_token" in one.body][-1]["verification_token"])

    @property
    def events(self) -> list[Json]:
        """The bodies of events, in the order of their coming."""
        return [one.body for one in self.received if "verification_token" not in one.body]

    @property
    def kinds(self) -> list[str]:
        return [str(event["type"]) for event in self.events]

    def of(self, kind: str) -> Json:
        """Return the one event of a type."""
        (found,) = [event for event in self.events if event["type"] == kind]
        return found

    def forget(self) -> None:
        self.received.clear()

    async def _take(self, request: web.Request) -> web.Response:
        self.received.append(Received(await request.read(), dict(request.headers)))
        status = self.answers.popleft() if self.answers else 200
        if status is None:
            await self._ending.wait()
        return web.Response(status=status or 200, headers={"Location": "/hook"} if status == 302 else {})


async def settled(sandbox: Sandbox) -> None:
    """Return when everything that happened so far was told."""
    await sandbox.wait_for(sandbox.webhooks.idle)


async def listening(sandbox: Sandbox, receiver: Receiver, **settings: object) -> str:
    """Subscribe the receiver, confirm it as a person does, and return the subscription's id."""
    made = sandbox.webhooks.subscribe(receiver.url, **settings)  # type: ignore[arg-type]
    await settled(sandbox)
    sandbox.webhooks.verify(receiver.token)
    receiver.forget()
    return made.id
