"""An operator at a real browser: sees changes arrive, decides conflicts by mouse and by keys, has work tried again."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.chromium import INSTALLING
from tests.browser.screen import PARKED, frozen, on_screen, parked, risk, signed_in, tabbed_to, title
from tests.system.scene import Scene

pytestmark = [pytest.mark.slow, INSTALLING, pytest.mark.asyncio(loop_scope="module")]


async def test_a_change_is_seen_to_arrive_without_loading_the_page_anew(scene: Scene, page: Page) -> None:
    await risk(scene, "watched")
    await page.goto("/")
    await page.evaluate("window.sameDocument = true")

    await scene.run("""update "Risk" set title = 'New' where id = 'watched'""")

    line = page.get_by_role("row").filter(has_text="Page updated").filter(has_text="watched")
    await expect(line).to_be_visible()
    assert await page.evaluate("window.sameDocument")


async def test_what_comes_to_wait_is_announced_and_counted(scene: Scene, page: Page) -> None:
    await page.goto("/")

    await parked(scene, "announced")

    await expect(page.locator("#live-state")).to_contain_text("for a person")
    await expect(page.get_by_role("link", name="Parked work 1 waiting")).to_be_visible()


async def test_what_has_the_focus_stays_where_it_is(scene: Scene, page: Page) -> None:
    await risk(scene, "held on to")
    await page.goto("/")
    link = page.get_by_role("link", name="risk held on to").first
    await link.focus()
    figures = page.get_by_role("row", name="Risks")
    before = await figures.inner_text()

    await risk(scene, "another")

    await expect(figures).not_to_have_text(before)
    await expect(link).to_be_focused()


async def test_updates_can_be_paused(scene: Scene, page: Page) -> None:
    await page.clock.install()
    await page.goto("/")
    switch = page.get_by_role("button", name="Pause updates")
    await switch.click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await risk(scene, "unseen")
    await page.clock.run_for(20_000)
    while_paused = list(asked)
    await switch.click()

    await expect(page.get_by_role("link", name="risk unseen").first).to_be_visible()
    assert while_paused == []
    assert len(asked) == 1


@pytest.mark.parametrize("path", ["/conflicts", "/parked", "/deletes", "/record?entity=risk&id=x", "/audit"])
async def test_a_page_that_may_show_values_is_asked_for_once(page: Page, path: str) -> None:
    await page.clock.install()
    await page.goto(path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.clock.run_for(20_000)

    await expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    assert page.url not in asked


async def test_a_conflict_is_decided_by_mouse(scene: Scene, page: Page) -> None:
    await frozen(scene, "by-mouse")
    await page.goto("/")

    await page.get_by_role("link", name="Look at the conflicts").click()
    card = page.get_by_role("article").filter(has_text="by-mouse")
    await expect(card).to_contain_text("MapAble's")
    await card.get_by_role("button", name="Keep MapAble's").click()

    await expect(page.get_by_text("Noted. The choice is carried out in a moment.")).to_be_focused()
    await scene.until(lambda: scene.shows("Risks", "by-mouse", Title="MapAble's"))
    await scene.settled()
    assert await title(scene, "by-mouse") == "MapAble's"


async def test_a_conflict_is_decided_by_tab_and_enter_alone(scene: Scene, page: Page) -> None:
    await frozen(scene, "by-keys")
    await page.goto("/conflicts")

    await tabbed_to(page, "Keep Notion's for Title of risk by-keys")
    await page.keyboard.press("Enter")

    await expect(page.get_by_text("Noted. The choice is carried out in a moment.")).to_be_focused()
    await scene.settled()
    assert await title(scene, "by-keys") == "Notion's"


async def test_a_third_value_is_typed_by_keys_alone(scene: Scene, page: Page) -> None:
    await frozen(scene, "third")
    await page.goto("/conflicts")
    card = page.get_by_role("article").filter(has_text="third")

    await card.get_by_text("Write another value").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Control+a")
    await page.keyboard.type("A third")
    await tabbed_to(page, "Use this for both sides of Title of risk third")
    await page.keyboard.press("Enter")

    await scene.until(lambda: scene.shows("Risks", "third", Title="A third"))
    await scene.settled()
    assert await title(scene, "third") == "A third"


async def test_who_decides_on_what_has_moved_sees_what_it_is_now(scene: Scene, page: Page) -> None:
    await frozen(scene, "moved")
    await page.goto("/conflicts")
    await scene.run("""update "Risk" set title = 'Later' where id = 'moved'""")
    await scene.settled()

    card = page.get_by_role("article").filter(has_text="moved")
    await card.get_by_role("button", name="Keep MapAble's").click()

    await expect(page.get_by_role("alert")).to_contain_text("look at it again")
    await expect(page.get_by_role("article").filter(has_text="moved")).to_contain_text("Later")
    await expect(page.get_by_role("link", name="Conflicts")).to_have_attribute("aria-current", "page")


async def test_parked_work_is_tried_again(scene: Scene, page: Page) -> None:
    await parked(scene, "mended")
    await page.goto("/parked")
    scene.sandbox.faults.clear()

    await page.get_by_role("button", name="Try again risk mended", exact=True).click()

    await expect(page.get_by_text("1 record will be tried again in a moment.")).to_be_visible()
    await scene.until(lambda: scene.page("Risks", "mended") is not None)
    await scene.settled()
    assert not await scene.value(PARKED, id="mended")


async def test_without_scripts_everything_is_there(scene: Scene, browser: Browser) -> None:
    await frozen(scene, "no-scripts")
    async with on_screen(browser, scene.url(), scripts=False) as page:
        await signed_in(page)
        await page.get_by_role("link", name="Look at the conflicts").click()
        card = page.get_by_role("article").filter(has_text="no-scripts")
        await card.get_by_role("button", name="Keep Notion's").click()

        await expect(page.get_by_text("Noted.")).to_be_visible()
        await expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)

    await scene.settled()
    assert await title(scene, "no-scripts") == "Notion's"


async def test_whoever_is_signed_out_meanwhile_is_told(scene: Scene, page: Page) -> None:
    await page.goto("/")

    await page.context.clear_cookies()

    await expect(page.locator("#live-state")).to_contain_text("You are signed out")
