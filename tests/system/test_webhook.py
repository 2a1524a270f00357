"""Webhooks: verified, kept once and marked before they are answered; whatever is wrong with them changes nothing."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from state.changes import Priority, Reason
from tests.system.conftest import copied
from tests.system.desk import HOOK, SECRET, deliver, event, marks, signature, traces, watch
from tests.system.scene import Scene, staged
from tests.system.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

THEIRS = (int(Reason.THEIRS), int(Priority.LIVE))
ELSEWHERE = str(uuid.UUID(int=7))
# Its row is held back, marked as after a change of its own: nothing comes of the event for now
NOT_YET: Final = """
insert into notion_sync.work (entity, system_id, reasons, priority, due_at, not_before)
values ('participant', 'ana', 1, 0, now() + interval '1 day', now() + interval '1 day')
"""
NOW: Final = "update notion_sync.work set due_at = now(), not_before = '-infinity' where system_id = 'ana'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service that knows its secret, with one participant who has a page."""
    async with staged(scene_dsn, NOTION_WEBHOOK_SECRET=SECRET) as scene:
        await watch(scene)
        await scene.participant("ana", "Ana")
        await scene.settled()
        yield scene


def bot_of(scene: Scene) -> str:
    return scene.sandbox.state.bot_id


def row_in(scene: Scene, database: str) -> dict[str, Any]:
    """Return the `data` of an event about a row of a database."""
    source = scene.sandbox.people.source(database)
    parent = {"id": source["parent"]["database_id"], "type": "database", "data_source_id": source["id"]}
    return {"parent": parent, "updated_properties": ["title"]}


async def test_an_event_about_a_linked_page_is_kept_and_marks_its_record(scene: Scene) -> None:
    page_id = scene.page_id("Participants", "ana")
    before = await marks(scene, "participant", "ana")

    answer = await deliver(scene, event(page_id, data=row_in(scene, "Participants")))

    assert (answer.status, answer.body) == (200, {"status": "received"})
    assert await marks(scene, "participant", "ana") == [*before, THEIRS]
    (kept, *_) = await scene.rows("select kind, entity_id, properties from notion_sync.inbox order by received_at desc")
    assert kept == {"kind": "page.properties_updated", "entity_id": page_id, "properties": ["title"]}


async def test_an_event_that_comes_again_is_kept_and_marked_once(scene: Scene) -> None:
    told = event(scene.page_id("Participants", "ana"))
    await deliver(scene, told)
    before = await traces(scene)

    again = await deliver(scene, {**told, "attempt_number": 2})

    assert (again.status, again.body) == (200, {"status": "repeated"})
    await scene.settled_quietly()
    assert (await traces(scene)).split("/")[:2] == before.split("/")[:2]


@pytest.mark.parametrize(
    ("place", "authors", "marked"),
    [
        ("Risks", ["a person"], True),
        ("Risks", ["a person", "bot"], True),
        ("Risks", ["bot"], False),
        (None, ["a person"], False),
        ("unknown", ["a person"], True),
    ],
    ids=["in ours", "with our bot", "by our bot alone", "elsewhere", "place not told"],
)
async def test_a_page_nobody_knows_is_marked_where_it_may_be_a_row(
    scene: Scene, place: str | None, authors: list[str], marked: bool
) -> None:
    page_id = str(uuid.uuid4())
    elsewhere = {"parent": {"id": ELSEWHERE, "type": "page"}}
    data = elsewhere if place is None else {} if place == "unknown" else row_in(scene, place)
    by = [bot_of(scene) if author == "bot" else author for author in authors]

    answer = await deliver(scene, event(page_id, "page.created", authors=by, data=data))

    assert answer.status == 200
    assert await marks(scene, "page", page_id) == ([THEIRS] if marked else [])


