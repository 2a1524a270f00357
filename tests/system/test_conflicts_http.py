"""People decide conflicts on what they saw, over HTTP and on the command line; the choice is marked and audited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from state.changes import Priority, Reason
from tests.system.desk import ADMIN, marks, traces, watch
from tests.system.invoked import invoke
from tests.system.scene import Scene, staged
from tests.system.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFLICTS = "/api/notion/conflicts"
DECIDED = (int(Reason.OURS | Reason.THEIRS), int(Priority.MANUAL))

# Of a row that has no page: the service finds nothing to do about it, so the conflict stays as the test made it
OPEN = """
insert into notion_sync.conflict (
    "entityType", "systemId", page_id, field, base, mapable, notion, mapable_at, notion_at, notion_by, rule)
values (%(entity_type)s, %(system_id)s, 'page-1', %(field)s, '"LOW"', %(mapable)s, %(notion)s,
    '2026-03-01T08:00:00Z', '2026-03-01T09:00:30.5Z', 'ana', 'manual-review')
returning id
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service with an operator."""
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN) as scene:
        await watch(scene)
        yield scene


async def opened(scene: Scene, system_id: str, field: str = "riskLevel", **facts: str) -> int:
    return int(
        await scene.value(
            OPEN,
            **{
                "entity_type": "Risk", "system_id": system_id, "field": field, "mapable": '"HIGH"',
                "notion": '"CRITICAL"', **facts,
            },
        )
    )


async def resolve(scene: Scene, conflict_id: int, **decision: Any) -> tuple[int, dict[str, Any]]:
    status, body, _ = await scene.call("POST", f"{CONFLICTS}/{conflict_id}/resolve", token=ADMIN, json=decision)
    return status, body


async def test_open_conflicts_are_listed_with_both_sides(scene: Scene) -> None:
    conflict_id = await opened(scene, "listed")

    status, body, _ = await scene.call("GET", CONFLICTS, token=ADMIN)

    assert status == 200
    told = next(conflict for conflict in body["conflicts"] if conflict["id"] == conflict_id)
    assert {
        "id": conflict_id, "entity": "risk", "systemId": "listed", "pageId": "page-1", "field": "riskLevel",
        "base": "LOW", "mapable": "HIGH", "notion": "CRITICAL", "mapableAt": "2026-03-01T08:00:00.000Z",
        "notionAt": "2026-03-01T09:00:30.500Z", "status": "open", "version": 1,
    }.items() <= told.items()


async def test_the_list_comes_in_pages_and_by_state(scene: Scene) -> None:
    ids = [await opened(scene, f"paged{number}") for number in range(3)]
    await scene.run(f"update notion_sync.conflict set status = 'resolved' where id = {ids[0]}")  # noqa: S608

    _, first, _ = await scene.call("GET", f"{CONFLICTS}?after={ids[0] - 1}&limit=1", token=ADMIN)
    _, rest, _ = await scene.call("GET", f"{CONFLICTS}?after={first['next']}", token=ADMIN)
    _, closed, _ = await scene.call("GET", f"{CONFLICTS}?status=closed", token=ADMIN)
    _, every, _ = await scene.call("GET", f"{CONFLICTS}?status=all&after={ids[0] - 1}", token=ADMIN)

    assert [conflict["id"] for conflict in first["conflicts"]] == [ids[1]]
    assert ([conflict["id"] for conflict in rest["conflicts"]], rest["next"]) == ([ids[2]], None)
    assert [conflict["id"] for conflict in closed["conflicts"]] == [ids[0]]
    assert [conflict["id"] for conflict in every["conflicts"]] == ids


@pytest.mark.parametrize(
    "decision", [{"choice": "mapable"}, {"choice": "notion"}, {"choice": "value", "value": "MEDIUM"}],
    ids=lambda decision: str(decision["choice"]),
)
async def test_a_choice_on_what_was_seen_is_noted_marked_and_audited(scene: Scene, decision: dict[str, Any]) -> None:
    system_id = f"chosen-{decision['choice']}"
    conflict_id = await opened(scene, system_id)

    status, body = await resolve(scene, conflict_id, version=1, **decision)

    assert status == 200
    assert (body["status"], body["choice"], body["value"]) == ("deciding", decision["choice"], decision.get("value"))
    assert body["version"] == 2
    assert await marks(scene, "risk", system_id) == [DECIDED]
    (line,) = await scene.rows(
        f"select * from notion_sync.audit_log where system_id = '{system_id}' and action = 'conflict.decided'"  # noqa: S608
    )
    assert (line["actor"], line["properties"]) == ("operator", ["riskLevel"])
    assert line["detail"] == {"conflict": conflict_id, "choice": decision["choice"], "value": decision.get("value")}


async def test_an_outdated_version_gets_the_conflict_as_it_is_now(scene: Scene) -> None:
    conflict_id = await opened(scene, "moved")
    await scene.run(
        f"""update notion_sync.conflict set notion = '"LOW"', version = 2 where id = {conflict_id}"""  # noqa: S608
    )
    before = await traces(scene)

    status, body = await resolve(scene, conflict_id, choice="mapable", version=1)

    assert status == 409
    assert (body["conflict"]["notion"], body["conflict"]["version"]) == ("LOW", 2)
    assert "look at it again" in body["reason"]
    assert await traces(scene) == before


async def test_what_is_decided_already_can_t_be_decided_again(scene: Scene) -> None:
    conflict_id = await opened(scene, "once")
    await resolve(scene, conflict_id, choice="mapable", version=1)

    status, body = await resolve(scene, conflict_id, choice="notion", version=2)

    assert (status, body["conflict"]["choice"]) == (409, "mapable")


WRONG: dict[str, bytes | dict[str, Any]] = {
    "empty": b"", "null": b"null", "a list": b"[]", "not JSON": b"{", "not UTF-8": b'{"choice":"\xff"}',
    "deep": b'{"choice":' + b"[" * 10_000, "nothing": {}, "no version": {"choice": "mapable"},
    "no choice": {"version": 1}, "another choice": {"choice": "both", "version": 1},
    "version a string": {"choice": "mapable", "version": "1"}, "version zero": {"choice": "mapable", "version": 0},
    "version a boolean": {"choice": "mapable", "version": True},
    "version beyond": {"choice": "mapable", "version": 2**40}, "choice a list": {"choice": ["mapable"], "version": 1},
    "no value": {"choice": "value", "version": 1},
    "an unknown option": {"choice": "value", "value": "NO", "version": 1},
    "cleared": {"choice": "value", "value": None, "version": 1},
    "a number": {"choice": "value", "value": 5, "version": 1},
    "an object": {"choice": "value", "value": {}, "version": 1},
    "a value for a side": {"choice": "mapable", "value": "LOW", "version": 1},
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_decision_that_can_t_be_meant_is_refused(scene: Scene, name: str) -> None:
    conflict_id = await opened(scene, f"wrong-{name}")
    body = WRONG[name]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    before = await traces(scene)

    status, answer, _ = await scene.call(
        "POST", f"{CONFLICTS}/{conflict_id}/resolve", token=ADMIN, data=raw,
        headers={"Content-Type": "application/json"},
    )

    assert (status, bool(answer["reason"])) == (400, True)
    assert await traces(scene) == before


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/999999/resolve", 404), ("POST", "/0/resolve", 404), ("POST", "/-1/resolve", 404),
        ("POST", "/x/resolve", 404), ("POST", f"/{'9' * 18}/resolve", 404), ("POST", f"/{'9' * 30}/resolve", 404),
        ("POST", "/1", 404), ("GET", "/1/resolve", 405), ("POST", "", 405), ("DELETE", "", 405),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_told(scene: Scene, method: str, path: str, expected: int) -> None:
    status, body, _ = await scene.call(
        method, CONFLICTS + path, token=ADMIN, json={"choice": "mapable", "version": 1}
    )

    assert (status, bool(body["reason"])) == (expected, True)


async def test_another_content_type_and_a_body_without_end_are_refused(scene: Scene) -> None:
    conflict_id = await opened(scene, "typed")
    path = f"{CONFLICTS}/{conflict_id}/resolve"

    text, _, _ = await scene.call("POST", path, token=ADMIN, data=b'{"choice":"mapable","version":1}',
                                  headers={"Content-Type": "text/plain"})
    long, _, _ = await scene.call("POST", path, token=ADMIN, data=b"x" * 1_100_000,
                                  headers={"Content-Type": "application/json"})

    assert (text, long) == (415, 413)


@pytest.mark.parametrize(
    ("off", "settings"),
    # a disabled sync drops its slot: not the one of this file
    [("NOTION_SYNC_ENABLED", {"REPLICATION_SLOT": "conflicts_while_off"}), ("NOTION_SYNC_RISKS", {})],
)
async def test_nothing_is_decided_that_nobody_would_carry_out(
    scene: Scene, off: str, settings: dict[str, str]
) -> None:
    conflict_id = await opened(scene, f"off {off}")
    before = await traces(scene)
    env = {**scene.env, **settings, off: "false"}

    typed = await invoke(env, "conflicts", "resolve", str(conflict_id), "mapable", "--version", "1")
    async with Service(env) as beside:
        await beside.line("/readyz")
        other = Scene(scene.dsn, scene.db, scene.sandbox, env, beside)
        status, answer = await resolve(other, conflict_id, choice="mapable", version=1)

    assert typed.code == 2
    assert off in typed.failure
    assert status == 409
    assert off in answer["reason"]
    assert await traces(scene) == before


async def test_of_two_decisions_at_once_one_counts(scene: Scene) -> None:
    conflict_id = await opened(scene, "raced")
    async with scene.session() as other:
        await other.execute("select 1 from notion_sync.conflict where id = %s for update", (conflict_id,))
        await other.execute("update notion_sync.conflict set version = 2 where id = %s", (conflict_id,))
        decision = asyncio.create_task(resolve(scene, conflict_id, choice="mapable", version=1))
        await scene.until_true(
            "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like %(what)s)",
            what="%update conflict set status%",
        )
        await other.commit()

        status, body = await decision

    assert (status, body["conflict"]["status"], body["conflict"]["version"]) == (409, "open", 2)


async def test_the_link_s_conflict_state_stays_pending_while_it_is_carried_out(scene: Scene) -> None:
    await scene.run(
        """insert into notion_sync."NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
           values ('Risk', 'pending', 'page-of-pending', 'unlinked')"""
    )
    conflict_id = await opened(scene, "pending")

    await resolve(scene, conflict_id, choice="notion", version=1)

    assert await scene.value(
        """select "conflictState" from notion_sync."NotionSyncMapping" where "systemId" = 'pending'"""
    ) == "pending"


async def test_the_command_line_does_the_same(scene: Scene) -> None:
    conflict_id = str(await opened(scene, "typed-in", field="title", mapable='"Flood"', notion="null"))

    listed = json.loads((await invoke(scene.env, "conflicts", "list", "--json", "--limit", "1000")).out)
    table = await invoke(scene.env, "conflicts", "list", "--limit", "1000")
    shown = await invoke(scene.env, "conflicts", "show", conflict_id)
    stale = await invoke(scene.env, "conflicts", "resolve", conflict_id, "mapable", "--version", "7")
    unfit = await invoke(scene.env, "conflicts", "resolve", conflict_id, "value", "--value", "", "--version", "1")
    done = await invoke(
        scene.env, "conflicts", "resolve", conflict_id, "value", "--value", "Fire", "--version", "1", "--json"
    )

    assert conflict_id in {str(conflict["id"]) for conflict in listed["conflicts"]}
    assert table.code == 0
    assert "Flood" in shown.out
    assert "(empty)" in shown.out
    assert stale.code == 3
    assert "look at it again" in stale.failure
    assert unfit.code == 2
    assert "can't be empty" in unfit.failure
    assert (done.code, json.loads(done.out)["value"]) == (0, "Fire")
    assert await marks(scene, "risk", "typed-in") == [DECIDED]


@pytest.mark.parametrize(
    "arguments",
    [("show", "999999"), ("show", "x"), ("resolve", "999999", "mapable", "--version", "1"),
     ("resolve", "1", "mapable"), ("resolve", "1", "both", "--version", "1"),
     ("resolve", "1", "value", "--version", "1"), ("resolve", "1", "mapable", "--value", "x", "--version", "1")],
    ids=" ".join,
)  # fmt: skip
async def test_what_is_typed_wrong_is_usage(scene: Scene, arguments: tuple[str, ...]) -> None:
    ended = await invoke(scene.env, "conflicts", *arguments)

    assert ended.code == 2
