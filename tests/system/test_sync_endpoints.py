"""An operator asks for records to be compared now: who may, how often, for what, and what it marks."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from state.changes import Priority, Reason
from tests.system.conftest import copied
from tests.system.desk import ADMIN, marks, traces, watch
from tests.system.invoked import invoke
from tests.system.scene import Scene, staged
from tests.system.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYNC = "/api/notion/sync"
ASKED = (int(Reason.OURS | Reason.THEIRS | Reason.RESTORE), int(Priority.MANUAL))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service with an operator who may ask as often as they like; payments are switched off."""
    async with staged(
        scene_dsn, ADMIN_TOKEN=ADMIN, SYNC_REQUESTS_PER_MINUTE="100000", NOTION_SYNC_PAYMENTS="false"
    ) as scene:
        await watch(scene)
        await scene.participant("ana", "Ana")
        await scene.run(
            """insert into "User" (id, name, email, role, "updatedAt")
               values ('provider', 'P', 'p@example.org', 'PROVIDER', now())"""
        )
        await scene.settled()
        yield scene


async def test_one_record_is_marked_and_audited(scene: Scene) -> None:
    before = await marks(scene, "participant", "ana")

    status, body, _ = await scene.call("POST", f"{SYNC}/participant?id=ana", token=ADMIN)

    assert (status, body) == (202, {"marked": 1})
    assert await marks(scene, "participant", "ana") == [*before, ASKED]
    (line, *_) = await scene.rows("select * from notion_sync.audit_log order by id desc")
    assert (line["action"], line["actor"], line["participant_id"]) == ("sync.requested", "operator", "ana")
    assert line["page_id"] == scene.page_id("Participants", "ana")


async def test_an_audit_line_names_the_participant_of_a_record_of_theirs(scene: Scene) -> None:
    await scene.run(
        """insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId",
           "updatedAt") values ('fall', 'Fall', '', 'LOW', '', '', 'ana', now())"""
    )

    status, _, _ = await scene.call("POST", f"{SYNC}/risk?id=fall", token=ADMIN)

    assert status == 202
    query = "select participant_id from notion_sync.audit_log where action = 'sync.requested' and system_id = 'fall'"
    assert await scene.rows(query) == [{"participant_id": "ana"}]


async def test_all_participants_are_marked_on_both_sides_before_any_backfill(scene: Scene) -> None:
    await scene.participant("eve", "Eve")

    status, body, _ = await scene.call("POST", f"{SYNC}/participants", token=ADMIN)

    assert (status, body) == (202, {"marked": 2})
    await scene.settled()
    assert ASKED in await marks(scene, "participant", "ana")
    assert ASKED in await marks(scene, "participant", "eve")


async def test_a_row_that_is_gone_can_be_asked_for_while_it_has_a_page(scene: Scene) -> None:
    await scene.participant("gone")
    await scene.run("""delete from "User" where id = 'gone'""")
    await scene.settled()

    status, _, _ = await scene.call("POST", f"{SYNC}/participant?id=gone", token=ADMIN)

    assert status == 202


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/participant", 400), ("/participant?id=", 400), ("/participant?id=ana&id=ana", 400),
        ("/participant?ID=ana", 400), ("/participant?id=" + "x" * 201, 400), ("/participant?id=" + "x" * 10_240, 400),
        ("/participant?id=a%00b", 400), ("/participant?id=a%0Ab", 400), ("/participant?id=%7F", 400),
        ("/participant?id=%ED%A0%80", 404), ("/participant?id=%FF", 404), ("/participants?id=ana", 400),
        ("/participant?id=nobody", 404), ("/participant?id=provider", 404), ("/participant?id=ana%20", 404),
        ("/participant?id='%20or%20true--", 404), ("/nonsense?id=ana", 404), ("/User?id=ana", 404),
        ("/participant/?id=ana", 404), ("/?id=ana", 404), ("?id=ana", 404), ("/payment?id=x", 409),
    ],
)  # fmt: skip
async def test_what_can_t_be_meant_is_refused_with_a_reason(scene: Scene, target: str, expected: int) -> None:
    before = await traces(scene)

    status, body, _ = await scene.call("POST", SYNC + target, token=ADMIN)

    assert status == expected
    assert body["reason"]
    assert await traces(scene) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/participants", "/participant?id=ana"])