@pytest.mark.parametrize(
    "kind",
    ["comment.created", "view.updated", "database.created", "data_source.content_updated", "file_upload.expired",
     "planet.aligned"],
)
async def test_events_about_other_things_are_kept_and_mark_nothing(scene: Scene, kind: str) -> None:
    told = event(scene.page_id("Participants", "ana"), kind, data={"page_id": 5, "parent": [None]})
    before = await scene.value("select count(*) from notion_sync.mark_seen")

    answer = await deliver(scene, told)

    assert answer.status == 200
    assert await scene.value("select count(*) from notion_sync.mark_seen") == before
    assert await scene.value("select kind from notion_sync.inbox where event_id = %(id)s", id=told["id"]) == kind


async def test_a_changed_schema_is_noted_for_whoever_watches_it(scene: Scene) -> None:
    source_id = scene.sandbox.people.source("Risks")["id"]

    await deliver(scene, event(source_id, "data_source.schema_updated", data={"updated_properties": [{"id": "x"}]}))

    noted = await scene.rows("select value from notion_sync.setting_seen where name = 'schema_due'")
    assert source_id in {row["value"]["entity_id"] for row in noted}


async def test_only_an_echo_of_our_own_last_write_marks_nothing(scene: Scene) -> None:
    await scene.participant("eve", "Eve")
    await scene.settled()
    page_id, bot = scene.page_id("Participants", "eve"), bot_of(scene)
    sent_at: datetime = await scene.value(
        """select "sentAt" from notion_sync."NotionSyncMapping" where "systemId" = 'eve'"""
    )
    before = await marks(scene, "participant", "eve")

    for seconds, authors in ((-60, [bot]), (4, [bot])):
        await deliver(scene, event(page_id, authors=authors, at=sent_at + timedelta(seconds=seconds)))
    echoes = await marks(scene, "participant", "eve")
    for seconds, authors in ((-60, [bot, "a person"]), (-60, ["another bot"]), (-60, []), (6, [bot])):
        await deliver(scene, event(page_id, authors=authors, at=sent_at + timedelta(seconds=seconds)))

    assert echoes == before
    assert await marks(scene, "participant", "eve") == [*before, *[THEIRS] * 4]


async def test_what_is_wrong_with_the_signature_is_refused_before_anything_else(scene: Scene) -> None:
    raw = json.dumps(event(scene.page_id("Participants", "ana"))).encode()
    right, mine = signature(raw), {"Content-Type": "application/json"}
    before = await traces(scene)

    statuses = {
        name: (await scene.call("POST", HOOK, data=raw, headers=headers))[0]
        for name, headers in {
            "missing": mine,
            "empty": {**mine, "X-Notion-Signature": ""},
            "bare": {**mine, "X-Notion-Signature": right.removeprefix("sha256=")},
            "short": {**mine, "X-Notion-Signature": right[:-1]},
            "long": {**mine, "X-Notion-Signature": right + "0"},
            "another algorithm": {**mine, "X-Notion-Signature": right.replace("sha256", "sha1")},
            "twice in one": {**mine, "X-Notion-Signature": f"{right}, {right}"},
            "of another body": {**mine, "X-Notion-Signature": signature(raw + b" ")},
            "of another secret": {**mine, "X-Notion-Signature": signature(raw, "secret_of_another")},
            "not ASCII": {**mine, "X-Notion-Signature": "sha256=" + "é" * 64},
        }.items()
    }
    doubled = (await scene.call(
        "POST", HOOK, data=raw,
        headers=[("Content-Type", "application/json"), ("X-Notion-Signature", right), ("X-Notion-Signature", right)],
    ))[0]

    assert set(statuses.values()) == {401}, statuses
    assert doubled == 401
    assert await traces(scene) == before


