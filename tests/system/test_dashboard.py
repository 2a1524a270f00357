"""The dashboard's pages and forms: what they show, what they must not show, and that they do what the endpoints do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer, PrivateServer
from tests.conftest import SCHEMA
from tests.system.conftest import copied
from tests.system.desk import ADMIN
from tests.system.scene import Scene, staged
from tests.system.service import Service
from tests.system.visitor import Seen, Visitor, visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE: Final = """<script>alert('x')</script>"'{{ 7*7 }}&amp;"""
RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
values (%(id)s, %(title)s, '', 'LOW', 'Access', '', %(participant)s, now())
"""
# Of a row that has no page: the service finds nothing to do about it, so the conflict stays as the test made it
OPEN: Final = """
insert into notion_sync.conflict (
    "entityType", "systemId", page_id, field, base, mapable, notion, mapable_at, notion_at, notion_by, rule)
values ('Risk', %(id)s, 'page-1', %(field)s, to_jsonb('before'::text), to_jsonb(%(mapable)s::text),
    to_jsonb(%(notion)s::text), '2026-03-01T08:00:00Z', null, 'ana', 'manual-review')
returning id
"""
PARKED: Final = """
insert into notion_sync.parked (entity, system_id, reason, message, attempts)
values ('risk', %(id)s, 'notion_validation_error', %(message)s, 3)
"""
# A row that is gone while its page stands
HELD: Final = """
with link as (
    insert into notion_sync."NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
    values ('Risk', %(id)s, md5(%(id)s)::uuid::text, 'live')
)
insert into notion_sync.deletion (entity, system_id, page_id, group_entity, group_id, deleted_at, state)
values ('risk', %(id)s, md5(%(id)s)::uuid::text, 'risk', %(id)s, now(), 'held')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service under manual review with an operator."""
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN, NOTION_CONFLICT_STRATEGY="manual-review") as scene:
        await scene.unpaced()
        await scene.participant("ana", "Quokka Ana")
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def operator(scene: Scene) -> AsyncIterator[Visitor]:
    async with visiting(scene) as visitor:
        yield visitor


async def risk(scene: Scene, system_id: str, title: str, participant: str | None = "ana") -> None:
    await scene.run(RISK, id=system_id, title=title, participant=participant)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()


async def opened(scene: Scene, system_id: str, field: str = "title", mapable: str = "ours", notion: str = "s") -> int:
    return int(await scene.value(OPEN, id=system_id, field=field, mapable=mapable, notion=notion))


async def followed(operator: Visitor, seen: Seen) -> Seen:
    """Go where a form leads."""
    assert seen.status == 303, seen.text
    return await operator.get(seen.headers["Location"])


async def conflict(scene: Scene, system_id: str) -> dict[str, Any]:
    found = await scene.rows("select * from notion_sync.conflict")
    return next(each for each in found if each["systemId"] == system_id)


async def actions(scene: Scene, system_id: str) -> list[tuple[str, str]]:
    rows = await scene.db.execute(
        b"select action, actor from notion_sync.audit_log where system_id = %s order by id", (system_id,)
    )
    return [(row[0], row[1]) for row in await rows.fetchall()]


async def test_the_overview_shows_how_things_stand_and_no_value_of_any_row(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "seen", "Numbat title")
    await scene.run("""update "Risk" set title = 'Bilby title', category = 'Wombat' where id = 'seen'""")
    await scene.settled()

    seen = await operator.get("/")

    assert seen.status == 200
    assert "Page updated" in seen.text
    assert "category, title" in seen.text
    assert re.search(r"Risks \d+ nothing both ways", seen.text)
    for value in ("Numbat", "Bilby", "Wombat", "Quokka"):
        assert value not in seen.html
    assert not any("Bilby" in line for line in scene.service.lines)


async def test_what_waits_for_a_person_is_said_first(scene: Scene, operator: Visitor) -> None:
    await opened(scene, "waits")
    await scene.run(PARKED, id="waits", message="no")
    await scene.run(HELD, id="waits")

    seen = await operator.get("/")

    assert "for a person" in seen.text
    for path in ("/conflicts", "/parked", "/deletes"):
        assert f'<a href="{path}">Look at' in seen.html


async def test_hostile_values_are_text_and_nothing_else(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "hostile", HOSTILE)
    await opened(scene, HOSTILE, mapable=HOSTILE, notion="x")
    await scene.run(PARKED, id=HOSTILE, message=HOSTILE)
    await scene.run(HELD, id=HOSTILE)
    asked = urlencode({"entity": "risk", "id": HOSTILE})

    seen = [
        await operator.get(path)
        for path in (
            "/", "/conflicts", "/parked", "/deletes", "/record?entity=risk&id=hostile", f"/record?{asked}",
            f"/audit?{asked}", f"/audit?{urlencode({'person': HOSTILE})}", f"/sign-in?{urlencode({'next': HOSTILE})}",
            f"/conflicts?{urlencode({'done': HOSTILE})}", f"/record?{urlencode({'entity': HOSTILE, 'id': 'x'})}",
        )
    ]

    assert [each.status for each in seen[:8]] == [200] * 8
    for each in seen:
        assert "<script>alert" not in each.html
        assert 'value="<' not in each.html
    assert HOSTILE in seen[4].text


async def test_a_choice_goes_to_both_sides(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "chosen", "Old")
    async with scene.held(("risk", "chosen")):
        scene.sandbox.people.edit(scene.page_id("Risks", "chosen"), {"Title": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s' where id = 'chosen'""")
    found = await conflict(scene, "chosen")

    page = await operator.get("/conflicts")
    seen = await followed(
        operator,
        await operator.post(f"/conflicts/{found['id']}/resolve", version=str(found["version"]), choice="notion"),
    )

    assert "MapAble's" in page.text
    assert "Notion's" in page.text
    assert "Noted" in seen.text
    await scene.settled()
    assert await scene.value("""select title from "Risk" where id = 'chosen'""") == "Notion's"
    assert (await conflict(scene, "chosen"))["status"] == "resolved"
    assert ("conflict.decided", "operator") in await actions(scene, "chosen")


