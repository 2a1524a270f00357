"""Two tabs, as a newcomer opens them after `make run`: the stand-in's tables, and the dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.chromium import INSTALLING
from tests.browser.screen import on_screen, risk, title
from tests.system.scene import Scene

pytestmark = [pytest.mark.slow, INSTALLING, pytest.mark.asyncio(loop_scope="module")]

# What a control for one line, or for minutes, does not give back as it is
INCIDENT: Final = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
values (%(id)s, 'OTHER', E'one\nand two', '2026-03-05 21:15:30', 'w', now())
"""


@pytest_asyncio.fixture(loop_scope="module")
async def workspace(browser: Browser, scene: Scene) -> AsyncIterator[Page]:
    """The stand-in's page, at the risks."""
    async with on_screen(browser, scene.sandbox.url) as page:
        await page.goto("/sandbox/workspace#Risks")
        await expect(page.get_by_role("heading", name="Risks")).to_be_visible()
        yield page


async def test_a_cell_that_is_edited_changes_the_row(scene: Scene, workspace: Page, page: Page) -> None:
    await risk(scene, "cell", "Before")
    await page.goto("/")

    await workspace.get_by_role("button", name="Title of Before").click()
    await workspace.get_by_role("textbox", name="Title of Before").fill("After")
    await workspace.keyboard.press("Enter")

    await scene.until_true("""select title = 'After' from "Risk" where id = 'cell'""")
    await expect(page.get_by_role("row").filter(has_text="Row updated").filter(has_text="cell")).to_be_visible()
    assert scene.sandbox.people.row(scene.page_id("Risks", "cell"))["last_edited_by"] == "Priya Nair"


async def test_a_row_that_is_changed_changes_the_cell_and_that_is_told(scene: Scene, workspace: Page) -> None:
    await risk(scene, "row", "First")
    await expect(workspace.get_by_role("button", name="Title of First")).to_be_visible()

    await scene.run("""update "Risk" set title = 'Second' where id = 'row'""")

    await expect(workspace.get_by_role("button", name="Title of Second: Second")).to_be_visible()
    await expect(workspace.get_by_role("status")).to_contain_text("Changed: Title of Second")


async def test_an_option_is_chosen_by_keys_alone_and_the_focus_stays(scene: Scene, workspace: Page) -> None:
    await risk(scene, "keys", "Chosen")
    cell = workspace.get_by_role("button", name="Risk Level of Chosen")

    await cell.focus()
    await workspace.keyboard.press("Enter")
    await workspace.get_by_role("combobox", name="Risk Level of Chosen").select_option("HIGH")

    await scene.until_true("""select "riskLevel" = 'HIGH' from "Risk" where id = 'keys'""")
    await expect(cell).to_be_focused()
    await expect(cell).to_contain_text("HIGH")


async def test_escape_leaves_a_cell_as_it_was(scene: Scene, workspace: Page) -> None:
    await risk(scene, "escaped", "Kept")
    cell = workspace.get_by_role("button", name="Title of Kept")
    await cell.click()
    await workspace.keyboard.type("typed by mistake")

    await workspace.keyboard.press("Escape")

    await expect(cell).to_be_focused()
    await expect(cell).to_have_text("Kept")
    assert await title(scene, "escaped") == "Kept"


@pytest.mark.parametrize("name", ["Occurred At", "Description", "Incident Type"])
async def test_a_cell_that_is_left_as_it_was_sends_nothing(scene: Scene, workspace: Page, name: str) -> None:
    await scene.run(INCIDENT, id=f"left {name}")
    await scene.until(lambda: scene.page("Incidents", f"left {name}") is not None)
    await workspace.goto("/sandbox/workspace#Incidents")
    row = workspace.get_by_role("row").filter(has_text=f"left {name}")
    cell = row.get_by_role("button", name=f"{name} of")
    edits: list[str] = []
    workspace.on("request", lambda request: edits.append(request.url) if "/people/edit" in request.url else None)

    await cell.click()
    await workspace.keyboard.press("Enter")
    await cell.click()
    await row.get_by_role("button", name="Status of").click()

    await expect(cell).to_be_visible()
    assert edits == []


async def test_what_is_hostile_is_text(scene: Scene, workspace: Page) -> None:
    hostile = "<img src=x onerror=\"document.title='hacked'\"><script>alert(1)</script>"

    await risk(scene, "hostile", hostile)

    await expect(workspace.get_by_role("button", name="Title of <img")).to_have_text(hostile)
    assert await workspace.locator("tbody img, tbody script").count() == 0
    assert await workspace.title() == "Risks · Notion stand-in"


async def test_an_edit_that_is_put_back_says_why_where_it_was_made(scene: Scene, workspace: Page) -> None:
    await risk(scene, "comment", "Spoken of")

    await workspace.get_by_role("button", name="System ID of Spoken of").click()
    await workspace.keyboard.type("another")
    await workspace.keyboard.press("Enter")

    await workspace.get_by_role("button", name="1 comments on Spoken of").click()
    await expect(workspace.get_by_role("dialog")).to_contain_text("can only be changed there")
    await expect(workspace.get_by_role("button", name="System ID of Spoken of: comment")).to_have_count(1)
