"""Explanations reach their pages as comments: once each, whatever fails, and without a fuss where not allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cdc.operate.explaining import Explaining
from cdc.tasks import end
from deploy.sandbox.server import Sandbox
from sinks.notion.client import NotionClient
from sinks.notion.comments import NotionComments
from sinks.notion.pacing import Pacer
from state import explanations, settings
from state.changes import Key, PageId
from state.database import Pool
from state.explanations import digest_of
from tests.system import waiting


@dataclass
class Scene:
    """The outbox on one side, a workspace with a few pages on the other."""

    pool: Pool
    sandbox: Sandbox
    pacer: Pacer
    client: NotionClient
    pages: list[PageId] = field(default_factory=list)

    async def says(self, text: str, *, page: int = 0) -> None:
        async with self.pool.connection() as conn:
            key = Key("participant", f"p{page}")
            assert await explanations.explain(conn, key, self.pages[page], "name", digest_of(text), text)

    def loop(self) -> Explaining:
        """A new process' loop."""
        return Explaining(self.pool, NotionComments(self.client), idle_s=0.05)

    async def until(self, query: str) -> None:
        """Let a loop run until a query says true."""
        running = asyncio.create_task(self.loop().run())

        async def says_true() -> bool:
            return bool(await self.value(query))

        try:
            await waiting.until(self.sandbox, says_true, 20)
        finally:
            # one cancellation may be lost, see there
            await end([running])

    async def value(self, query: str) -> Any:
        async with self.pool.connection() as conn:
            row = await (await conn.execute(query.encode())).fetchone()
        return row[0] if row is not None else None

    async def audited(self) -> list[tuple[str, Any]]:
        async with self.pool.connection() as conn:
            cursor = await conn.execute("select action, detail ->> 'why' from audit_log order by id")
            return [(row[0], row[1]) for row in await cursor.fetchall()]

    def comments(self, page: int = 0) -> list[str]:
        return [comment["text"] for comment in self.sandbox.people.comments(self.pages[page])]


ALL_SAID = "select not exists (select from explanation where state = 'waiting')"


@pytest.fixture
async def scene(pool: Pool) -> AsyncIterator[Scene]:
    async with Sandbox(token="ntn_test", rate_limit=0, seed=7) as sandbox:
        pacer = Pacer(0)
        client = NotionClient(sandbox.token, base_url=sandbox.url, pacer=pacer, timeout_s=0.5)
        scene = Scene(pool, sandbox, pacer, client)
        parent = {"type": "page_id", "page_id": sandbox.parent_page_id}
        body = {
            "parent": parent, "title": [{"text": {"content": "People"}}],
            "initial_data_source": {"properties": {"Name": {"title": {}}}},
        }
        async with pool.connection() as conn:
            await settings.put(conn, settings.BOT, {"id": sandbox.state.bot_id})
        await client.request("POST", "databases", body=body)
        scene.pages = [PageId(sandbox.people.create("People", {"Name": name})) for name in ("Ann", "Ben", "Cleo")]
        sandbox.clear_requests()
        yield scene
        await client.close()


async def test_it_stands_on_its_page_once_and_is_audited_without_its_text(scene: Scene) -> None:
    await scene.says("Status can only be one of two.")

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Status can only be one of two."]
    assert scene.comments(1) == []
    assert await scene.audited() == [("comment.written", None)]
    assert await scene.value("select properties[1] || ' ' || page_id from audit_log") == f"name {scene.pages[0]}"
    assert await scene.value("select value ->> 'allowed' from setting where name = 'comments'") == "true"
    assert await scene.value("select audit_log::text like '%one of two%' from audit_log") is False


async def test_a_text_of_any_length_fits(scene: Scene) -> None:
    await scene.says("🦘" * 1500)

    await scene.until(ALL_SAID)

    assert scene.comments() == ["🦘" * 999 + "…"]


@pytest.mark.parametrize(("kind", "when"), [
    (kind, when)
    for kind in ("409", "429", "500", "502", "503", "504", "529", "reset", "timeout", "malformed")
    for when in ("before", "after")
    if (kind, when) != ("429", "after")    # Notion counts before it saves
])  # fmt: skip
async def test_a_failure_neither_loses_nor_doubles_it(scene: Scene, kind: str, when: str) -> None:
    fault = scene.sandbox.faults.script(kind=kind, when=when, method="POST", path_pattern="/v1/comments")
    await scene.says("Once.")

    await scene.until(ALL_SAID)

    assert fault.applied == 1
    assert scene.comments() == ["Once."]


async def test_a_process_that_dies_between_sending_and_noting_it_is_followed_by_one_that_looks(scene: Scene) -> None:
    scene.sandbox.faults.script(kind="timeout", when="after", method="POST", path_pattern="/v1/comments")
    await scene.says("Once.")
    await scene.until("select begun_at is not null from explanation")
    await scene.sandbox.wait_for(lambda: scene.comments() == ["Once."])

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Once."]
    assert scene.sandbox.count("GET", "/v1/comments") == 1


