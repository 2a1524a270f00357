"""The dashboard's pages: what they show, what they must not show, and what they say when something is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

import psycopg
import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer, PrivateServer
from tests.conftest import SCHEMA
from tests.system.conftest import copied
from tests.system.desk import ADMIN
from tests.system.pending import HELD, PARKED, actions, opened, risk
from tests.system.scene import Scene, staged
from tests.system.service import Service
from tests.system.visitor import Seen, Visitor, visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE: Final = """<script>alert('x')</script>"'{{ 7*7 }}&amp;"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service under manual review with an operator."""
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN, NOTION_CONFLICT_STRATEGY="manual-review") as scene:
        await scene.unpaced()
        await scene.participant("ana", "Quokka Ana")
        yield scene


def parked_told(seen: Seen) -> int:
    """Return how much the tab says is parked, which the figures below it say, too."""
    found = re.search(r"Parked work (?:(\d+) waiting)?", seen.text)
    assert found is not None
    count = int(found[1] or 0)
    assert not count or re.search(rf"{count} records? (?:is|are) set aside", seen.text)
    return count


@pytest_asyncio.fixture(loop_scope="module")
async def operator(scene: Scene) -> AsyncIterator[Visitor]:
    async with visiting(scene) as visitor:
        yield visitor


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


async def test_tabs_that_keep_themselves_up_to_date_are_told_the_same(scene: Scene, operator: Visitor) -> None:
    update = {"X-Update": "1"}

    for number in range(10):
        before = await operator.get("/", headers=update)
        await scene.run(PARKED, id=f"shared-{number}", message="")
        after = await operator.get("/", headers=update)
        loaded = await operator.get("/")
        # slow machines need more than the two seconds for that
        if parked_told(after) == parked_told(before):
            break

    assert parked_told(after) == parked_told(before)
    assert parked_told(loaded) == parked_told(before) + 1


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


async def test_a_record_is_explained_with_both_sides(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "told", "A title to be seen")

    seen = await operator.get("/record?entity=risk&id=told")
    synced = await operator.sent("/record/sync", entity="risk", id="told")

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


async def test_what_a_record_needs_of_a_person_is_a_link_away(scene: Scene, operator: Visitor) -> None:
    conflict_id = await opened(scene, "to decide")
    await scene.run(PARKED, id="to mend", message="why")
    await scene.run(HELD, id="to approve")

    decide, mend, approve, nobody = [
        await operator.get(f"/record?{urlencode({'entity': 'risk', 'id': each})}")
        for each in ("to decide", "to mend", "to approve", "nobody at all")
    ]

    assert f'<a href="/conflicts?after={conflict_id - 1}">Decide about Title</a>' in decide.html
    assert '<a href="/parked">Look at parked work</a>' in mend.html
    assert '<a href="/deletes">Say whether its delete was meant</a>' in approve.html
    assert "Check the kind and the id" in nobody.text
    assert "Compare both sides now" not in nobody.text
    assert "<table" not in nobody.html


async def test_a_page_that_was_taken_away_can_be_brought_back(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "taken", "Title")
    page = scene.page_id("Risks", "taken")
    scene.sandbox.people.trash(page)
    await scene.look("risk", "taken")

    seen = await operator.get("/record?entity=risk&id=taken")
    await operator.sent("/record/sync", entity="risk", id="taken")

    assert "Bring its page back" in seen.text
    await scene.until(lambda: scene.page("Risks", "taken") is not None)


async def test_a_record_says_what_keeps_them_all(scene: Scene, operator: Visitor) -> None:
    await risk(scene, "kept", "Title")
    scene.sandbox.switches.update({"outage": True})
    await scene.run("""update "Risk" set title = 'Later' where id = 'kept'""")

    async def told() -> bool:
        seen = await operator.get("/record?entity=risk&id=kept")
        return "The sync needs help: Notion is not answering as it should" in seen.text

    await scene.until_async(told)
    scene.sandbox.switches.update({"outage": False})
    await scene.settled()


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


async def test_a_standby_says_that_another_one_does_the_work(scene: Scene, operator: Visitor) -> None:
    async with Service(scene.env) as standby:
        assert (await standby.event("role.changed"))["role"] == "standby"
        other = Scene(scene.dsn, scene.db, scene.sandbox, scene.env, standby)
        async with visiting(other) as visitor:
            seen = await visitor.get("/")
    active = await operator.get("/")

    assert "This process stands by" in seen.text
    assert "Another process is active" in seen.text
    assert "Requests to Notion" not in seen.text
    assert "Another process is active" not in active.text
    assert "Requests to Notion" in active.text


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
