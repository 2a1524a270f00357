"""What happens on the screen: pages that are watched for errors, signing in, and what a test brings about there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, StorageState, expect

from tests.system.desk import ADMIN
from tests.system.scene import Scene

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, %(title)s, '', 'LOW', 'Access', '', now())
"""
PARKED: Final = "select exists (select from notion_sync.parked where system_id = %(id)s)"
MOST_TABS: Final = 60


@asynccontextmanager
async def on_screen(
    browser: Browser, url: str, *, dark: bool = False, width: int = 1280, scripts: bool = True,
    cookies: StorageState | None = None,
) -> AsyncIterator[Page]:
    """Give a page of a new profile; scripts that fail, or that the policy refuses, fail the test at the end."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = await browser.new_context(
        base_url=url, color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=scripts,
        reduced_motion="reduce", storage_state=cookies,
    )
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # of an answer like 409 the browser tells, too; whether that is right each test knows
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    try:
        page = await context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
    finally:
        await context.close()
    assert wrong == []


async def signed_in(page: Page) -> None:
    """Sign in with the keyboard, as the page comes: its field has the focus."""
    await page.goto("/")
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.keyboard.type(ADMIN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


async def tabbed_to(page: Page, name: str) -> None:
    """Press Tab until what is called `name` has the focus."""
    target = page.get_by_role("button", name=name, exact=True)
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await target.evaluate("it => it === document.activeElement"):
            return
    raise AssertionError(f"Tab never reaches {name!r}")


async def risk(scene: Scene, system_id: str, title: str = "Old") -> None:
    """Insert a risk and wait for its page."""
    await scene.run(RISK, id=system_id, title=title)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()


async def frozen(scene: Scene, system_id: str) -> None:
    """Let both sides change a risk's title, which opens a conflict."""
    await risk(scene, system_id)
    async with scene.held(("risk", system_id)):
        scene.sandbox.people.edit(scene.page_id("Risks", system_id), {"Title": "Notion's"})
        await scene.run("""update "Risk" set title = 'MapAble''s' where id = %(id)s""", id=system_id)


async def parked(scene: Scene, system_id: str) -> None:
    """Make a risk that Notion refuses, and wait until it is set aside."""
    await scene.run(RISK, id=system_id, title="BAD")
    await scene.until_true(PARKED, id=system_id)


async def title(scene: Scene, system_id: str) -> Any:
    return await scene.value("""select title from "Risk" where id = %(id)s""", id=system_id)