async def test_another_value_is_taken_as_it_was_typed(scene: Scene, operator: Visitor) -> None:
    conflict_id = await opened(scene, "typed", field="title")

    await operator.get("/conflicts")
    seen = await operator.post(
        f"/conflicts/{conflict_id}/resolve", version="1", choice="value", value="two\r\nlines & more"
    )

    assert seen.status == 303
    assert (await conflict(scene, "typed"))["value"] == "two\nlines & more"


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"version": "7", "choice": "mapable"}, 409, "look at it again"),
        ({"version": "1", "choice": "both"}, 400, "choice is one of"),
        ({"version": "1", "choice": "value", "value": ""}, 400, "can't be empty"),
        ({"version": "", "choice": "mapable"}, 400, "a number is expected"),
        ({"version": "9" * 30, "choice": "mapable"}, 400, "a number is expected"),
        ({"choice": "mapable"}, 400, "a number is expected"),
    ],
)
async def test_a_choice_that_can_t_be_followed_says_why(
    scene: Scene, operator: Visitor, fields: dict[str, str], status: int, said: str
) -> None:
    conflict_id = await opened(scene, f"refused {sorted(fields.items())}")

    seen = await operator.post(f"/conflicts/{conflict_id}/resolve", **fields)

    assert seen.status == status
    assert said in seen.text
    assert await scene.value("select status from notion_sync.conflict where id = %(id)s", id=conflict_id) == "open"


async def test_parked_work_is_tried_again_or_dropped(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "again", "Title")
    await scene.run(PARKED, id="again", message="why it was parked")
    await scene.run(PARKED, id="dropped", message="")

    page = await operator.get("/parked")
    retried = await followed(operator, await operator.post("/parked/retry", entity="risk", id="again"))
    dropped = await followed(operator, await operator.post("/parked/drop", entity="risk", id="dropped"))

    assert "why it was parked" in page.text
    assert "1 record will be tried again" in retried.text
    assert "1 record dropped" in dropped.text
    assert ("work.retried", "operator") in await actions(scene, "again")
    assert ("work.dropped", "operator") in await actions(scene, "dropped")


