"""Held deletes and parked work over HTTP: listed, decided about, and nothing happens for a body that is not clear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from cdc.web.application import application
from cdc.web.auth import Guard
from cdc.web.set_aside import SetAside
from state import deletions
from state.changes import PageId
from state.database import Pool
from state.deletions import Deletion, Verdict

Client = TestClient[web.Request, web.Application]
TOKEN: Final = "operator-of-this-test"
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rung = 0

    def ring(self) -> None:
        self.rung += 1


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
async def client(pool: Pool, bell: Bell) -> AsyncIterator[Client]:
    guard = Guard(SecretStr(TOKEN), orders_per_minute=1)
    app = application(SetAside(pool, guard, on_marked=bell.ring).routes())
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


async def hold(pool: Pool, entity: str, system_id: str, *, parent: str | None = None) -> None:
    group = ("participant", parent) if parent is not None else (entity, system_id)
    async with pool.connection() as conn:
        await conn.execute(
            """insert into "NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
               values (%s, %s, %s, 'live')""",
            ("User" if entity == "participant" else "CarePlan", system_id, f"page of {system_id}"),
        )
        page_id = PageId(f"page of {system_id}")
        await deletions.record(conn, Deletion(entity, system_id, page_id, parent, *group, AT, Verdict.HELD))


async def park(pool: Pool, entity: str, system_id: str) -> None:
    async with pool.connection() as conn:
        await conn.execute(
            "insert into parked (entity, system_id, reason, message, attempts) values (%s, %s, 'odd', 'It is odd.', 3)",
            (entity, system_id),
        )


async def all_of(pool: Pool, query: str) -> list[Any]:
    async with pool.connection() as conn:
        return [row if len(row) > 1 else row[0] for row in await (await conn.execute(query.encode())).fetchall()]


async def test_what_is_held_is_listed(client: Client, pool: Pool) -> None:
    await hold(pool, "participant", "p1")
    await hold(pool, "careplan", "c1", parent="p1")

    answer = await client.get("/api/notion/deletes", params={"entity": "careplan"})

    assert answer.status == 200
    assert await answer.json() == {
        "deletes": [
            {
                "entity": "careplan", "systemId": "c1", "pageId": "page of c1", "participantId": "p1",
                "group": {"entity": "participant", "systemId": "p1"}, "deletedAt": "2026-03-03T12:00:00.000Z",
                "status": "held",
            }
        ],
        "held": 2,
    }


async def test_approving_a_participant_approves_what_went_along_and_marks_it(client: Client, pool: Pool) -> None:
    await hold(pool, "participant", "p1")
    await hold(pool, "careplan", "c1", parent="p1")
    await hold(pool, "participant", "p2")

    answer = await client.post("/api/notion/deletes/approve", json={"ids": ["p1"], "entity": "participant"})

    assert await answer.json() == {"approved": 2}
    assert await all_of(pool, "select system_id from work order by 1") == ["c1", "p1"]
    assert await all_of(pool, "select state from deletion order by system_id") == ["approved", "approved", "held"]
    assert sorted(await all_of(pool, "select action, system_id, actor from audit_log")) == [
        ("delete.approved", "c1", "operator"), ("delete.approved", "p1", "operator"),
    ]
    assert await (await client.post("/api/notion/deletes/approve", json={"ids": ["p1"]})).json() == {"approved": 0}


async def test_rejecting_keeps_the_page_and_leaves_it_to_itself(client: Client, pool: Pool) -> None:
    await hold(pool, "participant", "p1")

    answer = await client.post("/api/notion/deletes/reject", json={"all": True})

    assert await answer.json() == {"rejected": 1}
    assert await all_of(pool, """select "pageState", "unlinkedBecause" from "NotionSyncMapping" """) == [
        ("unlinked", "delete_rejected")
    ]
    assert await all_of(pool, "select count(*) from work") == [0]


async def test_parked_work_is_listed_tried_again_and_dropped(client: Client, pool: Pool) -> None:
    await park(pool, "participant", "p1")
    await park(pool, "careplan", "c1")

    (first, _) = (await (await client.get("/api/notion/parked")).json())["parked"]
    retried = await client.post("/api/notion/parked/retry", json={"ids": ["p1"]})
    dropped = await client.post("/api/notion/parked/drop", json={"entity": "careplan"})

    assert (first["entity"], first["systemId"], first["reason"], first["attempts"]) == ("participant", "p1", "odd", 3)
    assert (await retried.json(), await dropped.json()) == ({"retried": 1}, {"dropped": 1})
    assert await all_of(pool, "select entity, system_id, reasons from work") == [("participant", "p1", 3)]
    assert await all_of(pool, "select count(*) from parked") == [0]
    assert await all_of(pool, "select action, system_id, participant_id, detail ->> 'reason' from audit_log") == [
        ("work.retried", "p1", "p1", "odd"), ("work.dropped", "c1", None, "odd"),
    ]


@pytest.mark.parametrize("path", ["deletes/approve", "parked/retry"])
async def test_what_was_decided_is_begun_at_once(client: Client, pool: Pool, bell: Bell, path: str) -> None:
    await hold(pool, "participant", "p1")
    await park(pool, "participant", "p1")

    await client.post(f"/api/notion/{path}", json={"all": True})

    assert bell.rung == 1


UNCLEAR: Final = (
    b"", b"null", b"[]", b"7", b"{", b"{}", b'{"all": false}', b'{"all": 1}', b'{"all": "yes"}',
    b'{"all": true, "ids": ["p1"]}', b'{"all": 1, "ids": ["p1"]}', b'{"ids": []}', b'{"ids": "p1"}', b'{"ids": [7]}',
    b'{"ids": [""]}', b'{"ids": ["p1\\u0000"]}', b'{"ids": ["\\ud800"]}', b'{"entity": "user table"}',
    b'{"entity": ["participant"]}', b'{"ids": ["' + b"x" * 201 + b'"]}', b"[" * 100_000, b"\xff\xfe",
    b'{"ids": [' + b'"p1",' * 1000 + b'"p1"]}',
)  # fmt: skip


@pytest.mark.parametrize("path", ["deletes/approve", "deletes/reject", "parked/retry", "parked/drop"])
async def test_a_body_that_is_not_clear_changes_nothing(client: Client, pool: Pool, bell: Bell, path: str) -> None:
    await hold(pool, "participant", "p1")
    await park(pool, "participant", "p1")

    statuses = {body: (await client.post(f"/api/notion/{path}", data=body)).status for body in UNCLEAR}

    assert statuses == dict.fromkeys(UNCLEAR, 400)
    assert bell.rung == 0
    assert await all_of(pool, "select state from deletion") == ["held"]
    assert await all_of(pool, "select count(*) from parked") == [1]


@pytest.mark.parametrize("path", ["/api/notion/deletes", "/api/notion/parked"])
async def test_a_wrong_query_is_refused(client: Client, path: str) -> None:
    queries = ("entity=nothing", "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=²", "limit=" + "9" * 5000)

    statuses = {query: (await client.get(f"{path}?{query}")).status for query in queries}

    assert statuses == dict.fromkeys(queries, 400)