async def test_a_clock_of_notions_that_is_minutes_behind_makes_no_second_comment(scene: Scene) -> None:
    scene.sandbox.switches.update({"clock_offset_s": -240.0})
    scene.sandbox.faults.script(kind="reset", when="after", method="POST", path_pattern="/v1/comments")
    await scene.says("Once.")

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Once."]


async def test_what_waited_when_a_backup_was_made_and_was_said_since_is_not_said_again(scene: Scene) -> None:
    await scene.says("Once.")
    await scene.until(ALL_SAID)
    async with scene.pool.connection() as conn:
        # as it comes back with the backup
        await conn.execute("update explanation set state = 'waiting', text = 'Once.', begun_at = null")
        await explanations.doubt(conn)

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Once."]


async def test_one_that_died_before_it_was_saved_is_followed_by_one_that_sends(scene: Scene) -> None:
    scene.sandbox.faults.script(kind="timeout", when="before", method="POST", path_pattern="/v1/comments")
    await scene.says("Once.")
    await scene.until("select begun_at is not null from explanation")

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Once."]


async def test_a_person_s_comment_with_the_same_words_is_not_taken_for_ours(scene: Scene) -> None:
    scene.sandbox.faults.script(kind="reset", when="before", method="POST", path_pattern="/v1/comments")
    scene.sandbox.people.comment(scene.pages[0], "Once.")
    await scene.says("Once.")

    await scene.until(ALL_SAID)

    assert scene.comments() == ["Once.", "Once."]


async def test_our_own_comment_is_found_among_hundreds(scene: Scene) -> None:
    for number in range(130):
        scene.sandbox.people.comment(scene.pages[0], f"Comment {number}")
    scene.sandbox.faults.script(kind="reset", when="after", method="POST", path_pattern="/v1/comments")
    await scene.says("Once.")

    await scene.until(ALL_SAID)

    assert scene.comments().count("Once.") == 1


async def test_without_the_capability_it_is_audited_once_and_pages_go_on(scene: Scene) -> None:
    scene.sandbox.switches.update({"insert_comments": False, "read_comments": False})
    await scene.says("One.")
    await scene.says("Two.", page=1)
    first_start, second_start = scene.loop(), scene.loop()

    for loop in (first_start, first_start, second_start, second_start):
        await loop.round()

    assert await scene.value("select value ->> 'allowed' from setting where name = 'comments'") == "false"
    assert not scene.pacer.breaker.open
    assert await scene.audited() == [("comment.forbidden", None)]
    assert scene.sandbox.count("POST", "/v1/comments") == 2, "one for each start, and none after it"
    assert await scene.value("select count(*) from explanation where state = 'waiting' and begun_at is null") == 2
    assert await scene.value("select count(*) from parked") == 0


async def test_the_next_start_says_it_once_comments_are_allowed(scene: Scene) -> None:
    scene.sandbox.switches.update({"insert_comments": False})
    await scene.says("One.")
    await scene.until("select exists (select from audit_log)")
    scene.sandbox.switches.update({"insert_comments": True})

    await scene.until(ALL_SAID)

    assert scene.comments() == ["One."]
    assert await scene.value("select value ->> 'allowed' from setting where name = 'comments'") == "true"


async def test_what_may_have_been_said_is_not_said_again_where_nobody_may_look(scene: Scene) -> None:
    scene.sandbox.switches.update({"read_comments": False})
    scene.sandbox.faults.script(kind="reset", when="after", method="POST", path_pattern="/v1/comments")
    await scene.says("One.")
    await scene.says("Two.", page=1)

    await scene.until(ALL_SAID)

    assert scene.comments() == ["One."]
    assert scene.comments(1) == ["Two."]
    assert sorted(await scene.audited()) == [("comment.dropped", "unknown_whether_sent"), ("comment.written", None)]


@pytest.mark.parametrize(("away", "why"), [
    ("purge", "page_gone"), ("unshare", "page_gone"), ("trash", "page_trashed"),
])  # fmt: skip
async def test_a_page_that_went_away_takes_its_explanation_along(scene: Scene, away: str, why: str) -> None:
    getattr(scene.sandbox.people, away)(scene.pages[0])
    await scene.says("One.")
    await scene.says("Two.", page=1)

    await scene.until(ALL_SAID)

    assert scene.comments(1) == ["Two."]
    assert sorted(await scene.audited()) == [("comment.dropped", why), ("comment.written", None)]


async def test_what_waited_for_days_is_dropped(scene: Scene) -> None:
    await scene.says("One.")
    async with scene.pool.connection() as conn:
        await conn.execute("update explanation set queued_at = queued_at - interval '4 days'")

    await scene.until(ALL_SAID)

    assert scene.comments() == []
    assert await scene.audited() == [("comment.dropped", "too_late")]
