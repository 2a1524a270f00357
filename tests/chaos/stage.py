"""The stage of a run: a database, a Notion and the real service between them, and how to wait until all is at rest."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from deploy.local.ports import free_port
from deploy.local.server import PostgresServer, PrivateServer
from deploy.sandbox.server import Sandbox
from tests.chaos.application import Application
from tests.chaos.coordinators import Coordinators
from tests.chaos.ending import Ending, ending_of
from tests.chaos.faults import Faults
from tests.chaos.outcome import HarnessError, Report
from tests.chaos.running import Running
from tests.chaos.samples import Samples
from tests.chaos.wire import Wire
from tests.chaos.witness import Pages, watch_rows
from tests.system.desk import HOOK
from tests.system.scene import CONFIRMED, NOTHING_LEFT, Scene
from tests.system.service import command, environment
from tests.system.waiting import Connection, until

SCHEMA: Final = Path(__file__).resolve().parents[2] / "deploy" / "local" / "demo" / "schema.sql"
TEMPLATE: Final = "chaos_template"
STUCK_S: Final = 60.0
"""Not at rest, and nothing has moved for so long: that is a finding."""
ENDLESS_S: Final = 300.0
"""However much moves, it has to be at rest by then."""
POLLED_S: Final = 90.0
COMMAND_S: Final = 180.0
STRATEGIES: Final = ("last-write-wins",) * 4 + ("timestamp-based", "manual-review")
WHO: Final = "select set_config('chaos.who', 'app', false), set_config('lock_timeout', '3s', false)"
WAL_END: Final = "select (pg_current_wal_lsn() - '0/0')::int8"
RETAINED: Final = """
select coalesce(max(pg_current_wal_lsn() - restart_lsn), 0)::bigint
from pg_replication_slots where database = current_database()
"""
LEFT: Final = "select entity, system_id, reasons, attempts, due_at - now() from notion_sync.work limit 9"
MARKING: Final = "select entity, phase, after_id from notion_sync.marking"
MOVED: Final = """
select (select count(*) from notion_sync.work), (select coalesce(sum(marked), 0) from notion_sync.marking),
    (select max(id) from notion_sync.audit_log)
"""
HELD: Final = "select count(*) from notion_sync.deletion where state = 'held'"


def prepare(server: PostgresServer) -> None:
    """Make the database that every run begins with a copy of."""
    server.create_database(TEMPLATE)
    with psycopg.connect(server.dsn(TEMPLATE)) as conn:
        conn.execute(SCHEMA.read_bytes())


@dataclass(slots=True)
class Stage:
    """Everything of one run."""

    seed: int
    dsn: str = field(repr=False)
    env: dict[str, str] = field(repr=False)
    sandbox: Sandbox
    wire: Wire
    pages: Pages
    application: Application
    coordinators: Coordinators
    running: Running
    faults: Faults
    report: Report

    async def rows(self, query: str, arguments: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Ask the database; a connection that a fault has cost is made anew."""
        for _ in range(50):
            conn = await self.application.connection()
            try:
                return await (await conn.execute(query.encode(), arguments)).fetchall()
            except psycopg.OperationalError:
                await conn.close()
        raise HarnessError("the database does not answer the harness")

    async def value(self, query: str, arguments: dict[str, Any] | None = None) -> Any:
        """Return the first column of the first row."""
        rows = await self.rows(query, arguments)
        return rows[0][0] if rows else None

    async def measure(self, cause: str) -> None:
        """Note how much log the slot keeps."""
        self.report.kept(cause, int(await self.value(RETAINED)))

    async def quiet(self) -> None:
        """Return when all that was committed and done is worked off; a finding when that does not come."""
        end = await self.value(WAL_END)
        slot = {"slot": self.env["REPLICATION_SLOT"], "lsn": end}

        async def at_rest() -> bool:
            return bool(
                await self.value(CONFIRMED, slot) and await self.value(NOTHING_LEFT) and self.sandbox.webhooks.idle()
            )

        began_s = moved_s = time.monotonic()
        seen: list[tuple[Any, ...]] = []
        while True:
            # on a busy machine it takes its time: what counts is that it goes on
            with suppress(TimeoutError):
                await until(self.sandbox, at_rest, 5.0)
                return
            await self.running.revive()
            now_s, before = time.monotonic(), seen
            seen = await self.rows(MOVED)
            if seen != before or not self.sandbox.webhooks.idle():
                # a webhook that met a dead process comes again ever more seldom
                moved_s = now_s
            if now_s - moved_s > STUCK_S or now_s - began_s > ENDLESS_S:
                self.report.findings.append(f"not quiet after {now_s - began_s:.0f} s: {await self._unrest(slot)}")
                return

    async def _unrest(self, slot: dict[str, Any]) -> str:
        """Say what keeps it from being at rest."""
        left, marking = await self.rows(LEFT), await self.rows(MARKING)
        told = []
        if not await self.value(CONFIRMED, slot):
            told.append("the log is not confirmed")
        if left:
            told.append(f"in the queue: {[tuple(map(str, one)) for one in left]}")
        if marking:
            told.append(f"marking goes on: {marking}")
        if not self.sandbox.webhooks.idle():
            told.append("webhooks are not delivered")
        said = [line[:200] for line in self.running.lines if '"warning"' in line or '"error"' in line]
        return "; ".join([*told, f"it last said {said[-1:]}"])

    async def polled(self) -> None:
        """Return after two more polls of every database: the second began after now."""
        polls = self.sandbox.count("POST", ".*/query")
        try:
            await self.sandbox.wait_for(lambda: self.sandbox.count("POST", ".*/query") >= polls + 14, POLLED_S)
        except TimeoutError:
            self.report.findings.append(f"the seven databases were not polled twice within {POLLED_S:.0f} s")

    async def ending(self) -> Ending:
        """Look at everything once."""
        await self.value("select 1")
        scene = Scene(self.dsn, await self.application.connection(), self.sandbox, self.env, self.running.service)
        return await ending_of(
            scene, self.pages, log=self.running.lines, disruptions_s=self.running.disruptions_s,
            wrong=frozenset(self.coordinators.wrong),
        )

    async def type(self, *words: str) -> None:
        """Run a verb, as an operator does; it must succeed, or tell of findings (1)."""
        code, _, said = await command(self.env, *words, timeout_s=COMMAND_S)
        if code not in (0, 1):
            self.report.findings.append(f"mapable-cdc {' '.join(words)} ended with {code}: {said[-300:]}")


