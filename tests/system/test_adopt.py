"""The sidecar wakes up on a copy, on a promoted standby, in a restored backup: it is held until a person says which."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from deploy.local.server import PostgresServer
from tests.system.plant import Plant, get, planted, ready
from tests.system.service import Service

ELSEWHERE = """
update notion_sync.setting set value = value || '{"timeline": "77", "system identifier": "1"}' where name = 'cluster'
"""
STATE = """select "pageState" = '{}' from notion_sync."NotionSyncMapping" where "systemId" = %(id)s"""
UNLINKED, LIVE = STATE.format("unlinked"), STATE.format("live")
SIDECAR = """
select jsonb_build_array(
    (select jsonb_agg(w order by entity, system_id) from notion_sync.work w),
    (select jsonb_agg(m order by entity) from notion_sync.marking m),
    (select jsonb_agg(s order by name) from notion_sync.setting s),
    (select jsonb_agg(l order by "entityType", "systemId") from notion_sync."NotionSyncMapping" l),
    (select count(*) from notion_sync.audit_log)
)
"""
EXPLANATION = """
insert into notion_sync.explanation (entity, system_id, page_id, field, digest, text)
values ('incident', 'i', %(page)s, 'description', 'd', 'Why.')
"""
DROP = "select pg_drop_replication_slot(%(slot)s)"


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn, NOTION_REVERT_GRACE_SECONDS="0") as plant:
        yield plant


@asynccontextmanager
async def copied(server: PostgresServer, plant: Plant) -> AsyncIterator[Plant]:
    """Give a copy of the whole database, sidecar and all, before the same Notion; no slot comes along."""
    name = f"copy_{secrets.token_hex(6)}"
    await plant.db.close()
    server.create_database(name, urlsplit(plant.dsn).path[1:])
    plant.db = await psycopg.AsyncConnection.connect(plant.dsn, autocommit=True)
    dsn = server.dsn(name)
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db:
            yield replace(plant, dsn=dsn, db=db, env={**plant.env, "DATABASE_URL": dsn, "REPLICATION_SLOT": name})
    finally:
        server.drop_database(name)


async def until_held(plant: Plant, service: Service) -> dict[str, object]:
    await service.event("cluster.held")

    async def held() -> bool:
        return bool((await ready(service))[1]["role"] == "held")

    await plant.until(held)
    status, told = await ready(service)
    assert status == 503
    return told


async def says(plant: Plant, page_id: str, text: str) -> None:
    """Comment on a page as the connection does."""
    body = {"parent": {"page_id": page_id}, "rich_text": [{"text": {"content": text}}]}
    headers = {"Authorization": f"Bearer {plant.sandbox.token}", "Notion-Version": "2026-03-11"}
    async with aiohttp.ClientSession() as client, client.post(
        f"{plant.sandbox.url}/v1/comments", json=body, headers=headers
    ) as answer:
        assert answer.status == 200


async def test_a_copy_touches_neither_side_and_tells_why(postgres_server: PostgresServer, plant: Plant) -> None:
    async with plant.ran():
        pass
    sidecar = await plant.value(SIDECAR)
    async with copied(postgres_server, plant) as copy, copy.service() as service:
        told = await until_held(copy, service)
        copy.sandbox.clear_requests()
        await copy.run("""update "Risk" set title = 'on the copy'""", """delete from "Complaint" """)
        copy.sandbox.people.edit(copy.page_id("Incidents", "i"), {"Description": "edited meanwhile"})

        verbs = [await copy.types(*verb) for verb in (("backfill",), ("sweep",), ("setup",))]
        status = await copy.types("status", "--json")
        shown = await copy.types("status")
        metrics = (await get(service, "/metrics"))[1]

        assert "(database changed), so nothing is sent" in str(told["problem"])
        assert "mapable-cdc adopt --restored" in str(told["hint"])
        assert [ended.code for ended in verbs] == [3, 3, 3]
        assert all("so nothing is sent" in ended.failure for ended in verbs)
        assert json.loads(status.out)["elsewhere"] == ["database"]
        assert "mapable-cdc adopt" in shown.out
        assert "mapable_cdc_held 1.0" in metrics
        assert "mapable_cdc_active 0.0" in metrics
        assert not any(request.method != "GET" for request in copy.sandbox.requests)
        assert await copy.slot_fact("count(*)") == 0
        assert await copy.value("""select description from "Incident" where id = 'i'""") == "A fall"
        # comparing is allowed, putting right is not
        assert (await copy.types("verify")).code == 1
        assert "so nothing is sent" in (await copy.types("verify", "--repair")).failure
        assert copy.writes() == ()
        assert await copy.value(SIDECAR) == sidecar
        # it is told once and lives on, where a restart would only begin it all again
        assert sum(event["event"] == "cluster.held" for event in service.events) == 1
        assert service.process.returncode is None
        assert await service.stop() == 0


async def test_after_a_failover_it_goes_on_by_itself_once_told_and_writes_what_differs(plant: Plant) -> None:
    async with plant.ran():
        pass
    await plant.value(DROP)
    await plant.run(ELSEWHERE, """update "Risk" set title = 'unseen' where id = 'r'""")
    plant.sandbox.people.edit(plant.page_id("Incidents", "i"), {"Description": "edited meanwhile"})
    plant.sandbox.clear_requests()
    async with plant.service() as service:
        told = await until_held(plant, service)
        assert plant.writes() == ()

        adopted = await plant.types("adopt", "--failover")

        await service.event("stream.started")
        await plant.until_true("""select description = 'edited meanwhile' from "Incident" where id = 'i'""")
        await plant.quiet()
        assert plant.page("Risks", "r")["Title"] == "unseen"
        assert [request.object_id for request in plant.writes()] == [plant.page_id("Risks", "r")]
        assert (await ready(service))[0] == 200
        assert "hint" not in (await ready(service))[1]
        again = await plant.types("adopt", "--failover")
        assert await service.stop() == 0
    assert "system identifier, timeline changed" in str(told["problem"])
    assert (adopted.code, again.code) == (0, 0)
    assert "nothing to adopt" in again.out
    line = "select detail from notion_sync.audit_log where action = 'cluster.adopted'"
    assert await plant.value(line) == {"how": "failover", "changed": ["system identifier", "timeline"]}


async def test_in_a_restored_backup_pages_that_are_newer_are_merged(
    postgres_server: PostgresServer, plant: Plant
) -> None:
    async with plant.ran():
        pass
    async with copied(postgres_server, plant) as backup:
        # what happened after the backup was made
        async with plant.ran(NOTION_POLL_SECONDS="0.2"):
            plant.sandbox.people.edit(plant.page_id("Incidents", "i"), {"Description": "by a coordinator"})
            await plant.run(
                """update "NDISPlan" set "remainingBudget" = 3 where id = 'n'""",
                """update "User" set email = 'later@example.org' where id = 'p'""",
                """delete from "Complaint" where id = 'k'""",
                """insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
                   values ('late', 'Late', '', 'LOW', '', '', now())""",
            )
            await plant.until_true("""select description = 'by a coordinator' from "Incident" where id = 'i'""")
            await plant.quiet()
            await plant.until_true(
                """select exists (select from notion_sync."NotionSyncMapping" where "systemId" = 'late'"""
                """ and "pageState" = 'live')"""
            )
        assert plant.page("Participants", "p")["Email"] == "later@example.org"
        assert plant.sandbox.people.rows("Complaints") == []
        backup.sandbox.clear_requests()
        incident = backup.page_id("Incidents", "i")
        # one that waited when the backup was made, and was said since
        await backup.run(EXPLANATION, page=incident)
        await says(plant, incident, "Why.")
        async with backup.service() as service:
            await until_held(backup, service)

            adopted = await backup.types("adopt", "--restored")

            await service.event("stream.started")
            await backup.until_true("""select description = 'by a coordinator' from "Incident" where id = 'i'""")

            async def put_back() -> bool:
                return bool(backup.page("Participants", "p")["Email"] == "pat@example.org")

            await backup.until(put_back)
            await backup.quiet()
            # a row that is not there any more: its page is told of, and stays
            await backup.until_true(
                "select exists (select from notion_sync.stray_page where kind = 'orphan' and system_id = 'late')"
            )
            # one whose row is back: who put it into the trash is not known any more, so that a person has to say
            await backup.until_true(UNLINKED, id="k")
            await backup.until_true("select not exists (select from notion_sync.explanation where state = 'waiting')")
            written = [request.object_id for request in backup.writes()]
            asked = await backup.types("sync", "complaint", "k")
            await backup.until_true(LIVE, id="k")
            assert await service.stop() == 0
        assert adopted.code == 0
        # what people may edit is taken over from the page; what is MapAble's own is put back there
        assert await backup.value("""select "remainingBudget" = 3 from "NDISPlan" where id = 'n'""")
        assert written == [backup.page_id("Participants", "p")]
        assert asked.code == 0, asked.err
        assert [comment["text"] for comment in backup.sandbox.people.comments(incident)] == ["Why."]
        assert backup.page("Complaints", "k")["Description"] == "Late"
        assert backup.page("Risks", "late")["Title"] == "Late"


async def test_adopt_wants_to_know_what_happened(plant: Plant) -> None:
    neither = await plant.types("adopt")
    both = await plant.types("adopt", "--failover", "--restored")
    too_early = await plant.types("adopt", "--restored")

    assert (neither.code, both.code) == (2, 2)
    assert "Give one of --failover and --restored" in neither.failure
    assert too_early.code == 0
    assert "nothing to adopt" in too_early.out