def wrong_bodies() -> dict[str, tuple[bytes, int]]:
    """Return bodies by what is wrong with them; each is signed rightly."""
    right = event(ELSEWHERE, at=datetime(2026, 3, 1, tzinfo=UTC))
    changed: dict[str, dict[str, Any]] = {
        "no id": {"id": None}, "id of another type": {"id": 5}, "id too long": {"id": "x" * 600},
        "id with NUL": {"id": "a\0b"}, "no type": {"type": None}, "type a list": {"type": ["page.created"]},
        "entity missing": {"entity": None}, "entity a string": {"entity": "page"},
        "entity without id": {"entity": {"type": "page"}}, "entity id no uuid": {"entity": {"id": "5", "type": "page"}},
        "timestamp a number": {"timestamp": 1}, "timestamp without zone": {"timestamp": "2026-03-01T00:00:00"},
        "timestamp not a time": {"timestamp": "yesterday"},
        "timestamp out of range": {"timestamp": "9999-12-31T23:59:59-14:00"},
        "authors a string": {"authors": "x"}, "author without id": {"authors": [{"type": "person"}]},
        "author null": {"authors": [None]}, "attempt a string": {"attempt_number": "1"},
        "attempt huge": {"attempt_number": 10**30}, "attempt a boolean": {"attempt_number": True},
        "data a list": {"data": []}, "properties a string": {"data": {"updated_properties": "title"}},
        "properties of numbers": {"data": {"updated_properties": [1]}}, "parent a string": {"data": {"parent": "x"}},
    }
    bodies = {name: json.dumps({**right, **change}).encode() for name, change in changed.items()}
    raw = json.dumps(right).encode()
    bodies |= {
        "empty": b"", "null": b"null", "true": b"true", "a number": b"1", "a string": b'"x"', "a list": b"[]",
        "a list of events": b"[" + raw + b"]", "cut off": raw[:-2], "two of them": raw + raw, "not JSON": b"hello",
        "not UTF-8": raw.replace(b"page", b"p\xe4ge"), "UTF-16": raw.decode().encode("utf-16"),
        "deep lists": b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "deep objects": b'{"a":' * 50_000 + b"1",
        "lone surrogate": raw[:-1] + rb',"x":"\ud800"}', "a form": b"type=page.created&id=1",
    }
    return {
        **{name: (body, 400) for name, body in bodies.items()},
        "over a megabyte": (raw[:-1] + b',"x":"' + b"x" * 1_000_001 + b'"}', 413),
    }


WRONG = wrong_bodies()


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_body_is_told_what_is_wrong_and_changes_nothing(scene: Scene, name: str) -> None:
    raw, expected = WRONG[name]
    before = await traces(scene)

    status, body, _ = await scene.call(
        "POST", HOOK, data=raw, headers={"Content-Type": "application/json", "X-Notion-Signature": signature(raw)}
    )

    assert (status, bool(body["reason"])) == (expected, True)
    assert await traces(scene) == before


async def test_a_body_without_a_length_is_limited_too(scene: Scene) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    status, _, _ = await scene.call(
        "POST", HOOK, data=endless(),
        headers={"Content-Type": "application/json", "X-Notion-Signature": signature(b"")},
    )

    assert status == 413


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": ""},
     {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
    ids=["text", "form", "none", "compressed"],
)
async def test_another_content_type_is_refused(scene: Scene, headers: dict[str, str]) -> None:
    raw = json.dumps(event(scene.page_id("Participants", "ana"))).encode()
    before = await traces(scene)

    status, _, _ = await scene.call("POST", HOOK, data=raw, headers={**headers, "X-Notion-Signature": signature(raw)})

    assert status == 415
    assert await traces(scene) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_told_which_one_is_right(scene: Scene, method: str) -> None:
    status, body, headers = await scene.call(method, HOOK)

    assert (status, headers["Allow"]) == (405, "POST")
    assert "POST" in body["reason"]


async def test_a_handshake_is_refused_while_the_secret_is_set(scene: Scene) -> None:
    before = await traces(scene)

    answer = await deliver(scene, {"verification_token": "secret_new"}, "secret_new")

    assert answer.status == 409
    assert "NOTION_WEBHOOK_SECRET" in answer.body["reason"]
    assert await traces(scene) == before


