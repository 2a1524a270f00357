"""One run from one seed: operations on both sides, faults and kills; then quiet, and the model's verdict."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from deploy.local.ports import free_port
from deploy.local.server import PostgresServer, PrivateServer
from deploy.sandbox.faults import Fault as Script
from deploy.sandbox.server import Sandbox
from tests.chaos import menu
from tests.chaos.application import Application, Skipped
from tests.chaos.coordinators import Coordinators
from tests.chaos.ending import Ending, ending_of
from tests.chaos.faults import FROZEN, Fault, Faults
from tests.chaos.model import judge, judge_unswept
from tests.chaos.outcome import Profile, Report
from tests.chaos.running import Running
from tests.chaos.samples import Samples
from tests.chaos.story import stories
from tests.chaos.wire import Wire
from tests.chaos.witness import Pages, watch_rows
from tests.system.desk import HOOK
from tests.system.scene import CONFIRMED, NOTHING_LEFT, Scene
from tests.system.service import command, environment
from tests.system.waiting import Connection, until

SCHEMA: Final = Path(__file__).resolve().parents[2] / "deploy" / "local" / "demo" / "schema.sql"
TEMPLATE: Final = "chaos_template"
QUIET_S: Final = 100.0
STRATEGIES: Final = ("last-write-wins",) * 4 + ("timestamp-based", "manual-review")
WHO: Final = "select set_config('chaos.who', 'app', false), set_config('lock_timeout', '1s', false)"
RETAINED: Final = """
select coalesce(max(pg_current_wal_lsn() - restart_lsn), 0)::bigint
from pg_replication_slots where database = current_database()
"""
LEFT: Final = "select entity, system_id, reasons, attempts, due_at - now() from notion_sync.work limit 9"
UNDECIDED: Final = "select page_id from notion_sync.conflict where status in ('open', 'deciding')"
HELD: Final = "select count(*) from notion_sync.deletion where state = 'held'"


def prepare(server: PostgresServer) -> None:
    """Make the database that every run begins with a copy of."""
    server.create_database(TEMPLATE)
    with psycopg.connect(server.dsn(TEMPLATE)) as conn:
        conn.execute(SCHEMA.read_bytes())


async def play(seed: int, server: PostgresServer, profile: Profile, packages: Path | None = None) -> Report:
    """Do one run on a server that is prepared, and that may be restarted; return what became of it.

    `packages`: where the program is, if it is another one than this clone's.
    """
    name = f"chaos_{secrets.token_hex(6)}"
    server.create_database(name, TEMPLATE)
    began_s = time.monotonic()
    try:
        async with AsyncExitStack() as stack:
            run = await _staged(stack, seed, server, name, packages)
            await run.play(profile)
            run.report.took_s = time.monotonic() - began_s
            return run.report
    finally:
        server.drop_database(name)


async def _staged(
    stack: AsyncExitStack, seed: int, server: PostgresServer, name: str, packages: Path | None
) -> _Run:
    """Set up a database, a Notion and a service between them that has made every page."""
    dsn = server.dsn(name)
    sandbox = await stack.enter_async_context(Sandbox(token="ntn_test", rate_limit=0, seed=seed))
    wire = await stack.enter_async_context(Wire(dsn))
    port = free_port()
    subscription = sandbox.webhooks.subscribe(f"http://127.0.0.1:{port}{HOOK}")
    sandbox.webhooks.verify(subscription.token)
    strategy = STRATEGIES[seed % len(STRATEGIES)]
    env = environment(
        wire.dsn, sandbox.url, sandbox.token, sandbox.parent_page_id,
        REPLICATION_SLOT=f"slot_{name}", HTTP_PORT=str(port), NOTION_WEBHOOK_SECRET=subscription.token,
        NOTION_CONFLICT_STRATEGY=strategy, NOTION_POLL_SECONDS="0.5", NOTION_REVERT_GRACE_SECONDS="0.1",
        NOTION_CREATE_LOOKUP_SECONDS="2", NOTION_REQUEST_TIMEOUT_SECONDS="2",
        NOTION_CREATE_ROWS="incident,complaint,risk",
    )
    if packages is not None:
        env["PYTHONPATH"] = str(packages)
    pages = Pages(sandbox)

    async def connect() -> Connection:
        conn = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        await conn.execute(WHO.encode())
        return conn

    application = Application(connect)
    await watch_rows(await application.connection())
    await application.set_up(Samples(random.Random(f"{seed}/begin"), f"{seed}b"))
    code, _, said = await command(env, "setup")
    assert code == 0, said
    pages.begin()
    running = Running(env, pages)
    stack.push_async_callback(application.close)
    stack.push_async_callback(running.stop)
    faults = Faults(sandbox, wire, dsn, server if isinstance(server, PrivateServer) else None, running)
    run = _Run(
        seed, dsn, env, sandbox, pages, application, Coordinators(pages, application), running, faults,
        Report(seed, strategy),
    )
    await running.start()
    await run.quiet(first=True)
    return run


@dataclass(slots=True)
class _Run:
    seed: int
    dsn: str = field(repr=False)
    env: dict[str, str] = field(repr=False)
    sandbox: Sandbox
    pages: Pages
    application: Application
    coordinators: Coordinators
    running: Running
    faults: Faults
    report: Report
    _armed: dict[Fault, int] = field(default_factory=dict)
    _killer: Script | None = None
    _down_until: int | None = None

    async def play(self, profile: Profile) -> None:
        """Let it all happen, bring it to rest, and judge."""
        plan = Samples(random.Random(f"{self.seed}/plan"), f"{self.seed}p")
        faults = dict(zip(
            _moments(plan, profile.operations, profile.faults), self.faults.plan(plan, profile.faults, profile.among),
            strict=True,
        ))
        kills = {moment: plan.pick(profile.moments) for moment in _moments(plan, profile.operations, profile.kills)}
        self.running.recoveries_s.clear()
        done = turn = 0
        while done < profile.operations and turn < 3 * profile.operations:
            rng = random.Random(f"{self.seed}/{turn}")
            some = Samples(rng, f"{self.seed}.{turn}")
            if self._down_until is not None and turn in kills:
                # one death at a time
                kills[turn + 1] = kills.pop(turn)
            await self._go_wrong(turn, some, faults.pop(turn, None), kills.pop(turn, None))
            done += await self._operate(menu.chosen(rng), some)
            await self._pace(some)
            turn += 1
        await self._calm()
        await self._judge()

    async def _go_wrong(self, turn: int, some: Samples, fault: str | None, kill: str | None) -> None:
        """End what has lasted, begin what is due, bring back what was killed."""
        for item, until_turn in tuple(self._armed.items()):
            if turn >= until_turn or not item.armed:
                await self._end(item)
        if fault is not None:
            if fault in ("wire cut", "others cut", "backends terminated", "restart fast", "restart immediate"):
                self.running.disruptions_s.append(time.monotonic())
            begun = await self.faults.begin(fault, some)
            self._armed[begun] = turn + begun.lasts
            self.report.faults += 1
        if kill is not None:
            self._killer = self.faults.kill_when(kill, self.running.kill)
            if self._killer is None:
                self.running.kill()
            self._down_until = turn + 3 + int(some.rng.random() * 8)
        if self._down_until is not None and turn >= self._down_until:
            # what should have met a write and did not is done now
            self._disarm(self._killer)
            self.running.kill()
            await self.running.bury()
            await self._measure()
            await self.running.start()
            self._down_until = None

    async def _end(self, fault: Fault) -> None:
        await fault.end()
        self._disarm(fault.script)
        self.report.struck += bool(fault.struck)
        if fault.name == "outage":
            await self._measure()
        del self._armed[fault]

    def _disarm(self, script: Script | None) -> None:
        if script is not None and script in self.sandbox.faults.scripts:
            script.where = _never

    async def _operate(self, name: str, some: Samples) -> int:
        """Do one operation; return whether it was done."""
        wrong = {item.name for item in self._armed if item.armed}
        if self._down_until is not None:
            wrong.add("killed")
        try:
            await menu.operation(name, self.application, self.coordinators)(some)
        except Skipped:
            self.report.skipped += 1
            return 0
        except psycopg.errors.LockNotAvailable:
            self.report.failed += 1
            if not wrong & {"rows locked", FROZEN}:
                self.report.findings.append(f"the application had to wait for a lock ({name})")
        except (psycopg.OperationalError, psycopg.errors.IntegrityError):
            self.report.failed += 1
        for fault in wrong or {"nothing"}:
            self.report.covered[name, fault] += 1
        self.report.operations += 1
        return 1

    async def _pace(self, some: Samples) -> None:
        """Give the service a moment, as long as Notion's traffic makes it."""
        for _ in range(int(some.rng.random() * 5)):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self.sandbox.next_move()

    async def _measure(self) -> None:
        """Note how much log the slot keeps."""
        conn = await self.application.connection()
        row = await (await conn.execute(RETAINED.encode())).fetchone()
        self.report.wal_bytes = max(self.report.wal_bytes, int(row[0]) if row is not None else 0)

    async def _calm(self) -> None:
        """Let everything work again and wait until nothing moves, an operator's sweep included."""
        for fault in tuple(self._armed):
            await self._end(fault)
        self.faults.clear()
        self.running.check()
        if self._down_until is not None:
            self.running.kill()
            await self.running.bury()
            await self.running.start()
        began_s = time.monotonic()
        await self.quiet()
        self.report.quiet_s = time.monotonic() - began_s
        # an edit that no webhook told of is found by the next poll
        await self._polled()
        await self.quiet()
        self.report.findings += judge_unswept(await self._ending())
        if await self._held():
            await command(self.env, "deletes", "approve", "--all")
        await command(self.env, "sweep")
        await self.quiet()
        await self._idle()

    async def _idle(self) -> None:
        """Watch it for two polls: once at rest it asks for nothing else, and marks nothing."""
        conn = await self.application.connection()
        # what a person has to decide is looked at as long as it was edited lately
        frozen = {row[0] for row in await (await conn.execute(UNDECIDED.encode())).fetchall()}
        before = len(self.sandbox.requests)
        await self._polled()
        asked = [
            f"{one.method} {one.path}" for one in tuple(self.sandbox.requests)[before:]
            if one.path.startswith("/v1/pages/") and one.path.removeprefix("/v1/pages/") not in frozen
        ]
        if asked:
            self.report.findings.append(f"{len(asked)} requests although nothing happens: {asked[-3:]}")
        await self.quiet()

    async def _polled(self) -> None:
        """Return after two more polls of every database: the second began after now."""
        polls = self.sandbox.count("POST", ".*/query")
        try:
            await self.sandbox.wait_for(lambda: self.sandbox.count("POST", ".*/query") >= polls + 14, 30)
        except TimeoutError:
            self.report.findings.append("nobody polled for half a minute")

    async def _held(self) -> int:
        conn = await self.application.connection()
        row = await (await conn.execute(HELD.encode())).fetchone()
        return int(row[0]) if row is not None else 0

    async def quiet(self, *, first: bool = False) -> None:
        """Return when all that was committed and done is worked off; a finding when that does not come."""
        db = await self.application.connection()
        row = await (await db.execute(b"select (pg_current_wal_lsn() - '0/0')::int8")).fetchone()
        assert row is not None

        async def at_rest() -> bool:
            slot = {"slot": self.env["REPLICATION_SLOT"], "lsn": row[0]}
            confirmed = await (await db.execute(CONFIRMED.encode(), slot)).fetchone()
            left = await (await db.execute(NOTHING_LEFT.encode())).fetchone() if confirmed and confirmed[0] else None
            return left is not None and bool(left[0]) and self.sandbox.webhooks.idle()

        try:
            if first:
                await self.running.service.event("stream.started")
            await until(self.sandbox, at_rest, QUIET_S)
        except TimeoutError:
            left = await (await db.execute(LEFT.encode())).fetchall()
            self.report.findings.append(f"not quiet after {QUIET_S:.0f} s: {left}")

    async def _ending(self) -> Ending:
        db = await self.application.connection()
        scene = Scene(self.dsn, db, self.sandbox, self.env, self.running.service)
        return await ending_of(
            scene, self.pages, log=self.running.lines, disruptions_s=self.running.disruptions_s,
            wrong=frozenset(self.coordinators.wrong),
        )

    async def _judge(self) -> None:
        self.running.check()
        end = await self._ending()
        verdict = judge(end)
        report = self.report
        report.findings += verdict.findings
        report.findings += [f"the service ended by itself, with code {code}" for code in self.running.ended_by_itself]
        report.crossed, report.needless = verdict.crossed, verdict.needless
        report.kills, report.recoveries_s = self.running.kills, self.running.recoveries_s
        report.restarts_s = self.faults.restarts_s
        report.audited = Counter(line["action"] for line in end.audit)
        report.log = self.running.lines
        report.stories = stories(end, report.findings)


def _moments(plan: Samples, operations: int, number: int) -> list[int]:
    """Return when it happens: spread over the run, so that one does not hide the other."""
    share = operations / number
    return [int((index + plan.rng.random()) * share) for index in range(number)]


def _never(_: Any) -> bool:
    return False