async def test_another_method_is_told_which_one_is_right(scene: Scene, method: str, path: str) -> None:
    before = await traces(scene)

    status, _, headers = await scene.call(method, SYNC + path, token=ADMIN)

    assert (status, headers["Allow"]) == (405, "POST")
    assert await traces(scene) == before


WRONG_HEADERS: tuple[object, ...] = (
    {}, {"Authorization": ""}, {"Authorization": ADMIN}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {ADMIN}"}, {"Authorization": f"Bearer {ADMIN}x"},
    {"Authorization": f"Bearer {ADMIN[:-1]}"}, {"X-Admin-Token": ADMIN},
    [("Authorization", f"Bearer {ADMIN}"), ("Authorization", f"Bearer {ADMIN}")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{SYNC}/participants"), ("POST", f"{SYNC}/participant?id=ana"), ("GET", "/api/notion/status"),
        ("GET", "/api/notion/conflicts"), ("POST", "/api/notion/conflicts/1/resolve"), ("GET", "/api/notion/audit"),
        ("GET", "/api/notion/parked"), ("POST", "/api/notion/parked/drop"), ("POST", "/api/notion/parked/retry"),
        ("GET", "/api/notion/deletes"), ("POST", "/api/notion/deletes/approve"), ("POST", "/api/notion/deletes/reject"),
    ],
)  # fmt: skip
async def test_without_the_operator_s_token_nothing_is_told_and_nothing_done(
    scene: Scene, method: str, path: str
) -> None:
    before = await traces(scene)

    answers = [await scene.call(method, path, headers=headers) for headers in WRONG_HEADERS]

    assert {status for status, _, _ in answers} == {401}
    assert all(set(body) == {"error", "reason"} for _, body, _ in answers)
    assert all(headers["WWW-Authenticate"] == "Bearer" for _, _, headers in answers)
    assert await traces(scene) == before


async def test_no_call_made_of_noise_is_ever_a_5xx(scene: Scene) -> None:
    rng = random.Random(20260302)
    pieces = ["participant", "risk", "id", "=", "&", "?", "/", "%00", "%", "ana", "é", "+", "..", "\u202e", ";"]
    before = await traces(scene)

    for _ in range(300):
        noise = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 9)))
        path = SYNC + "/" + quote(noise, safe="/?=&%+;")
        status, _, _ = await scene.call(rng.choice(["GET", "PUT", "DELETE"]), path, token=ADMIN)
        assert status in (400, 404, 405), path
        status, _, _ = await scene.call("POST", path, token=None if rng.random() < 0.5 else "wrong")
        assert status in (400, 401, 404), path

    assert await traces(scene) == before


async def test_no_order_made_of_noise_is_ever_a_5xx_and_what_is_refused_changes_nothing(scene: Scene) -> None:
    rng = random.Random(20260303)
    before, answered = await traces(scene), Counter[int]()

    for path, arguments in orders(rng):
        status, body, _ = await scene.call("POST", path, token=ADMIN, **arguments)

        answered[status] += 1
        after = await traces(scene)
        if status in (200, 202):
            assert set(body.values()) <= {0, 1, 2, 3}, path
        else:
            assert status in (400, 404, 405, 409, 413, 415), (status, path)
            assert body["reason"], path
            assert after == before, (status, path, arguments)
        before = after

    # noise of which all is refused, or by one rule only, would show little
    assert {200, 202, 400, 404, 409, 415} <= set(answered), answered


def orders(rng: random.Random) -> Iterator[tuple[str, dict[str, object]]]:
    """Give paths below which an operator may order something, with bodies: half right, or not at all."""
    entities = [*["participant"] * 6, "participants", "risk", "payment", "User", "", "é", "%00", "..", "lookup"]
    ids = [*["ana"] * 6, "nobody", "", "%00", "%0A", "%ED%A0%80", "x" * 201, "a'--", "é", "🦘", "ana&id=ana", "*"]
    numbers = ["1", "0", "9" * 18, "9" * 19, "-1", "x"]
    deciding = ["parked/drop", "parked/retry", "deletes/approve", "deletes/reject"]
    values: list[object] = [
        None, True, False, 0, -1, 2**63, 1e308, "", "ana", "risk", "\x00", "\ud800", [], ["ana"], ["\x00"], [5], {},
    ]  # fmt: skip
    names = ["ids", "entity", "all", "choice", "version", "value", "more"]
    for _ in range(400):
        body = {name: rng.choice(values) for name in rng.sample(names, rng.randint(0, 3))}
        raw = json.dumps(body).encode() if rng.random() < 0.8 else rng.randbytes(rng.randint(0, 40))
        kind = rng.choice(["application/json", "application/json", "text/plain", "nonsense"])
        arguments: dict[str, object] = {"data": raw, "headers": {"Content-Type": kind}}
        match rng.randint(0, 2):
            case 0:
                yield f"{SYNC}/{rng.choice(entities)}?id={rng.choice(ids)}", arguments
            case 1:
                yield f"/api/notion/{rng.choice(deciding)}", arguments
            case _:
                yield f"/api/notion/conflicts/{rng.choice(numbers)}/resolve", arguments


