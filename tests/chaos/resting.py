"""The end of a run: everything comes to rest, an operator's sweep included, and the model judges what is there."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from tests.chaos import model
from tests.chaos.running import KILLED, RESTARTED, TAKEN_OVER
from tests.chaos.stage import HELD, Stage
from tests.chaos.story import stories

UNDECIDED: Final = "select page_id from notion_sync.conflict where status in ('open', 'deciding')"


async def come_to_rest(stage: Stage) -> None:
    """Wait until nothing moves; everything has to work again."""
    began_s = time.monotonic()
    await stage.quiet()
    stage.report.quiet_s = time.monotonic() - began_s
    # an edit that no webhook told of is found by the next poll
    await stage.polled()
    await stage.quiet()
    stage.report.findings += model.judge_unswept(await stage.ending())
    if await stage.value(HELD):
        await stage.type("deletes", "approve", "--all")
    await stage.type("sweep")
    await stage.quiet()
    await _idle(stage)


async def _idle(stage: Stage) -> None:
    """Watch it for two polls: once at rest it asks for nothing else, and marks nothing."""
    # what a person has to decide, or what can't be decided yet, is looked at as long as it was edited lately
    frozen = {row[0] for row in await stage.rows(UNDECIDED)} | model.out_of_reach(await stage.ending())
    before = len(stage.sandbox.requests)
    await stage.polled()
    asked = Counter(
        f"{one.method} {one.path}" for one in tuple(stage.sandbox.requests)[before:]
        if one.path.startswith("/v1/pages/") and one.path.removeprefix("/v1/pages/") not in frozen
    )
    if asked:
        stage.report.findings.append(f"requests although nothing happens: {dict(asked.most_common(3))}")
    await stage.quiet()


async def judge(stage: Stage) -> None:
    """Compare everything with what the model has."""
    report, running = stage.report, stage.running
    running.check()
    end = await stage.ending()
    verdict = model.judge(end)
    report.findings += verdict.findings
    report.findings += [f"the service ended by itself, {how}" for how in running.ended_by_itself]
    report.crossed, report.needless, report.duplicates = verdict.crossed, verdict.needless, verdict.duplicates
    report.kills, report.revived = running.kills, running.revived
    report.recoveries_s = running.back_s(KILLED)
    report.restarts_s = running.back_s(RESTARTED)
    report.takeovers_s = running.back_s(TAKEN_OVER)
    report.audited = Counter(line["action"] for line in end.audit)
    report.stories = stories(end, report.findings)
