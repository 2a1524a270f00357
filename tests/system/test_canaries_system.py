"""Nothing unlisted leaves, whatever happens: not to Notion, not into the sidecar, a log, a metric or an error.

Every column that is not listed holds a canary, the log is at its most talkative, and all that can go wrong does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from deploy.local.demo import data
from tests import canaries
from tests.system.scene import NOTHING_LEFT, Scene, staged
from tests.system.service import command

pytestmark = pytest.mark.asyncio(loop_scope="module")

# a few rows of each table are as good as all of them
KEEP_A_FEW: Final = """
delete from "PaymentTransaction" where id not in (select id from "PaymentTransaction" order by id limit 5);
delete from "Incident" where id not in (select id from "Incident" order by id limit 5);
delete from "Complaint" where id not in (select id from "Complaint" order by id limit 5);
delete from "Risk" where id not in (select id from "Risk" order by id limit 5);
delete from "CarePlan" where id not in (select id from "CarePlan" order by id limit 5);
delete from "NDISPlan" where id not in (select id from "NDISPlan" order by id limit 5)
    and id not in (select "planId" from "PaymentTransaction");
delete from "User" u where role = 'PARTICIPANT' and id not in (select "participantId" from "NDISPlan")
    and id not in (select "participantId" from "CarePlan") and not exists (select from "Account" where "userId" = u.id);
"""
VALUES: Final = ("Quokka-Name-71", "quokka.71@example.org", "Wombat-Story-72", "Numbat-Title-73", "Bilby-Goal-74")
"""Values of listed columns: Notion and the sidecar's base may hold them, logs, metrics and errors may not."""
DEMO_SECRET: Final = "SECRET-"

UPDATE_EVERYTHING: Final = """
update "User" set name = coalesce(name, '') || ' Quokka-Name-71', "loginCount" = "loginCount";
update "NDISPlan" set "totalBudget" = "totalBudget" - 1;
update "Worker" set "onboardingStatus" = 'FAILED';
update "CarePlan" set goals = goals || '[{"description": "Bilby-Goal-74"}]';
update "Incident" set description = 'Wombat-Story-72';
update "Complaint" set description = 'Wombat-Story-72';
update "Risk" set title = 'Numbat-Title-73';
update "PaymentTransaction" set status = 'REVERSED';
"""
HARD_TO_READ: Final = """
update "CarePlan" set goals = ('[{"description": "d", "evidence": "' || %(canary)s || '", "n": ' || repeat('9', 6000)
    || '}]')::jsonb where id = (select min(id) from "CarePlan")
"""
INSERT: Final = """
insert into "User" (id, name, email, role, "updatedAt", "passwordHash", phone)
values (%(id)s, 'Quokka-Name-71', %(id)s || 'quokka.71@example.org', 'PARTICIPANT', now(), %(canary)s, %(canary)s)
"""
RENAME: Final = """
update "User" set name = 'Quokka-Name-71 ' || id, "passwordHash" = %(canary)s where id = %(id)s
"""
CUT_OFF: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name <> ''
"""
REFUSAL: Final = "body failed validation: Quokka-Name-71 is not a name."
"""Notion quotes what it refuses."""
ANSWERS_THAT_FAIL: Final = ("400", "409", "429", "500", "502", "503", "504", "529", "malformed", "reset")


@dataclass(frozen=True, slots=True)
class Outside:
    """All that could be seen from outside of MapAble's tables, by where it was seen."""

    songs: tuple[str, ...]
    seen: Mapping[str, str]
    """Logs, outputs and probes, which hold no values at all."""
    stored: Mapping[str, str]
    """The sidecar and Notion, which hold values of listed columns."""


