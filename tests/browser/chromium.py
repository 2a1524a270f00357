"""Chromium: the one that is here, or Debian's, installed where that may be done without asking."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

from deploy.local import apt
from deploy.local.commands import LocalError
from deploy.local.postgres import REPOSITORY

LOCK: Final = REPOSITORY / ".local" / "chromium.lock"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# nothing of it may reach out; no graphics card is at hand where tests run
ARGUMENTS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

INSTALLING: Final = pytest.mark.timeout(600)
"""The first test of all may have to install the browser."""


def chromium() -> str:
    """Return the browser's path; skips the test, and says what could not run, without one."""
    # one at a time: half of a package that another worker is just installing starts nothing
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _found_or_installed()


def _found_or_installed() -> str:
    if (found := _here()) is not None:
        return found
    if apt.available():
        try:
            apt.update()
            apt.install("chromium")
        except LocalError as error:
            pytest.skip(f"chromium could not be installed, so this was not tried: {error}")
        if (found := _here()) is not None:
            return found
    pytest.skip("there is no chromium here, so this was not tried: sudo apt-get install chromium")


def _here() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path is not None), None)


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """Start a headless browser with a profile of its own."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
