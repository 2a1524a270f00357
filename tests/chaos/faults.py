"""What goes wrong in a run: Notion's answers, queries, webhooks and clock, Postgres, its slot, the wire, a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from deploy.local.server import PrivateServer
from deploy.sandbox.faults import Fault as Script
from deploy.sandbox.server import Sandbox
from deploy.sandbox.switches import Switches
from tests.chaos.application import Application
from tests.chaos.calamities import ALONE, CALAMITIES, FROZEN, FROZEN_WRITING, NEEDS_SERVER, Calamities
from tests.chaos.outcome import NotNow, Report
from tests.chaos.running import Running
from tests.chaos.samples import Samples
from tests.chaos.wire import Wire

STATUSES: Final = ("409", "429", "500", "502", "503", "504", "529")
WHEN: Final = ("before", "after")
SILENT: Final = ("timeout", "reset", "slow", "malformed")
TOLD: Final = ("503 after POST naming it", "503 after POST not naming it")
"""An answer that says that the page was made after all, with and without committed_resource_id."""
ANSWERS: Final = (
    # who is over the limit is turned away at the door
    *(f"{kind} {when}" for kind in (*STATUSES, *SILENT) for when in WHEN if (kind, when) != ("429", "after")), *TOLD,
)
WINDOWS: Final[dict[str, dict[str, Any]]] = {
    "stale queries": {"query_lag_s": 0.9},
    "lost webhooks": {"webhook_loss": 0.8},
    "repeated webhooks": {"webhook_duplicate": 0.8},
    "reordered webhooks": {"webhook_reorder": 0.8, "webhook_reorder_s": 1.5},
    "late webhooks": {"webhook_delay_s": 1.5},
    "outage": {"outage": True},
    "long outage": {"outage": True},
    "slow Notion": {"latency_s": 0.15},
    "very slow Notion": {"latency_s": 0.8},
    "conflicting writes": {"conflict_on_concurrent_writes": True},
    "clock jumps ahead": {"clock_offset_s": 90.0},
    "clock jumps back": {"clock_offset_s": -90.0},
    "relations touch both pages": {"mirror_touches": True},
}
LASTS: Final = {"outage": 10, "long outage": 80}
OUTAGES: Final = tuple(LASTS)
PATHS: Final = {"POST": "/v1/pages", "PATCH": "/v1/pages/.*", "GET": "/v1/pages/.*", "query": ".*/query",
               "lookup": ".*/query"}
LOOKS_UP: Final = '"rich_text": {"equals"'
"""What a query for a System ID holds, and no other."""
FAMILIES: Final = (ANSWERS, tuple(WINDOWS), CALAMITIES, ANSWERS)


@dataclass(eq=False, slots=True)
class Fault:
    """One fault of a run. `lasts`: for so many operations; `struck`: how often it did, as far as can be told."""

    name: str
    lasts: int
    end: Callable[[], Awaitable[None]]
    script: Script | None = None

    @property
    def struck(self) -> int:
        return self.script.applied if self.script is not None else 1

    @property
    def armed(self) -> bool:
        """Whether it is in force, or waits for a request to spoil."""
        return self.script is None or bool(self.script.times)


@dataclass(slots=True)
class Faults:
    """The menu, over one stage."""

    sandbox: Sandbox
    wire: Wire
    dsn: str = field(repr=False)
    env: dict[str, str] = field(repr=False)
    server: PrivateServer | None    # one that may be restarted
    running: Running
    application: Application
    report: Report

    def plan(self, some: Samples, number: int, among: Sequence[str]) -> list[str]:
        """Choose the faults of a run: of every family some, or only `among` these."""
        if among:
            return [some.pick(among) for _ in range(number)]
        possible = [
            tuple(name for name in family if self.server is not None or name not in NEEDS_SERVER)
            for family in FAMILIES
        ]
        return [some.pick(possible[index % len(possible)]) for index in range(number)]

    async def begin(self, name: str, some: Samples, armed: Sequence[Fault]) -> Fault:
        """Let it go wrong; raises NotNow when it can't beside what goes wrong already."""
        going_on = {fault.name for fault in armed if fault.armed}
        if name in ALONE and going_on & ALONE:
            raise NotNow
        if name.startswith("restart") and going_on & {FROZEN, FROZEN_WRITING, "slot busy"}:
            # a server that stops in good order waits for who reads its log, and these two don't answer
            raise NotNow
        if name in WINDOWS:
            if any(WINDOWS[name].keys() & WINDOWS[other].keys() for other in going_on & WINDOWS.keys()):
                raise NotNow
            return self._window(name, some)
        if name in CALAMITIES:
            calamities = Calamities(
                self.sandbox, self.wire, self.dsn, self.env, self.server, self.running, self.application, self.report
            )
            try:
                lasts, end = await calamities.begin(name, some)
            except psycopg.OperationalError:
                # it was not for the harness to reach the server just then
                raise NotNow from None
            return Fault(name, lasts, end)
        return self._answer(name, some)

    def clear(self) -> None:
        """Let everything work again, at once."""
        self.sandbox.faults.clear()
        for changes in WINDOWS.values():
            self._set_back(changes)

    def _answer(self, name: str, some: Samples) -> Fault:
        kind, when, *given = name.split(" ")
        target = given[0] if given else some.pick(tuple(PATHS))
        is_query = target in ("query", "lookup")
        script = self.sandbox.faults.script(
            kind=kind, when=when, path_pattern=PATHS[target], method="POST" if is_query else target,
            body_contains=LOOKS_UP if target == "lookup" else None,
            times=(10 if target == "lookup" else 1) + int(some.rng.random() * 3),
            with_committed_id=given[1:2] != ["not"], delay_s=0.7,
        )
        return Fault(name, 25, _nothing, script)

    def _window(self, name: str, some: Samples) -> Fault:
        self.sandbox.switches.update(WINDOWS[name])

        async def end() -> None:
            self._set_back(WINDOWS[name])

        return Fault(name, LASTS.get(name, 15 + int(some.rng.random() * 20)), end)

    def _set_back(self, changes: dict[str, Any]) -> None:
        defaults = Switches().as_dict()
        self.sandbox.switches.update({name: defaults[name] for name in changes})


async def _nothing() -> None:
    return
