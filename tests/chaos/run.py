"""One run from one seed: operations on both sides, faults and kills; then quiet, and the model's verdict."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from deploy.local.server import PostgresServer
from tests.chaos import menu
from tests.chaos.calamities import ALONE, CUTS_OFF, FROZEN, FROZEN_WRITING
from tests.chaos.faults import OUTAGES, Fault
from tests.chaos.killing import Strike, at_random
from tests.chaos.outcome import NotNow, Profile, Report
from tests.chaos.resting import come_to_rest, judge
from tests.chaos.rows import Skipped
from tests.chaos.running import KILLED
from tests.chaos.samples import Samples
from tests.chaos.stage import Stage, staged
from tests.system.scene import NOTHING_LEFT
from tests.system.waiting import until

FOREVER: Final = 1_000_000
SETTLES_S: Final = 4.0
STRIKES_S: Final = 3.0
"""So much longer a kill waits for its moment."""
LATER: Final = 3
"""So many operations later what can't be had now is tried again."""


async def play(seed: int, server: PostgresServer, profile: Profile, packages: Path | None = None) -> Report:
    """Do one run on a server that is prepared, and that may be restarted; return what became of it.

    `packages`: where the program is, if it is another one than this clone's.
    """
    report = Report(seed)
    began_s = time.monotonic()
    try:
        async with staged(report, server, packages=packages) as stage:
            try:
                await Run(stage).play(profile)
            finally:
                report.log = stage.running.lines
    except Exception as error:  # noqa: BLE001 - what the harness itself can't do is told apart from every finding
        report.broken = f"{type(error).__name__}: {error}"
        report.log += traceback.format_exc().splitlines()
    report.took_s = time.monotonic() - began_s
    return report