@pytest.fixture(scope="module")
def planted(demo_scene_dsn: str) -> tuple[str, tuple[str, ...]]:
    """The demo with a canary in every column that may not leave."""
    with psycopg.connect(demo_scene_dsn, autocommit=True) as conn:
        conn.execute(KEEP_A_FEW.encode())
        songs = canaries.plant(conn)
    return demo_scene_dsn, songs


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outside(planted: tuple[str, tuple[str, ...]]) -> Outside:
    """Let everything happen, and gather what was seen."""
    dsn, songs = planted
    seen: dict[str, str] = {}
    stored: dict[str, str] = {}
    async with staged(dsn, NOTION_CREATE_LOOKUP_SECONDS="0.2") as scene:
        await scene.run(UPDATE_EVERYTHING)
        await scene.run(HARD_TO_READ, canary=canaries.GOAL_CANARY)
        await _let_answers_fail(scene, songs[0])
        await scene.run(CUT_OFF)
        await scene.service.event("stream.started", times=2)
        await scene.run("""delete from "User" where id like 'canary-new-%'""", """truncate "Complaint" """)
        await scene.settled()
        await scene.run('alter table "Risk" rename column category to cat', """update "Risk" set title = 'x'""")
        await scene.service.event("entity.paused")
        for path in ("/metrics", "/readyz", "/healthz"):
            _, seen[path] = await scene.get(path)
        for verb in (("status", "--json"), ("status",), ("slot", "show"), ("backfill", "--dry-run", "--json")):
            _, out, err = await command({**scene.env, "LOG_LEVEL": "debug"}, *verb)
            seen[" ".join(verb)] = out + err
        stored["sidecar"] = await _dump(scene)
        stored["notion"] = "\n".join(
            json.dumps(request.as_dict(), ensure_ascii=False) for request in scene.sandbox.requests
        )
        service = scene.service
    assert service.process.stdout is not None
    seen["stdout"] = (await service.process.stdout.read()).decode()
    seen["log"] = "\n".join(service.lines)
    return Outside(songs, seen, stored)


async def _let_answers_fail(scene: Scene, canary: str) -> None:
    """Each kind of failure meets a create and an update, before and after Notion saved it.

    Outages one after the other: three failures in a row would open the breaker, and Notion be asked seldom.
    """
    each = [(kind, when) for kind in ANSWERS_THAT_FAIL for when in ("before", "after")]
    for kind, when in each:
        await scene.run(INSERT, id=f"canary-{kind}-{when}", canary=canary)
    await scene.settled()
    for kind, when in each:
        for method, path in (("PATCH", "/v1/pages/.*"), ("POST", "/v1/pages")):
            scene.sandbox.faults.script(
                kind=kind, when=when, method=method, path_pattern=path, message=REFUSAL
            )
        await scene.run(RENAME, id=f"canary-{kind}-{when}", canary=canary)
        await scene.run(INSERT, id=f"canary-new-{kind}-{when}", canary=canary)
        await scene.until(lambda: not scene.sandbox.faults.scripts)
        await scene.until_true(NOTHING_LEFT)


async def _dump(scene: Scene) -> str:
    """Return every row of every table of the sidecar as text."""
    tables = await scene.rows("select tablename from pg_tables where schemaname = 'notion_sync'")
    assert len(tables) > 5
    lines = []
    for table in tables:
        name = sql.Identifier("notion_sync", table["tablename"])
        cursor = await scene.db.execute(sql.SQL("select t::text from {} t").format(name))
        lines += [row[0] for row in await cursor.fetchall()]
    return "\n".join(lines)


async def test_everything_was_driven(outside: Outside) -> None:
    # what follows proves something only if the values got as far as they may
    assert all(value in outside.stored["notion"] for value in VALUES)
    assert all(value in outside.stored["sidecar"] for value in VALUES)
    for event in ("changes.marked", "page.created", "work.parked", "entity.paused"):
        assert f'"{event}"' in outside.seen["log"], event
    # of sessions that are cut off all at once, any may be missed first
    assert re.search(r'"(stream|active)\.interrupted"', outside.seen["log"])
    assert "page.trashed" in outside.stored["sidecar"]
    assert data.FIRST_PARTICIPANT_ID in outside.stored["notion"]
    assert "mapable_cdc_changes_captured_total" in outside.seen["/metrics"]


async def test_no_canary_sings_outside(outside: Outside) -> None:
    assert len(outside.songs) > 80
    heard = {
        (place, song)
        for place, text in {**outside.seen, **outside.stored}.items()
        for song in (*outside.songs, DEMO_SECRET)
        if song in text
    }

    assert heard == set()


async def test_no_value_of_a_row_is_in_a_log_a_metric_or_an_error(outside: Outside) -> None:
    told = {(place, value) for place, text in outside.seen.items() for value in VALUES if value in text}

    assert told == set()
