"""Where the sync stands, over HTTP: the shape that scripts and dashboards rely on, and the figures in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.system.desk import ADMIN, SECRET, deliver, event
from tests.system.invoked import invoke
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service with an operator, two participants and a risk that can't be sent."""
    async with staged(
        scene_dsn, ADMIN_TOKEN=ADMIN, NOTION_WEBHOOK_SECRET=SECRET, NOTION_SYNC_PAYMENTS="no",
        NOTION_CONFLICT_STRATEGY="manual-review",
    ) as scene:
        await scene.participant("ana", "Ana")
        await scene.participant("eve", "Eve")
        await scene.settled()
        yield scene


async def status(scene: Scene) -> dict[str, Any]:
    code, body, _ = await scene.call("GET", "/api/notion/status", token=ADMIN)
    assert code == 200
    return body


async def test_the_pinned_shape_holds(scene: Scene) -> None:
    told = await status(scene)

    assert told["enabled"] is True
    assert told["config"]["conflictStrategy"] == "manual-review"
    assert told["config"]["syncSettings"] == {
        "syncParticipants": True, "syncNDISPlans": True, "syncCarePlans": True, "syncIncidents": True,
        "syncComplaints": True, "syncRisks": True, "syncPayments": False,
    }
    assert told["statistics"]["mappingsByType"]["User"] == 2
    assert told["statistics"]["totalMappings"] == sum(told["statistics"]["mappingsByType"].values())
    assert told["statistics"]["pendingConflicts"] == 0
    assert told["conflicts"] == 0
    assert set(told["recentSyncs"][0]) == {"entityType", "systemId", "lastSyncedAt", "conflictState"}
    assert told["recentSyncs"] == sorted(told["recentSyncs"], key=lambda sync: str(sync["lastSyncedAt"]), reverse=True)
    assert told["slot"]["name"] == scene.env["REPLICATION_SLOT"]
    assert set(told["queue"]) == {"live", "manual", "backfill"}
    assert told["parked"] == 0
    assert told["process"]["role"] == "active"
    assert (told["paused"], told["strays"], told["heldDeletes"], told["notices"]) == ([], [], 0, [])
    assert {sweep["entity"] for sweep in told["sweeps"]} >= {"participant", "risk"}


async def test_conflicts_are_counted_by_field_and_by_record(scene: Scene) -> None:
    await scene.run(
        """insert into notion_sync.conflict ("entityType", "systemId", page_id, field, rule)
           values ('User', 'ana', 'p', 'name', 'manual-review'), ('User', 'ana', 'p', 'email', 'manual-review')""",
        """update notion_sync."NotionSyncMapping" set "conflictState" = 'pending' where "systemId" = 'ana'""",
    )

    told = await status(scene)

    assert (told["conflicts"], told["statistics"]["pendingConflicts"]) == (2, 1)
    await scene.run(
        "delete from notion_sync.conflict",
        """update notion_sync."NotionSyncMapping" set "conflictState" = 'none' where "systemId" = 'ana'""",
    )


async def test_what_people_have_to_look_at_is_told_with_its_reason(scene: Scene) -> None:
    await scene.run(
        "insert into notion_sync.parked (entity, system_id, reason, message, attempts) "
        "values ('risk', 'r1', 'kept_failing', 'it failed', 12)",
        """update notion_sync."NotionSyncMapping" set "pageState" = 'unlinked', "unlinkedBecause" = 'trashed'
           where "systemId" = 'eve'""",
    )

    told = await status(scene)
    _, parked, _ = await scene.call("GET", "/api/notion/parked?entity=risk", token=ADMIN)
    _, none, _ = await scene.call("GET", "/api/notion/parked?entity=incident", token=ADMIN)

    assert told["parked"] == 1
    assert told["parkedReasons"] == [{"entity": "risk", "reason": "kept_failing", "keys": 1}]
    assert told["unlinked"] == [{"entityType": "User", "reason": "trashed", "pages": 1}]
    (item,) = parked["parked"]
    assert (item["systemId"], item["message"], item["attempts"]) == ("r1", "it failed", 12)
    assert none == {"parked": []}


async def test_work_that_waits_for_a_person_is_decided_over_http(scene: Scene) -> None:
    await scene.run(
        "insert into notion_sync.parked (entity, system_id, reason, message, attempts) "
        "values ('risk', 'r2', 'kept_failing', 'it failed', 12)"
    )

    dropped = await scene.call("POST", "/api/notion/parked/drop", token=ADMIN, json={"ids": ["r2"]})
    retried = await scene.call("POST", "/api/notion/parked/retry", token=ADMIN, json={"ids": ["nobody"]})
    held = await scene.call("GET", "/api/notion/deletes", token=ADMIN)
    approved = await scene.call("POST", "/api/notion/deletes/approve", token=ADMIN, json={"all": True})
    unclear = [
        (await scene.call("POST", f"/api/notion/{path}", token=ADMIN, data=body))[0]
        for path in ("parked/drop", "deletes/reject")
        for body in (b"", b"null", b"{}", b'{"all":false}', b'{"ids":[5]}', b"\xff", b"[" * 9_000)
    ]

    assert (dropped[0], dropped[1]) == (200, {"dropped": 1})
    assert (retried[0], retried[1]) == (200, {"retried": 0})
    assert (held[0], held[1]) == (200, {"deletes": [], "held": 0})
    assert (approved[0], approved[1]) == (200, {"approved": 0})
    assert set(unclear) == {400}


