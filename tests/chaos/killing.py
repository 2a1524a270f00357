"""Striking at a moment: when a step becomes durable on the wire to Postgres, or when a request reaches Notion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.faults import Fault as Script
from deploy.sandbox.requestlog import Request
from deploy.sandbox.server import Sandbox
from tests.chaos.moments import STEPS, Step, is_commit
from tests.chaos.samples import Samples
from tests.chaos.wire import Wire


@dataclass(slots=True)
class Strike:
    """One act that waits for its moment. It strikes once."""

    sandbox: Sandbox
    wire: Wire
    act: Callable[[], None]
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    _script: Script | None = None

    def disarm(self) -> None:
        """Let it be, if it has not struck."""
        self.wire.watcher = None
        if self._script is not None:
            self._script.where = _never

    async def within(self, wait_s: float) -> bool:
        """Whether it struck by then."""
        try:
            async with asyncio.timeout(wait_s):
                await self.struck.wait()
        except TimeoutError:
            return False
        return True

    def at_step(self, step: Step, when: str, *, deadly: bool = True) -> None:
        """Strike at a named step. Not `deadly`: the message that it met still gets through."""
        if step.asked is not None:
            self.at_request(step.is_asked, when, deadly=deadly)
        else:
            self.at_commit(step.is_said, when, deadly=deadly)

    def at_commit(self, is_it: Callable[[tuple[str, ...]], bool], when: str, *, deadly: bool = True) -> None:
        """Strike when such a transaction commits."""

        def watch(durable: tuple[str, ...], moment: str) -> bool:
            if moment != when or self.struck.is_set() or not is_it(durable):
                return False
            self._strike()
            return deadly

        self.wire.watcher = watch

    def at_request(self, is_it: Callable[[Request], bool], when: str, *, deadly: bool = True) -> None:
        """Strike when such a request arrives, or has been carried out."""

        def where(request: Request) -> bool:
            if self.struck.is_set() or not is_it(request):
                return False
            self._strike()
            return True

        self._script = self.sandbox.faults.script(
            kind="reset" if deadly else "slow", when=when, where=where, delay_s=0.05
        )

    def _strike(self) -> None:
        self.struck.set()
        self.act()


def at_random(strike: Strike, moment: str, some: Samples) -> None:
    """Arm a strike at one of the moments that come at random, or at `after: a step`; `anywhere` is now."""
    match moment:
        case "anywhere":
            strike.act()
        case "before a commit" | "after a commit":
            rest = int(some.rng.random() * 12)

            def counted(durable: tuple[str, ...]) -> bool:
                nonlocal rest
                rest -= is_commit(durable)
                return rest < 0

            strike.at_commit(counted, moment.split(" ")[0])
        case _ if ": " in moment:
            when, name = moment.split(": ")
            strike.at_step(next(step for step in STEPS if step.name == name), when)
        case _:
            strike.at_request(_makes if moment == "after a page is made" else _writes, moment.split(" ")[0])


def _writes(request: Request) -> bool:
    return request.method in ("POST", "PATCH") and request.path.startswith("/v1/pages")


def _makes(request: Request) -> bool:
    return (request.method, request.path) == ("POST", "/v1/pages")


def _never(_: Any) -> bool:
    return False


