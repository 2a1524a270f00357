"""What befalls Postgres, the slot, the wire to them, and the process that reads from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from deploy.local.server import PrivateServer
from deploy.sandbox.server import Sandbox
from tests.chaos.application import Application
from tests.chaos.killing import Strike
from tests.chaos.moments import STEPS
from tests.chaos.outcome import HarnessError, NotNow, Report
from tests.chaos.running import KILLED, RESTARTED, Running
from tests.chaos.samples import Samples
from tests.chaos.statements import update
from tests.chaos.wire import AFTER, Wire
from tests.system.service import command
from tests.system.waiting import until

FROZEN: Final = "frozen and taken over"
FROZEN_WRITING: Final = "frozen with a write in hand"
RESTORED: Final = "restored copy"
ALONE: Final = frozenset({FROZEN, FROZEN_WRITING, RESTORED, "slot dropped", "slot lost", "slot busy"})
"""No two of them at once."""
NEEDS_SERVER: Final = frozenset({"restart fast", "restart immediate", "slot lost"})
CALAMITIES: Final = (
    "backends terminated", "stream terminated", "wire cut", "stream cut", "others cut", "restart fast",
    "restart immediate", "rows locked", *sorted(ALONE),
)
CUTS_OFF: Final = frozenset(CALAMITIES) - {"rows locked"}
"""What was answered just before these may not have been heard."""
TAKES_OVER_S: Final = 120.0
HOLDS_S: Final = 90.0
ADOPTS_S: Final = 180.0
SETTLES_S: Final = 8.0
End = Callable[[], Awaitable[None]]

TERMINATE: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and (application_name like 'mapable-cdc %' or backend_type = 'walsender')
"""
TERMINATE_LOCK: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'mapable-cdc lock %' and datname = current_database()
"""
TERMINATE_STREAM: Final = """
select pg_terminate_backend(pid, 2000) from pg_stat_activity
where backend_type = 'walsender' and datname = current_database()
"""
DROP: Final = "select pg_drop_replication_slot(%(slot)s)"
STATUS: Final = "select wal_status from pg_replication_slots where slot_name = %(slot)s"
KEEP_LITTLE: Final = "alter system set max_slot_wal_keep_size = '1MB'"
KEEP_AS_BEFORE: Final = "alter system reset max_slot_wal_keep_size"
FILL: Final = ("select pg_logical_emit_message(true, 'chaos', 'full')", "select pg_switch_wal()", "checkpoint")
ELSEWHERE: Final = """
update notion_sync.setting set value = value || '{"system identifier": "1"}' where name = 'cluster'
"""
CONFIRMED: Final = "select confirmed_flush_lsn from pg_replication_slots where slot_name = %(slot)s"
AUDITED: Final = "select count(*) from notion_sync.audit_log"


@dataclass(slots=True)
class Calamities:
    """The hands that do it, over one stage."""

    sandbox: Sandbox
    wire: Wire
    dsn: str = field(repr=False)
    env: dict[str, str] = field(repr=False)
    server: PrivateServer | None
    running: Running
    application: Application
    report: Report

    async def begin(self, name: str, some: Samples) -> tuple[int, End]:
        """Let it happen; return for how many operations it lasts, and what ends it."""
        match name:
            case "backends terminated" | "stream terminated":
                await self._ask(TERMINATE if name.startswith("back") else TERMINATE_STREAM)
            case "wire cut" | "stream cut" | "others cut":
                self.wire.cut(streams=None if name == "wire cut" else name == "stream cut")
            case "restart fast" | "restart immediate":
                await self._restart(name.removeprefix("restart "))
            case "rows locked":
                return 8, await self._lock(some)
            case "slot dropped":
                await self._drop_slot()
            case "slot lost":
                await self._lose_slot()
            case "slot busy":
                return 15, await self._occupy_slot()
            case "restored copy":
                return 20, await self._wake_up_elsewhere(some)
            case _:
                return 15, await self._freeze(name, some)
        return 0, _nothing

    # Postgres

    async def _restart(self, mode: str) -> None:
        assert self.server is not None
        await asyncio.to_thread(self.server.restart, mode)
        self.running.began(RESTARTED)

    async def _lock(self, some: Samples) -> End:
        """Hold the rows of a table, as an application that thinks for a while does."""
        conn = await psycopg.AsyncConnection.connect(self.dsn)
        table = some.pick(("Risk", "Incident", "NDISPlan"))
        await conn.execute(f'select 1 from "{table}" order by id limit 3 for update'.encode())  # noqa: S608
        return conn.close

    # The slot

    async def _drop_slot(self) -> None:
        for _ in range(50):
            try:
                await self._ask(TERMINATE_STREAM)
                await self._ask(DROP)
            except psycopg.errors.ObjectInUse:
                continue
            except psycopg.errors.UndefinedObject:
                raise NotNow from None
            return
        raise HarnessError("the slot could not be dropped: it was always in use")

    async def _lose_slot(self) -> None:
        """Write so much log while nobody reads that the server gives the slot up."""
        if not self.running.up:
            raise NotNow
        self.running.kill()
        await self.running.bury()
        try:
            await self._ask(KEEP_LITTLE, "select pg_reload_conf()")
            for _ in range(20):
                await self._ask(*FILL)
                status = await self._ask(STATUS)
                if not status or status[0][0] == "lost":
                    break
            else:
                raise HarnessError("the server kept all the log, although it was told to keep little")
        finally:
            await self._ask(KEEP_AS_BEFORE, "select pg_reload_conf()")
            await self.running.start(KILLED)

    async def _occupy_slot(self) -> End:
        """Read the slot from elsewhere, without a word about how far."""
        reading = psycopg.conninfo.make_conninfo(self.dsn, replication="database", application_name="somebody else")
        conn = await psycopg.AsyncConnection.connect(reading, autocommit=True)
        for _ in range(50):
            await self._ask(TERMINATE_STREAM.replace("where", "where application_name like 'mapable-cdc %' and"))
            try:
                await conn.execute(f'START_REPLICATION SLOT "{self.env["REPLICATION_SLOT"]}" LOGICAL 0/0'.encode())
            except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                continue
            return conn.close
        await conn.close()
        raise NotNow

    async def _wake_up_elsewhere(self, some: Samples) -> End:
        """Let it find itself in another cluster, where the slot did not come along: it must not touch either side."""
        if not self.running.up:
            raise NotNow
        self.running.kill()
        await self.running.bury()
        with suppress(NotNow):
            await self._drop_slot()
        await self._ask(ELSEWHERE)
        audited, asked = (await self._ask(AUDITED))[0][0], len(self.sandbox.requests)
        await self.running.start()
        how = some.pick(("--restored", "--failover"))

        async def end() -> None:
            if self.running.up:
                await self._judge_held(audited, asked)
            code, _, said = await command(self.env, "adopt", how, timeout_s=ADOPTS_S)
            if code != 0:
                self.report.findings.append(f"mapable-cdc adopt {how} ended with {code}: {said[-300:]}")

        return end

    async def _judge_held(self, audited: int, asked: int) -> None:
        try:
            await self.running.service.event("cluster.held", timeout_s=HOLDS_S)
        except (TimeoutError, AssertionError):
            self.report.findings.append("in another cluster it was not held")
        wrote = [
            f"{one.method} {one.path}" for one in tuple(self.sandbox.requests)[asked:]
            if one.method != "GET" and not one.path.endswith("/query")
        ]
        if wrote:
            self.report.findings.append(f"in another cluster, before anybody adopted it: {wrote[:3]}")
        lines = (await self._ask(AUDITED))[0][0] - audited
        if lines:
            self.report.findings.append(f"in another cluster, before anybody adopted it: {lines} effects in the audit")

    # The process

    async def _freeze(self, name: str, some: Samples) -> End:
        """Freeze the process, let another one take over, and thaw the first: for a moment there are two.

        If it can be, in the middle of a write to a row that changes again.
        """
        if not self.running.up or not await self.running.streams(2.0):
            raise NotNow
        row = some.pick(await self._ask('select id from "Risk" order by id'))[0]
        strike = Strike(self.sandbox, self.wire, self.running.freeze)
        at = some.pick(("", "a write is noted", "a page is written")) if name == FROZEN else "a write is noted"
        step = next((one for one in STEPS if one.name == at), None)
        if step is not None and name == FROZEN_WRITING:
            noted = step
            strike.at_commit(lambda said: noted.is_said(said) and any(row in one for one in said), AFTER, deadly=False)
        elif step is not None:
            strike.at_step(step, AFTER, deadly=False)
        if step is not None:
            await self._change(some, row)
            await strike.within(5.0)
        strike.disarm()
        if not strike.struck.is_set():
            self.running.freeze()
        await self.running.replace()
        await self._ask(TERMINATE_LOCK)

        async def end() -> None:
            if not await self.running.streams(TAKES_OVER_S):
                self.report.findings.append(f"nobody took over from a frozen process within {TAKES_OVER_S:.0f} s")
            await self._change(some, row)
            await self._settles(row, (await self._ask("select pg_current_wal_lsn()"))[0][0])
            self.running.thaw()
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    for _ in range(40):
                        await self.sandbox.next_move()
            await self.running.dismiss()
            # back to the port that webhooks go to
            await self.running.restart()

        return end

    async def _change(self, some: Samples, row: str) -> None:
        with suppress(psycopg.Error):
            await self.application.run(update("Risk", [row], {"category": some.text()}))

    async def _settles(self, row: str, lsn: str) -> None:
        """Wait until the change of a row before that position was seen and is worked off, or for a while."""

        async def settled() -> bool:
            seen = (await self._ask(f"select confirmed_flush_lsn >= '{lsn}' from ({CONFIRMED}) s"))[0][0]  # noqa: S608
            return bool(seen) and (row,) not in await self._ask("select system_id from notion_sync.work")

        with suppress(TimeoutError, psycopg.OperationalError):
            await until(self.sandbox, settled, SETTLES_S)

    async def _ask(self, *queries: str) -> Sequence[tuple[Any, ...]]:
        """Run statements in the name of nobody; return the rows of the last."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            found: Sequence[tuple[Any, ...]] = ()
            for query in queries:
                arguments = {"slot": self.env["REPLICATION_SLOT"]} if "%(slot)s" in query else None
                cursor = await conn.execute(query.encode(), arguments)
                found = await cursor.fetchall() if cursor.description else ()
            return found


async def _nothing() -> None:
    return
