"""Who may see the dashboard, and what its answers allow browsers to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.server import PostgresServer
from tests.system.conftest import copied
from tests.system.desk import ADMIN, traces, watch
from tests.system.scene import Scene, staged
from tests.system.visitor import HTML, Visitor, visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = ("/", "/conflicts", "/parked", "/deletes", "/record", "/record?entity=risk&id=x", "/audit")
FORMS = (
    "/conflicts/1/resolve", "/parked/retry", "/parked/drop", "/deletes/approve", "/deletes/reject", "/record/sync",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """A service with an operator."""
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN) as scene:
        await watch(scene)
        yield scene


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_is_sent_to_sign_in_and_from_there_back(scene: Scene, path: str) -> None:
    async with visiting(scene, signed_in=False) as stranger:
        sent = await stranger.get(path)
        form = await stranger.get(sent.headers["Location"])
        back = await stranger.post("/sign-in", token=ADMIN, next=path)
        there = await stranger.get(back.headers["Location"])

    assert (sent.status, form.status, back.status, there.status) == (303, 200, 303, 200)
    assert sent.headers["Location"].startswith("/sign-in?next=")
    assert back.headers["Location"] == path


async def test_the_session_s_cookie_is_for_this_site_and_no_script(scene: Scene) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        seen = await visitor.sign_in()

    cookie = seen.cookies["mapable-cdc"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Strict", "/", "")
    assert 0 < int(cookie["max-age"]) <= 24 * 3600
    assert ADMIN not in cookie.value


@pytest.mark.parametrize("proto", ["https", "HTTPS", "https, http"])
async def test_behind_https_no_cookie_goes_over_plain_http(scene: Scene, proto: str) -> None:
    # by hand: what keeps cookies for a plain address keeps none of these
    async with Visitor(scene.url(), {**HTML, "X-Forwarded-Proto": proto}) as visitor:
        form = await visitor.get("/sign-in")
        kept = {"Cookie": f"__Host-mapable-cdc-visitor={form.form_token}"}
        seen = await visitor.send("/sign-in", {"token": ADMIN}, kept)
        kept = {"Cookie": f"__Host-mapable-cdc={seen.cookies['__Host-mapable-cdc'].value}"}
        page = await visitor.get("/", headers=kept)
        out = await visitor.send("/sign-out", {}, kept)

    assert (form.status, seen.status, page.status, out.status) == (200, 303, 200, 303)
    for answer in (form, seen, out):
        for name, cookie in answer.cookies.items():
            assert name.startswith("__Host-")
            assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert out.cookies["__Host-mapable-cdc"].value == ""


@pytest.mark.parametrize("token", ["", "guessed", ADMIN[:-1], ADMIN + "x", ADMIN.upper(), "ünïcode", "\x00"])
async def test_another_token_opens_nothing(scene: Scene, token: str) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        await visitor.get("/sign-in")
        seen = await visitor.post("/sign-in", token=token)
        page = await visitor.get("/")

    assert (seen.status, page.status) == (401, 303)
    assert "mapable-cdc" not in seen.cookies
    assert "That is not the token" in seen.text
    assert token not in seen.html or token == ""


@pytest.mark.parametrize(
    "cookie", ["", "x", "a.1.b", "abc.99999999999." + "0" * 64, "é", "a" * 5000, "abc.99999999999.\u0660" + "0" * 63]
)
async def test_a_cookie_of_somebody_s_own_making_is_none(scene: Scene, cookie: str) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        seen = await visitor.get("/", headers={"Cookie": f"mapable-cdc={cookie}"})

    assert seen.status == 303


async def test_who_signed_out_is_out_with_any_copy_of_the_cookie(scene: Scene) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        kept = (await visitor.sign_in()).cookies["mapable-cdc"].value
        out = await visitor.post("/sign-out")
        page = await visitor.get("/")
        copied_cookie = await visitor.get("/", headers={"Cookie": f"mapable-cdc={kept}"})

    assert (out.status, page.status, copied_cookie.status) == (303, 303, 303)
    assert out.cookies["mapable-cdc"].value == ""


@pytest.mark.parametrize("path", [*FORMS, "/sign-out"])
async def test_a_form_without_the_session_s_token_is_refused(scene: Scene, path: str) -> None:
    fields = {"all": "true", "version": "1", "choice": "mapable", "entity": "risk", "id": "x"}
    async with visiting(scene) as visitor, visiting(scene) as other:
        before = await traces(scene)
        ours = visitor.form_token
        visitor.form_token = ""
        without = await visitor.post(path, **fields)
        visitor.form_token = other.form_token
        another_s = await visitor.post(path, **fields)
        visitor.form_token = "é"
        odd = await visitor.post(path, **fields)
        still = await visitor.get("/")

    assert (without.status, another_s.status, odd.status, still.status) == (403, 403, 403, 200)
    assert ours != other.form_token
    assert await traces(scene) == before


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_a_stranger_is_refused(scene: Scene, path: str) -> None:
    async with visiting(scene, signed_in=False) as stranger:
        before = await traces(scene)
        seen = await stranger.post(path, all="true", version="1", choice="mapable", entity="risk", id="x")

    assert (seen.status, seen.headers["Location"]) == (303, "/sign-in")
    assert await traces(scene) == before


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
)
async def test_signing_in_leads_nowhere_else(scene: Scene, elsewhere: str) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        seen = await visitor.sign_in(next=elsewhere)

    assert (seen.status, seen.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/nothing", "/static/dashboard.css", "/static/nothing", "/healthz", "/metrics",
             "/api/notion/status", "/api/notion/nothing"],
)
async def test_every_answer_forbids_what_no_page_of_ours_needs(scene: Scene, path: str) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        seen = await visitor.get(path)

    policy = seen.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "data:" not in policy
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert seen.headers["X-Frame-Options"] == "DENY"
    assert seen.headers["Cache-Control"] == "no-store"
    assert "aiohttp" not in seen.headers["Server"]


@pytest.mark.parametrize("path", ["/nothing", "/conflicts/x", "/static/../dashboard.py", "/static/%2e%2e/pages.py"])
async def test_what_is_not_there_is_said_on_a_page(scene: Scene, path: str) -> None:
    async with visiting(scene) as visitor:
        seen = await visitor.get(path)
        as_program = await visitor.get(path, headers={"Accept": "*/*"})

    assert (seen.status, as_program.status) == (404, 404)
    assert "<h1>Not Found</h1>" in seen.html
    assert as_program.headers["Content-Type"].startswith("application/json")


async def test_neither_token_nor_session_is_in_the_log(scene: Scene) -> None:
    async with visiting(scene, signed_in=False) as visitor:
        kept = (await visitor.sign_in()).cookies["mapable-cdc"].value
        await scene.service.event("session.began")

    log = "\n".join(scene.service.lines)
    assert ADMIN not in log
    assert kept not in log


async def test_the_scripts_and_styles_are_files_of_ours(scene: Scene) -> None:
    async with visiting(scene) as visitor:
        pages = [(await visitor.get(path)).html for path in PAGES]

    for html in pages:
        assert "<style" not in html
        assert " style=" not in html
        assert " onclick" not in html
        assert html.count("<script") == html.count('<script src="/static/') == 1


async def test_whoever_guesses_is_stopped_and_nobody_who_knows_the_token_is_kept_out(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN) as scene, visiting(scene) as inside, Visitor(scene.url()) as guesser:
            await guesser.get("/sign-in")
            wrong = [await guesser.post("/sign-in", token=f"guess {number}") for number in range(12)]
            right = await guesser.post("/sign-in", token=ADMIN)
            page = await inside.get("/")

            assert [each.status for each in wrong] == [401] * 10 + [429] * 2
            assert 0 < int(wrong[-1].headers["Retry-After"]) <= 60
            assert "the right one opens" in wrong[-1].text
            assert right.status == 303
            assert page.status == 200


async def test_without_a_token_set_the_dashboard_is_closed_and_says_what_to_set(
    postgres_server: PostgresServer, mapable_template: str
) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn) as scene, Visitor(scene.url()) as visitor:
            seen = [await visitor.get(path) for path in (*PAGES, "/sign-in")]
            sent = await visitor.post("/sign-in", token="")

            assert {each.status for each in (*seen, sent)} == {403}
            assert all("ADMIN_TOKEN is not set" in each.text for each in (*seen, sent))


async def test_another_token_ends_every_session(postgres_server: PostgresServer, mapable_template: str) -> None:
    with copied(postgres_server, mapable_template) as dsn:
        async with staged(dsn, ADMIN_TOKEN=ADMIN) as scene:
            async with visiting(scene, signed_in=False) as visitor:
                cookie = (await visitor.sign_in()).cookies["mapable-cdc"].value
            async with scene.down(ADMIN_TOKEN="another-long-token"):
                pass
            async with visiting(scene, signed_in=False) as visitor:
                seen = await visitor.get("/", headers={"Cookie": f"mapable-cdc={cookie}"})

            assert seen.status == 303