async def test_held_deletes_are_approved_or_rejected(scene: Scene, operator: Visitor) -> None:
    await scene.run(HELD, id="approved")
    await scene.run(HELD, id="rejected")

    await operator.get("/deletes")
    approved = await followed(operator, await operator.post("/deletes/approve", entity="risk", id="approved"))
    rejected = await followed(operator, await operator.post("/deletes/reject", entity="risk", id="rejected"))

    assert "1 page follows its row" in approved.text
    assert "1 page stays" in rejected.text
    assert ("delete.approved", "operator") in await actions(scene, "approved")
    assert ("delete.rejected", "operator") in await actions(scene, "rejected")


@pytest.mark.parametrize("path", ["/parked/retry", "/parked/drop", "/deletes/approve", "/deletes/reject"])
@pytest.mark.parametrize("fields", [{}, {"entity": "risk"}, {"id": "x"}, {"all": "yes"}])
async def test_a_form_that_names_nothing_does_nothing(
    scene: Scene, operator: Visitor, path: str, fields: dict[str, str]
) -> None:
    seen = await operator.post(path, **fields)

    assert seen.status == 400
    assert "names no record" in seen.text


async def test_a_record_is_explained_with_both_sides(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "told", "A title to be seen")

    seen = await operator.get("/record?entity=risk&id=told")
    synced = await followed(operator, await operator.post("/record/sync", entity="risk", id="told"))

    assert seen.text.count("A title to be seen") == 3
    assert "both sides are as agreed" in seen.text
    assert "Both sides are compared in a moment" in synced.text
    assert ("sync.requested", "operator") in await actions(scene, "told")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("entity=risk&id=nobody", 200), ("entity=nonsense&id=x", 404), ("entity=&id=", 200), ("id=x", 200),
        ("entity=risk&id=a&id=b", 400), ("entity=risk&id=%00", 400), ("entity=risk&id=" + "x" * 300, 400),
    ],
)  # fmt: skip
async def test_a_record_that_can_t_be_meant_is_told(operator: Visitor, query: str, status: int) -> None:
    seen = await operator.get(f"/record?{query}")

    assert seen.status == status


async def test_details_of_the_audit_log_are_shown_where_one_record_or_person_is_asked_for(
    scene: Scene, operator: Visitor
) -> None:
    await risk(scene, "logged", "Old")
    await scene.run(
        """insert into notion_sync.audit_log (action, entity, system_id, participant_id, properties, actor, detail)
           values ('edit.put_back', 'risk', 'logged', 'ana', '{title}', 'sync', '{"typed": "Potoroo"}')"""
    )

    every = await operator.get("/audit")
    of_kind = await operator.get("/audit?person=&entity=risk&id=")
    of_record = await operator.get("/audit?entity=risk&id=logged")
    of_person = await operator.get("/audit?person=ana")
    misspelt = await operator.get("/audit?id=logged")

    assert "Potoroo" not in every.html + of_kind.html
    assert "Edit put back" in every.text
    assert "Potoroo" in of_record.text
    assert "Potoroo" in of_person.text
    assert misspelt.status == 400


async def test_the_log_is_read_page_by_page(scene: Scene, operator: Visitor) -> None:
    await scene.run(
        """insert into notion_sync.audit_log (action, entity, system_id, actor, properties)
           select 'page.updated', 'risk', 'often', 'sync', array['field' || n] from generate_series(1, 60) n"""
    )

    first = await operator.get("/audit?entity=risk&id=often")
    link = re.search(r'href="(/audit\?[^"]+before=\d+)"', first.html)
    assert link is not None
    rest = await operator.get(link[1].replace("&amp;", "&"))

    assert (first.text.count("Page updated"), rest.text.count("Page updated")) == (50, 10)
    assert "field1 " in rest.text


