"""Every named step, one after the other: the service is killed right before it and right after it, and recovers."""

from __future__ import annotations

import time
import traceback
from typing import Final

from deploy.local.server import PostgresServer
from tests.chaos.killing import Strike
from tests.chaos.moments import MANUAL_STEPS, STEPS, Step
from tests.chaos.outcome import HarnessError, Report
from tests.chaos.provoking import Provoking
from tests.chaos.resting import come_to_rest, judge
from tests.chaos.running import KILLED
from tests.chaos.stage import Stage, staged
from tests.chaos.wire import AFTER, BEFORE

COMES_TO_IT_S: Final = 60.0
PARTS: Final[tuple[tuple[Step, ...], ...]] = (STEPS[0::4], STEPS[1::4], STEPS[2::4], STEPS[3::4], MANUAL_STEPS)
"""So that they may run side by side."""


async def step_through(steps: tuple[Step, ...], server: PostgresServer) -> Report:
    """Kill at each of these steps, on a server that is prepared; return what became of it."""
    report = Report(-1 - PARTS.index(steps) if steps in PARTS else 0)
    began_s = time.monotonic()
    strategy = "manual-review" if steps is MANUAL_STEPS else "last-write-wins"
    try:
        async with staged(report, server, strategy=strategy) as stage:
            try:
                provoking = Provoking(stage)
                for step in steps:
                    for when in (BEFORE, AFTER):
                        await _die_at(stage, provoking, step, when)
                await come_to_rest(stage)
                await judge(stage)
            finally:
                report.log = stage.running.lines
    except Exception as error:  # noqa: BLE001 - what the harness itself can't do is told apart from every finding
        report.broken = f"{type(error).__name__}: {error}"
        report.log += traceback.format_exc().splitlines()
    report.took_s = time.monotonic() - began_s
    return report


async def _die_at(stage: Stage, provoking: Provoking, step: Step, when: str) -> None:
    """Bring it to the step, kill it there, start it again and wait until all is at rest.

    After the step the record it was about changes again before the next start, where there is one.
    """
    strike = Strike(stage.sandbox, stage.wire, stage.running.kill)
    provoking.again = None
    await getattr(provoking, step.by)(lambda: strike.at_step(step, when))
    if not await strike.within(COMES_TO_IT_S):
        raise HarnessError(f"it never came to this step: {step.name}")
    strike.disarm()
    await stage.running.bury()
    if when == AFTER and provoking.again is not None:
        await provoking.again()
    await stage.measure("the service was dead")
    await stage.running.start(KILLED)
    if not await stage.running.streams():
        stage.report.findings.append(f"killed {when} this step it did not come back: {step.name}")
    before = len(stage.report.findings)
    await stage.quiet()
    stage.report.findings[before:] = [
        f"killed {when} this step: {step.name}: {finding}" for finding in stage.report.findings[before:]
    ]
    stage.report.killed_at[f"{when}: {step.name}"] += 1
    stage.report.operations += 1