async def test_webhooks_that_fell_silent_can_be_told_from_no_webhooks(scene: Scene) -> None:
    before = (await status(scene))["webhook"]
    await deliver(scene, event(scene.page_id("Participants", "ana")))

    after = (await status(scene))["webhook"]

    assert (before["verified"], before["lastEventAt"]) == (True, None)
    assert after["lastEventAt"] is not None


async def test_a_paused_entity_is_told_with_its_reason(scene: Scene) -> None:
    await scene.run("""alter table "Risk" rename category to kind""")
    await scene.run(
        """insert into "Risk" (id, title, description, "riskLevel", kind, "identifiedBy", "updatedAt")
           values ('late', 'Late', '', 'LOW', '', '', now())"""
    )
    await scene.service.event("entity.paused")

    told = await status(scene)
    _, metrics = await scene.get("/metrics")

    (paused,) = told["paused"]
    assert 'mapable_cdc_paused{entity="risk"} 1.0' in metrics
    assert (paused["entity"], paused["field"]) == ("risk", None)
    assert "Risk can't be read as mapped" in paused["reason"]
    await scene.run("""alter table "Risk" rename kind to category""")
    await scene.service.event("entity.resumed")


@pytest.mark.parametrize(
    "target",
    ["audit?id=ana", "audit?limit=0", "audit?limit=x", "audit?limit=1001", "audit?limit=-1", "audit?limit=1&limit=2",
     "audit?person=", "audit?person=a%00b", "audit?person=" + "x" * 300, "audit?person=a&person=b", "audit?before=1e3",
     "audit?before=" + "9" * 30, "parked?limit=x", "parked?entity=", "deletes?limit=0",
     "conflicts?status=nonsense", "conflicts?limit=x",
     "conflicts?after=x", "conflicts?status=open&status=closed"],
)  # fmt: skip
async def test_a_question_that_can_t_be_meant_is_refused(scene: Scene, target: str) -> None:
    code, body, _ = await scene.call("GET", f"/api/notion/{target}", token=ADMIN)

    assert code == 400
    assert body["reason"]


async def test_the_audit_log_says_what_went_to_notion_about_a_person(scene: Scene) -> None:
    await scene.run(
        """insert into "Incident" (id, "incidentType", description, "occurredAt", status, "participantId",
           "reportedBy", "updatedAt")
           select 'fell', 'NEAR_MISS', 'x', now(), 'REPORTED', 'ana', 'ana', now()"""
    )
    await scene.settled()

    _, answer, _ = await scene.call("GET", "/api/notion/audit?person=ana", token=ADMIN)
    _, of_incident, _ = await scene.call("GET", "/api/notion/audit?entity=incident&id=fell&limit=1", token=ADMIN)
    _, older, _ = await scene.call(
        "GET", f"/api/notion/audit?person=ana&before={answer['lines'][0]['id']}", token=ADMIN
    )
    typed = await invoke(scene.env, "audit", "--person", "ana", "--json")

    assert {line["entity"] for line in answer["lines"]} == {"participant", "incident"}
    created = next(line for line in answer["lines"] if line["entity"] == "incident")
    assert created["action"] == "page.created"
    assert "description" in created["properties"]
    assert created["pageId"] == scene.page_id("Incidents", "fell")
    assert len(of_incident["lines"]) == 1
    assert of_incident["next"] == of_incident["lines"][0]["id"]
    assert older["lines"] == answer["lines"][1:]
    assert json.loads(typed.out) == {"lines": answer["lines"]}


async def test_audit_without_a_name_is_wrong_usage(scene: Scene) -> None:
    nobody = await invoke(scene.env, "audit")
    half = await invoke(scene.env, "audit", "--person", "ana", "--id", "x")
    shown = await invoke(scene.env, "audit", "--entity", "participant", "--id", "ana")

    assert (nobody.code, half.code, shown.code) == (2, 2, 0)
    assert "page.created" in shown.out


async def test_an_unknown_endpoint_answers_in_json_too(scene: Scene) -> None:
    code, body, _ = await scene.call("GET", "/api/notion/nothing")

    assert (code, body["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /api/notion/webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx\r\n0\r\n\r\n",
        b"POST /api/notion/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/notion/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET /api/notion/status?\x01\x02 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
    ],
    ids=["chunks", "negative length", "two lengths", "control characters", "long line", "long header", "TLS", "none"],
)  # fmt: skip
async def test_what_is_hardly_http_is_a_4xx_without_a_word_in_the_log(scene: Scene, raw: bytes) -> None:
    host, _, port = scene.url().removeprefix("http://").partition(":")
    said = len(scene.service.lines)
    reader, writer = await asyncio.open_connection(host, int(port))

    writer.write(raw)
    async with asyncio.timeout(20):
        answer = await reader.readline()
    writer.close()
    await scene.call("GET", "/healthz")

    assert answer.split()[1].startswith(b"4"), answer
    assert not [line for line in scene.service.lines[said:] if "Traceback" in line or "ERROR" in line]
