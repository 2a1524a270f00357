"""What the browser tests share: one service that a whole file plays on, and a real Chromium in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, StorageState, expect

from deploy.local.server import PostgresServer
from tests.browser import chromium
from tests.browser.screen import on_screen, signed_in
from tests.system.conftest import copied
from tests.system.desk import ADMIN, subscribe
from tests.system.scene import Scene, staged

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser_dsn(postgres_server: PostgresServer, mapable_template: str) -> Iterator[str]:
    """The URL of an empty MapAble database that the tests of one file share."""
    with copied(postgres_server, mapable_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(browser_dsn: str) -> AsyncIterator[Scene]:
    """A service under manual review that is told of edits at once, before a Notion that refuses what holds BAD."""
    settings = {"NOTION_CONFLICT_STRATEGY": "manual-review", "NOTION_REVERT_GRACE_SECONDS": "0"}
    async with staged(browser_dsn, ADMIN_TOKEN=ADMIN, **settings) as scene:
        await subscribe(scene)
        await scene.unpaced()
        scene.sandbox.faults.script(kind="400", path_pattern="/v1/pages.*", times=None, body_contains="BAD")
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium.started() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cookies(browser: Browser, scene: Scene) -> StorageState:
    """What a browser keeps of having signed in."""
    async with on_screen(browser, scene.url()) as page:
        await signed_in(page)
        return await page.context.storage_state()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, scene: Scene, cookies: StorageState) -> AsyncIterator[Page]:
    """A new browser that is signed in to the dashboard; scripts that fail or are refused fail the test."""
    async with on_screen(browser, scene.url(), cookies=cookies) as page:
        yield page
