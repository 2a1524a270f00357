"""Calls: what a changed row costs in requests to Notion, webhooks on and our own echoes included."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from deploy.sandbox.server import Sandbox
from tests.bench.ground import Ground, connected, set_up
from tests.bench.report import Line, Run
from tests.bench.rows import families, risks
from tests.system.desk import subscribe
from tests.system.scene import Scene
from tests.system.service import Service, command, environment

RUNS: Final = 1
"""Requests are counted, not timed."""
ALONE: Final = 20
BURST: Final = 100

MANY: Final = [f"r{number}" for number in range(ALONE + 1, ALONE + BURST + 1)]
SOMEBODY: Final = """
insert into "User" (id, name, email, role, "updatedAt")
values ('somebody', 'Somebody', 's@example.org', 'PARTICIPANT', now())
"""
EDIT: Final = """update "Risk" set title = title || '!' where id = any (%(ids)s)"""
FIFTY: Final = """
do $$ begin
    for n in 1..50 loop update "User" set {column} = n || '@example.org' where id = 'somebody'; end loop;
end $$
"""
UNMAPPED: Final = """update "Risk" set "internalNotes" = 'seen', "updatedAt" = now()"""


async def once(ground: Ground) -> Run:
    """Count."""
    people = ground.sized(400, 40)
    with ground.database() as dsn:
        async with Sandbox(token="ntn_bench", rate_limit=0, seed=11) as sandbox, connected(dsn) as db:
            settings = {"LOG_LEVEL": "info", "REPLICATION_SLOT": f"bench_{secrets.token_hex(4)}"}
            env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, **settings)
            await set_up(env)
            await risks(db, ALONE + BURST)
            await db.execute(SOMEBODY.encode())
            figures = await _edited(Scene(dsn, db, sandbox, env, Service(env)))
            rows = await families(db, people)
            sandbox.clear_requests()
            code, _, said = await command(env, "backfill", timeout_s=1800.0)
            assert code == 0, said
            created, finished = sandbox.count("POST", "/v1/pages"), sandbox.count("PATCH", "/v1/pages/.*")
            assert created == rows, "not every row has its page"
            figures |= {
                "backfill": sandbox.count() / rows, "backfill.limit": 1 + 1 / 100 + finished / rows,
                "fresh": 3 * people,
            }
            figures["burst.fresh"] = await _burst_again(Scene(dsn, db, sandbox, env, Service(env)))
    return Run(figures)


async def _burst_again(scene: Scene) -> float:
    async with scene.service as service:
        await service.event("stream.started", timeout_s=120.0)
        await subscribe(scene)
        calls = await _calls(scene, EDIT, ids=MANY)
        await service.stop(60.0)
    return calls / BURST


async def _edited(scene: Scene) -> dict[str, float]:
    """Count what edits cost while the service runs."""
    async with scene.service as service:
        await service.event("stream.started", timeout_s=120.0)
        subscription = await subscribe(scene)
        await _through(scene)
        alone = [await _calls(scene, EDIT, ids=[f"r{number}"]) for number in range(1, ALONE + 1)]
        found = {
            "alone": sum(alone) / ALONE,
            "burst": await _calls(scene, EDIT, ids=MANY) / BURST,
            "fifty": await _calls(scene, FIFTY.replace("{column}", "name")),
            "fifty.app": await _calls(scene, FIFTY.replace("{column}", "email")),
            "unmapped": await _calls(scene, UNMAPPED),
        }
        await service.stop(60.0)
    # nobody is there to hear of the backfill
    scene.sandbox.webhooks.delete(subscription)
    return found


async def _through(scene: Scene) -> None:
    """Return when all that was committed is captured, sent, echoed, and the echoes are looked at."""
    await scene.until_confirmed(await scene.wal_end())
    await scene.settled_quietly()
    await scene.until(scene.sandbox.webhooks.idle, 60.0)
    await scene.settled_quietly()


async def _calls(scene: Scene, statement: str, **arguments: object) -> int:
    """Run a statement in a transaction of its own; return how many requests it led to."""
    await _through(scene)
    scene.sandbox.clear_requests()
    await scene.run(statement, **arguments)
    await _through(scene)
    return scene.sandbox.count()


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    for name, told, limit in (
        ("alone", "an edit alone", 2.0),
        ("burst", f"{BURST} edits in one transaction, each", 1.1),
        ("backfill", "backfill, each row", found["backfill.limit"]),
        ("fifty", "50 edits of one row at once, of a shared field", 2.0),
        ("fifty.app", "50 edits of one row at once, of a field that is MapAble's", 1.0),
        ("unmapped", "a change of unmapped columns", 0.0),
    ):
        beside = "1 + 1/100 + relations finished later" if name == "backfill" else ""
        yield Line(told, f"{found[name]:.3g} requests", beside, f"<= {limit:.3g}", found[name] <= limit)
    yield Line(
        f"{BURST} edits right after a backfill made {found['fresh']:,.0f} pages of their kind, each",
        f"{found['burst.fresh']:.3g} requests", "the look lists what was edited in the last minutes",
    )