@asynccontextmanager
async def staged(
    report: Report, server: PostgresServer, *, packages: Path | None = None, strategy: str = ""
) -> AsyncIterator[Stage]:
    """Set up a database, a Notion and a service between them that has made every page.

    `packages`: where the program is, if it is another one than this clone's.
    """
    seed, name = report.seed, f"chaos_{secrets.token_hex(6)}"
    report.strategy = strategy or STRATEGIES[seed % len(STRATEGIES)]
    server.create_database(name, TEMPLATE)
    try:
        async with AsyncExitStack() as stack:
            stage = await _set_up(stack, report, server, server.dsn(name), packages)
            await stage.running.start()
            if not await stage.running.streams():
                raise HarnessError(f"the service did not start: {stage.running.lines[-1:]}")
            await stage.quiet()
            if report.findings:
                raise HarnessError(f"it did not come to rest before anything went wrong: {report.findings}")
            yield stage
    finally:
        server.drop_database(name)


async def _set_up(
    stack: AsyncExitStack, report: Report, server: PostgresServer, dsn: str, packages: Path | None
) -> Stage:
    sandbox = await stack.enter_async_context(Sandbox(token="ntn_test", rate_limit=0, seed=report.seed))
    wire = await stack.enter_async_context(Wire(dsn))
    port = free_port()
    subscription = sandbox.webhooks.subscribe(f"http://127.0.0.1:{port}{HOOK}")
    sandbox.webhooks.verify(subscription.token)
    env = environment(
        wire.dsn, sandbox.url, sandbox.token, sandbox.parent_page_id,
        REPLICATION_SLOT=f"slot_{secrets.token_hex(6)}", HTTP_PORT=str(port),
        NOTION_WEBHOOK_SECRET=subscription.token, NOTION_CONFLICT_STRATEGY=report.strategy,
        NOTION_POLL_SECONDS="0.5", NOTION_REVERT_GRACE_SECONDS="0.1", NOTION_CREATE_LOOKUP_SECONDS="2",
        NOTION_REQUEST_TIMEOUT_SECONDS="2", NOTION_CREATE_ROWS="incident,complaint,risk",
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
    await application.set_up(Samples(random.Random(f"{report.seed}/begin"), f"{report.seed}b"))
    code, _, said = await command(env, "setup", timeout_s=COMMAND_S)
    if code != 0:
        raise HarnessError(f"setup ended with {code}: {said[-300:]}")
    pages.begin()
    running = Running(env, pages)
    stack.push_async_callback(application.close)
    stack.push_async_callback(running.stop)
    private = server if isinstance(server, PrivateServer) else None
    faults = Faults(sandbox, wire, dsn, env, private, running, application, report)
    return Stage(
        report.seed, dsn, env, sandbox, wire, pages, application, Coordinators(pages, application), running, faults,
        report,
    )