@dataclass(slots=True)
class Run:
    """What happens on one stage, turn by turn."""

    stage: Stage
    _armed: list[Fault] = field(default_factory=list)
    _until: dict[int, int] = field(default_factory=dict)    # the turn at which a fault ends
    _strike: Strike | None = None
    _down_until: int | None = None

    async def play(self, profile: Profile) -> None:
        """Let it all happen, bring it to rest, and judge."""
        stage, report = self.stage, self.stage.report
        plan = Samples(random.Random(f"{stage.seed}/plan"), f"{stage.seed}p")
        faults = dict(zip(
            _moments(plan, profile.operations, profile.faults),
            stage.faults.plan(plan, profile.faults, profile.among), strict=True,
        ))
        kills = {moment: plan.pick(profile.moments) for moment in _moments(plan, profile.operations, profile.kills)}
        for name in profile.always:
            await self._begin(name, plan, 0, forever=True)
        turn = 0
        # what was put off still comes when the operations are over
        while (report.operations < profile.operations or faults or kills) and turn < 3 * profile.operations:
            rng = random.Random(f"{stage.seed}/{turn}")
            some = Samples(rng, f"{stage.seed}.{turn}")
            await self._lift(turn)
            await stage.running.revive()
            await self._kill(turn, some, kills)
            await self._go_wrong(turn, some, faults)
            if report.operations < profile.operations:
                await self._operate(menu.chosen(rng, profile.doing), some)
            await (self._settle() if profile.patient and stage.running.up else self._pace(some))
            turn += 1
        await self._calm()
        await judge(stage)

    async def _lift(self, turn: int) -> None:
        """End what has lasted."""
        for fault in tuple(self._armed):
            if turn >= self._until[id(fault)] or not fault.armed:
                await self._end(fault)

    async def _kill(self, turn: int, some: Samples, kills: dict[int, str]) -> None:
        """Kill it when that is due, or wait for the moment to; bring back what was killed."""
        stage = self.stage
        if turn in kills and (self._down_until is not None or self._going_on & ALONE):
            # one death at a time
            _put_off(kills, turn)
        if (moment := kills.pop(turn, None)) is not None:
            self._strike = Strike(stage.sandbox, stage.wire, stage.running.kill)
            at_random(self._strike, moment, some)
            self._down_until = turn + 3 + int(some.rng.random() * 8)
            stage.report.killed_at[moment] += 1
        if self._down_until is not None and turn >= self._down_until:
            await self._bring_back()

    async def _bring_back(self) -> None:
        """Start it again; what should have met a write and did not is done now."""
        running = self.stage.running
        assert self._strike is not None
        await self._strike.within(STRIKES_S)
        self._strike.disarm()
        if not self._strike.struck.is_set():
            running.kill()
        await running.bury()
        await self.stage.measure("the service was dead")
        await running.start(KILLED)
        self._down_until = None

    async def _go_wrong(self, turn: int, some: Samples, faults: dict[int, str]) -> None:
        """Begin what is due."""
        stage, report = self.stage, self.stage.report
        if turn not in faults:
            return
        name = faults[turn]
        if name in ALONE and self._down_until is not None:
            _put_off(faults, turn)
            return
        if name in CUTS_OFF:
            stage.running.disruptions_s.append(time.monotonic())
        try:
            await self._begin(name, some, turn)
        except NotNow:
            _put_off(faults, turn)
            return
        del faults[turn]
        report.faults += 1

    async def _begin(self, name: str, some: Samples, turn: int, *, forever: bool = False) -> None:
        begun = await self.stage.faults.begin(name, some, self._armed)
        if forever:
            begun.lasts = FOREVER
            if begun.script is not None:
                begun.script.times = FOREVER
        self._armed.append(begun)
        self._until[id(begun)] = turn + begun.lasts

    @property
    def _going_on(self) -> set[str]:
        return {fault.name for fault in self._armed if fault.armed}

    async def _end(self, fault: Fault) -> None:
        stage, report = self.stage, self.stage.report
        if fault.name in (*OUTAGES, *ALONE):
            await stage.measure(fault.name)
        await fault.end()
        if fault.script is not None:
            fault.script.where = _never
        report.struck += bool(fault.struck)
        report.met[fault.name] += bool(fault.struck)
        self._armed.remove(fault)

    async def _operate(self, name: str, some: Samples) -> None:
        """Do one operation, if there is something to do it to."""
        stage, report = self.stage, self.stage.report
        wrong = self._going_on
        if self._down_until is not None:
            wrong.add("killed")
        try:
            await menu.operation(name, stage.application, stage.coordinators)(some)
        except Skipped:
            report.skipped += 1
            return
        except psycopg.errors.LockNotAvailable:
            report.failed += 1
            if not wrong & {"rows locked", FROZEN, FROZEN_WRITING}:
                report.findings.append(f"the application had to wait for a lock ({name})")
        except (psycopg.OperationalError, psycopg.errors.IntegrityError):
            report.failed += 1
        for fault in wrong or {"nothing"}:
            report.covered[name, fault] += 1
        report.operations += 1

    async def _pace(self, some: Samples) -> None:
        """Give the service a moment, as long as Notion's traffic makes it."""
        for _ in range(int(some.rng.random() * 5)):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self.stage.sandbox.next_move()

    async def _settle(self) -> None:
        """Wait until the queue is empty, or for a while."""
        stage = self.stage

        async def settled() -> bool:
            return bool(await stage.value(NOTHING_LEFT))

        with suppress(TimeoutError):
            await self._pace(Samples(random.Random(0), ""))
            await until(stage.sandbox, settled, SETTLES_S)

    async def _calm(self) -> None:
        """Let everything work again and wait until nothing moves."""
        stage = self.stage
        for fault in tuple(self._armed):
            await self._end(fault)
        stage.faults.clear()
        await stage.running.revive()
        if self._down_until is not None:
            await self._bring_back()
        await come_to_rest(stage)


def _put_off(due: dict[int, str], turn: int) -> None:
    """Move what can't be had now to a later turn that is free."""
    later = turn + LATER
    while later in due:
        later += 1
    due[later] = due.pop(turn)


def _moments(plan: Samples, operations: int, number: int) -> list[int]:
    """Return when it happens: spread over the run, so that one does not hide the other."""
    share = operations / number if number else 0.0
    return [int((index + plan.rng.random()) * share) for index in range(number)]


def _never(_: object) -> bool:
    return False