async def test_no_mutated_event_is_ever_a_5xx_and_none_that_is_refused_changes_anything(scene: Scene) -> None:
    rng = random.Random(20260301)
    seed = json.dumps(event(str(uuid.uuid4()), "view.created", at=datetime(2026, 3, 1, tzinfo=UTC))).encode()
    before = await traces(scene)
    kept = int(before.split("/")[0])

    for _ in range(400):
        raw = bytearray(seed)
        for _ in range(rng.randint(1, 8)):
            where = rng.randrange(len(raw))
            match rng.randrange(4):
                case 0:
                    raw[where] = rng.randrange(256)
                case 1:
                    del raw[where : where + rng.randint(1, 20)]
                case 2:
                    raw[where:where] = rng.choice([b"null", b"[", b"}", b'"', b"\\ud83d", b"1e999", b"\0", b"{", b","])
                case _:
                    raw[where:where] = bytes(raw[rng.randrange(len(raw)) :])[:200]
        signed = rng.random() < 0.8
        sent = bytes(raw)
        status, _, _ = await scene.call(
            "POST", HOOK, data=sent,
            headers={
                "Content-Type": "application/json",
                "X-Notion-Signature": signature(sent) if signed else signature(sent + b"x"),
            },
        )
        assert status in ((200, 400, 413) if signed else (401,)), sent
        kept += status == 200 and (await scene.value("select count(*) from notion_sync.inbox")) > kept

    after = await traces(scene)
    assert after.split("/")[1:] == before.split("/")[1:]
    assert int(after.split("/")[0]) == kept


async def test_the_secret_is_nowhere_in_the_log(scene: Scene) -> None:
    assert not any(SECRET in line for line in scene.service.lines)


async def test_a_disabled_sync_asks_to_come_again(postgres_server: PostgresServer, mapable_template: str) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, NOTION_WEBHOOK_SECRET=SECRET) as scene:
            env = {**scene.env, "NOTION_SYNC_ENABLED": "false", "REPLICATION_SLOT": "disabled_of_this_test"}
            async with Service(env) as disabled:
                await disabled.line("/readyz")
                other = Scene(dsn, scene.db, scene.sandbox, env, disabled)

                answer = await deliver(other, event(ELSEWHERE))

                assert (answer.status, answer.headers["Retry-After"]) == (503, "300")
                assert await scene.value("select count(*) from notion_sync.inbox") == 0
                assert await disabled.stop() == 0


async def test_a_standby_keeps_events_for_the_active_one(scene: Scene) -> None:
    async with Service(scene.env) as second:
        await second.event("role.changed")
        standby = Scene(scene.dsn, scene.db, scene.sandbox, scene.env, second)
        before = await marks(scene, "participant", "ana")

        answer = await deliver(standby, event(scene.page_id("Participants", "ana")))

        assert answer.status == 200
        assert await marks(scene, "participant", "ana") == [*before, THEIRS]
        await scene.until_true("select not exists (select from notion_sync.work)")
        assert await second.stop() == 0


async def test_an_event_about_a_row_that_is_gone_is_answered_and_worked_off(scene: Scene) -> None:
    await scene.participant("gone")
    page = scene.page_id("Participants", "gone")
    await scene.run("""delete from "User" where id = 'gone'""")
    await scene.settled()
    scene.sandbox.clear_requests()

    answers = [await deliver(scene, event(page, kind)) for kind in ("page.properties_updated", "page.deleted")]
    await scene.settled()

    assert [answer.status for answer in answers] == [200, 200]
    assert await scene.value("select count(*) from notion_sync.parked") == 0
    assert await scene.value("""select count(*) from "User" where id = 'gone'""") == 0
    assert scene.page("Participants", "gone") is None
    assert scene.writes(page) == ()


async def test_an_event_that_was_answered_outlives_a_kill_before_anything_came_of_it(scene: Scene) -> None:
    page = scene.page_id("Participants", "ana")
    await scene.settled()
    await scene.run(NOT_YET)
    scene.sandbox.people.edit(page, {"Name": "Ana Maria"})
    told = event(page)

    answer = await deliver(scene, told)
    scene.service.kill()
    await scene.service.ended()

    assert answer.status == 200
    assert await scene.value("select count(*) from notion_sync.inbox where event_id = %(id)s", id=told["id"]) == 1
    assert await scene.value("""select name from "User" where id = 'ana'""") == "Ana"
    await scene.run(NOW)
    await scene.start_again()
    # nobody looks for edits here: without the event it would not be known of
    await scene.until_true("""select name = 'Ana Maria' from "User" where id = 'ana'""")