@pytest.mark.parametrize("path", ["/", "/conflicts", "/parked", "/deletes", "/record", "/audit"])
async def test_a_page_has_one_heading_a_language_and_a_name_for_every_field(operator: Visitor, path: str) -> None:
    seen = await operator.get(path)

    fields = re.findall(r'<(?:input(?! type="hidden")|select|textarea) id="([^"]+)"', seen.html)
    assert seen.html.count("<h1") == 1
    assert '<html lang="en">' in seen.html
    assert all(f'<label for="{field}">' in seen.html for field in fields)


async def test_conflicts_come_a_page_at_a_time(scene: Scene, operator: Visitor) -> None:
    for number in range(30):
        await opened(scene, f"many-{number:02}")

    seen, after = set[str](), 0
    while True:
        page = await operator.get(f"/conflicts?after={after}")
        seen |= set(re.findall(r"many-\d\d", page.text))
        link = re.search(r'href="/conflicts\?after=(\d+)">Further', page.html)
        if link is None:
            break
        after = int(link[1])

    assert len(seen) == 30


async def test_what_differs_between_two_texts_is_marked(scene: Scene, operator: Visitor) -> None:
    await opened(scene, "marked", mapable="Fall on the <front> ramp", notion="Fall on the <back> ramp")
    last = await scene.value("select max(id) from notion_sync.conflict")

    seen = await operator.get(f"/conflicts?after={last - 1}")

    assert "Fall on the &lt;<mark>front</mark>&gt; ramp" in seen.html
    assert "Fall on the &lt;<mark>back</mark>&gt; ramp" in seen.html


async def test_orders_are_counted_with_those_of_the_endpoints(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN, SYNC_REQUESTS_PER_MINUTE="2") as scene:
            await risk(scene, "limited", "Title", participant=None)
            status, _, _ = await scene.call("POST", "/api/notion/sync/risk?id=limited", token=ADMIN)
            async with visiting(scene) as operator:
                await operator.get("/record?entity=risk&id=limited")
                seen = [await operator.post("/record/sync", entity="risk", id="limited") for _ in range(2)]

            assert (status, [each.status for each in seen]) == (202, [303, 429])
            assert 0 < int(seen[1].headers["Retry-After"]) <= 60


async def test_while_the_sync_is_disabled_the_dashboard_says_so(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN) as scene:
            env = {**scene.env, "NOTION_SYNC_ENABLED": "false", "REPLICATION_SLOT": "disabled_of_the_dashboard"}
            async with Service(env) as disabled:
                await disabled.line("/readyz")
                other = Scene(dsn, scene.db, scene.sandbox, env, disabled)
                async with visiting(other) as operator:
                    seen = [await operator.get(path) for path in ("/", "/conflicts", "/record?entity=risk&id=x")]
                    refused = await operator.post("/record/sync", entity="risk", id="x")

                assert [each.status for each in seen] == [200] * 3
                assert "The sync is switched off" in seen[0].text
                assert "the sync is disabled" in seen[2].text
                assert refused.status == 409
                assert await disabled.stop() == 0


async def test_a_notion_that_hangs_keeps_no_page_from_being_shown(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "slow", "Shown all the same")
    scene.sandbox.faults.script(kind="timeout", method="GET", path_pattern="/v1/pages/.*")

    seen = await operator.get("/record?entity=risk&id=slow")

    assert seen.status == 200
    assert "Notion did not answer in time" in seen.text
    assert "Shown all the same" in seen.text


async def test_a_database_that_is_away_is_told_on_a_page(private_postgres: PrivateServer) -> None:
    private_postgres.create_database("mapable")
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with staged(dsn, ADMIN_TOKEN=ADMIN) as scene, visiting(scene) as operator:
        await asyncio.to_thread(private_postgres.stop, "immediate")
        seen = await operator.get("/")
        await asyncio.to_thread(private_postgres.start)

        assert seen.status == 503
        assert "can't be done just now" in seen.text
        assert "Retry-After" in seen.headers
