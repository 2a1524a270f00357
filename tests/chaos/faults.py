"""What goes wrong in a run: Notion's answers, queries and webhooks, Postgres, the wire to it, the process itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from deploy.local.server import PrivateServer
from deploy.sandbox.faults import Fault as Script
from deploy.sandbox.requestlog import Request
from deploy.sandbox.server import Sandbox
from deploy.sandbox.switches import Switches
from tests.chaos.running import Running
from tests.chaos.samples import Samples
from tests.chaos.wire import Wire

STATUSES: Final = ("409", "429", "500", "502", "503", "504", "529")
WHEN: Final = ("before", "after")
SILENT: Final = ("timeout", "reset", "slow", "malformed")
WINDOWS: Final[dict[str, dict[str, Any]]] = {
    "stale queries": {"query_lag_s": 0.9},
    "lost webhooks": {"webhook_loss": 0.8},
    "repeated webhooks": {"webhook_duplicate": 0.8},
    "reordered webhooks": {"webhook_reorder": 0.8, "webhook_reorder_s": 1.5},
    "late webhooks": {"webhook_delay_s": 1.5},
    "outage": {"outage": True},
    "slow Notion": {"latency_s": 0.15},
    "conflicting writes": {"conflict_on_concurrent_writes": True},
}
FROZEN: Final = "frozen and taken over"
DATABASE: Final = (
    "backends terminated", "stream terminated", "wire cut", "stream cut", "others cut", "restart fast",
    "restart immediate", "rows locked",
)
PATHS: Final = {"POST": "/v1/pages", "PATCH": "/v1/pages/.*", "GET": "/v1/pages/.*", "query": ".*/query"}
TERMINATE: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'mapable-cdc%%' or backend_type = 'walsender' and datname = current_database()
"""
TERMINATE_LOCK: Final = """
select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mapable-cdc lock'
"""
TERMINATE_STREAM: Final = """
select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender' and datname = current_database()
"""
KILLS: Final = ("anywhere", "before a write is saved", "after a write is saved", "after a page is made")


@dataclass(eq=False, slots=True)
class Fault:
    """One fault of a run. `lasts`: for so many operations; `struck`: how often it did, as far as can be told."""

    name: str
    lasts: int
    end: Callable[[], Awaitable[None]]
    script: Script | None = None
    struck_times: int = 0

    @property
    def struck(self) -> int:
        return self.script.applied if self.script is not None else self.struck_times

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
    server: PrivateServer | None    # one that may be restarted
    running: Running
    restarts_s: list[float] = field(default_factory=list)

    def plan(self, some: Samples, number: int, among: Sequence[str]) -> list[str]:
        """Choose the faults of a run: of every family some, or only `among` these."""
        if among:
            return [some.pick(among) for _ in range(number)]
        families = [
            # who is over the limit is turned away at the door
            [f"{kind} {when}" for kind in (*STATUSES, *SILENT) for when in WHEN if (kind, when) != ("429", "after")],
            list(WINDOWS),
            [name for name in (*DATABASE, FROZEN) if self.server is not None or "restart" not in name],
        ]
        return [some.pick(families[(0, 1, 2, 0)[index % 4]]) for index in range(number)]

    async def begin(self, name: str, some: Samples) -> Fault:
        """Let it go wrong."""
        if name in WINDOWS:
            return self._window(name, some)
        if name == FROZEN:
            return await self._freeze(name)
        if name in DATABASE:
            return await self._database(name, some)
        return self._answer(name, some)

    def kill_when(self, moment: str, kill: Callable[[], None]) -> Script | None:
        """Arm a kill at a moment of the next write; None: it is not that kind of moment."""
        if moment == "anywhere":
            return None

        def strike(request: Request) -> bool:
            if request.method not in ("POST", "PATCH") or not request.path.startswith("/v1/pages"):
                return False
            if moment == "after a page is made" and request.path != "/v1/pages":
                return False
            kill()
            return True

        return self.sandbox.faults.script(
            kind="reset", when="before" if moment.startswith("before") else "after", where=strike
        )

    def clear(self) -> None:
        """Let everything work again, at once."""
        self.sandbox.faults.clear()
        for changes in WINDOWS.values():
            self._set_back(changes)

    def _answer(self, name: str, some: Samples) -> Fault:
        kind, when, *given = name.split(" ")
        target = given[0] if given else some.pick(tuple(PATHS))
        script = self.sandbox.faults.script(
            kind=kind, when=when, path_pattern=PATHS[target], method="POST" if target == "query" else target,
            times=1 + int(some.rng.random() * 3), with_committed_id=some.rng.random() < 0.5, delay_s=0.7,
        )
        return Fault(name, 25, _nothing, script)

    def _window(self, name: str, some: Samples) -> Fault:
        self.sandbox.switches.update(WINDOWS[name])

        async def end() -> None:
            self._set_back(WINDOWS[name])

        return Fault(name, 10 if name == "outage" else 15 + int(some.rng.random() * 20), end, struck_times=1)

    def _set_back(self, changes: dict[str, Any]) -> None:
        defaults = Switches().as_dict()
        self.sandbox.switches.update({name: defaults[name] for name in changes})

    async def _database(self, name: str, some: Samples) -> Fault:
        match name:
            case "backends terminated" | "stream terminated":
                await self._execute(TERMINATE if name.startswith("back") else TERMINATE_STREAM)
            case "wire cut" | "stream cut" | "others cut":
                self.wire.cut(streams=None if name == "wire cut" else name == "stream cut")
            case "restart fast" | "restart immediate":
                assert self.server is not None
                began_s = asyncio.get_running_loop().time()
                await asyncio.to_thread(self.server.restart, name.removeprefix("restart "))
                self.restarts_s.append(asyncio.get_running_loop().time() - began_s)
            case "rows locked":
                return await self._lock(name, some)
        return Fault(name, 0, _nothing, struck_times=1)

    async def _freeze(self, name: str) -> Fault:
        """Freeze the process, let another one take over, and thaw the first: for a moment there are two."""
        if not self.running.up:
            return Fault(name, 0, _nothing)
        await self.running.freeze()
        await self._execute(TERMINATE_LOCK)

        async def end() -> None:
            self.running.thaw()
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    for _ in range(40):
                        await self.sandbox.next_move()
            await self.running.dismiss()
            # back to the port that webhooks go to
            await self.running.restart()

        return Fault(name, 15, end, struck_times=1)

    async def _execute(self, query: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            await conn.execute(query.encode())

    async def _lock(self, name: str, some: Samples) -> Fault:
        """Hold the rows of a table, as an application that thinks for a while does."""
        conn = await psycopg.AsyncConnection.connect(self.dsn)
        table = some.pick(("Risk", "Incident", "NDISPlan"))
        await conn.execute(f'select 1 from "{table}" order by id limit 3 for update'.encode())  # noqa: S608

        async def end() -> None:
            await conn.close()

        return Fault(name, 8, end, struck_times=1)


async def _nothing() -> None:
    return
