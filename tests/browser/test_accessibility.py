"""Everybody can use it: axe-core finds nothing, Tab reaches everything and shows where it is, small screens suffice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped] # it has no types
from playwright.async_api import Browser, Page, StorageState, expect

from tests.browser.chromium import INSTALLING
from tests.browser.screen import frozen, on_screen, parked
from tests.system.scene import Scene

pytestmark = [pytest.mark.slow, INSTALLING, pytest.mark.asyncio(loop_scope="module")]

PAGES: Final = (
    "/", "/conflicts", "/parked", "/deletes", "/record", "/record?entity=risk&id=both", "/audit",
    "/audit?entity=risk&id=both", "/nothing",
)  # fmt: skip
HELD: Final = """
with link as (
    insert into notion_sync."NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
    values ('Risk', 'held', gen_random_uuid()::text, 'live') returning "notionPageId"
)
insert into notion_sync.deletion (entity, system_id, page_id, group_entity, group_id, deleted_at, state)
select 'risk', 'held', "notionPageId", 'risk', 'held', now(), 'held' from link
"""
NARROW: Final = 320
"""The width at which WCAG (1.4.10, reflow) still asks for one direction of scrolling."""
WHERE: Final = """() => {
    const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
    return {name: it.tagName, shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            seen: box.width > 0 && box.height > 0, end: it === document.body};
}"""
HIDDEN_BEYOND: Final = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
TABBABLE: Final = """[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter(it => it.checkVisibility() && it.type !== 'hidden').length"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def something_of_everything(scene: Scene) -> None:
    """A conflict, parked work and a held delete: pages with nothing on them are easily accessible."""
    await frozen(scene, "both")
    await parked(scene, "refused")
    await scene.run(HELD)


@pytest_asyncio.fixture(params=[False, True], ids=["light", "dark"], loop_scope="module")
async def themed(
    request: pytest.FixtureRequest, browser: Browser, scene: Scene, cookies: StorageState
) -> AsyncIterator[Page]:
    """The dashboard in both schemes of colours."""
    async with on_screen(browser, scene.url(), dark=request.param, cookies=cookies) as page:
        yield page


async def faults_of(page: Page) -> list[str]:
    """Return what axe-core finds, all of its rules."""
    found = await Axe().run(page)
    return [
        f"{page.url} {violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]


async def test_axe_finds_nothing_on_any_page(themed: Page) -> None:
    found = []
    for path in PAGES:
        await themed.goto(path)
        for summary in await themed.locator("summary").all():
            await summary.click()
        found += await faults_of(themed)

    assert found == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_where_strangers_are(browser: Browser, scene: Scene, dark: bool) -> None:
    async with on_screen(browser, scene.url(), dark=dark) as page:
        await page.goto("/")
        found = await faults_of(page)
        await page.get_by_label("Token").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        found += await faults_of(page)

    assert found == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_on_the_stand_in_s_page(browser: Browser, scene: Scene, dark: bool) -> None:
    async with on_screen(browser, scene.sandbox.url, dark=dark) as page:
        await page.goto("/sandbox/workspace#Risks")
        await expect(page.get_by_role("button", name="Category of")).not_to_have_count(0)
        found = await faults_of(page)
        await page.get_by_role("button", name="Risk Level of").first.click()
        found += await faults_of(page)
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="comments on").first.click()
        found += await faults_of(page)

    assert found == []


async def test_tab_reaches_everything_in_order_and_shows_where_it_is(page: Page) -> None:
    for path in PAGES[:-1]:
        await page.goto(path)
        await expect(page.get_by_role("main")).to_be_visible()
        wanted = await page.evaluate(TABBABLE)
        reached = []
        for _ in range(wanted + 1):
            await page.keyboard.press("Tab")
            at = await page.evaluate(WHERE)
            if at["end"]:
                break
            reached.append(at)

        assert len(reached) >= wanted, path
        assert [at for at in reached if not (at["shown"] and at["seen"])] == [], path


async def test_nothing_is_beyond_the_edge_of_a_small_screen(
    browser: Browser, scene: Scene, cookies: StorageState
) -> None:
    beyond = []
    async with on_screen(browser, scene.url(), width=NARROW, cookies=cookies) as page:
        for path in PAGES:
            await page.goto(path)
            if await page.evaluate(HIDDEN_BEYOND):
                beyond.append(path)

    assert beyond == []