async def test_the_token_is_nowhere_in_the_log(scene: Scene) -> None:
    assert not any(ADMIN in line for line in scene.service.lines)


async def test_too_many_calls_are_told_when_to_come_again(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN, SYNC_REQUESTS_PER_MINUTE="3") as scene:
            await watch(scene)
            await scene.participant("ana")
            path = f"{SYNC}/participant?id=ana"
            for _ in range(5):
                assert (await scene.call("POST", path))[0] == 401

            let_through = [(await scene.call("POST", f"{SYNC}/participant", token=ADMIN))[0] for _ in range(3)]
            before = await traces(scene)
            status, body, headers = await scene.call("POST", path, token=ADMIN)

            assert let_through == [400, 400, 400]
            assert status == 429
            assert 0 < int(headers["Retry-After"]) <= 60
            assert body["reason"]
            assert await traces(scene) == before
            assert (await scene.call("GET", "/api/notion/status", token=ADMIN))[0] == 200


async def test_without_a_token_set_nobody_may_and_it_is_said_how(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn) as scene:
            await watch(scene)
            before = await traces(scene)
            for method, path in (("POST", f"{SYNC}/participants"), ("GET", "/api/notion/status")):
                status, body, _ = await scene.call(method, path, token=ADMIN)
                assert status == 403
                assert "ADMIN_TOKEN" in body["reason"]
            assert await traces(scene) == before


async def test_while_the_sync_is_disabled_status_says_so_and_nothing_is_marked(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN) as scene:
            await scene.participant("ana")
            env = {**scene.env, "NOTION_SYNC_ENABLED": "false", "REPLICATION_SLOT": "disabled_of_this_file"}
            async with Service(env) as disabled:
                await disabled.line("/readyz")
                other = Scene(dsn, scene.db, scene.sandbox, env, disabled)

                told = await other.call("GET", "/api/notion/status", token=ADMIN)
                refused = await other.call("POST", f"{SYNC}/participant?id=ana", token=ADMIN)

                assert (told[0], told[1]["enabled"]) == (200, False)
                assert refused[0] == 409
                assert "NOTION_SYNC_ENABLED" in refused[1]["reason"]
                assert await disabled.stop() == 0


async def test_an_entity_that_is_switched_off_is_a_conflict_as_one_and_as_all(scene: Scene) -> None:
    env = {**scene.env, "NOTION_SYNC_PARTICIPANTS": "false"}
    async with Service(env) as standby:
        await standby.line("/readyz")
        other = Scene(scene.dsn, scene.db, scene.sandbox, env, standby)

        one = await other.call("POST", f"{SYNC}/participant?id=ana", token=ADMIN)
        every = await other.call("POST", f"{SYNC}/participants", token=ADMIN)

        assert (one[0], every[0]) == (409, 409)
        assert "NOTION_SYNC_PARTICIPANTS" in every[1]["reason"]


async def test_the_command_line_asks_the_same(scene: Scene) -> None:
    before = await marks(scene, "participant", "ana")

    one = await invoke(scene.env, "sync", "participant", "ana")
    every = await invoke(scene.env, "sync", "risk")
    nobody = await invoke(scene.env, "sync", "participant", "nobody")
    switched_off = await invoke(scene.env, "sync", "payment")

    assert (one.code, one.out) == (0, "1 marked.\n")
    assert (await marks(scene, "participant", "ana"))[len(before)] == ASKED
    assert every.code == 0
    assert (nobody.code, switched_off.code) == (2, 2)
    assert "no participant with this id" in nobody.failure
    assert "NOTION_SYNC_PAYMENTS" in switched_off.failure
