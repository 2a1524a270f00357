"""Somebody at the dashboard without JavaScript: keeps cookies, follows nothing, and sends the forms of pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.system.desk import ADMIN
from tests.system.scene import Scene

HTML: Final = {"Accept": "text/html"}
_TOKEN: Final = re.compile(r'name="form_token" value="([^"]+)"')
_TAG: Final = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Seen:
    """An answer as a browser gets it."""

    status: int
    html: str
    headers: Mapping[str, str]
    cookies: Mapping[str, Any]

    @property
    def text(self) -> str:
        """What stands on the page."""
        return " ".join(unescape(_TAG.sub(" ", self.html)).split())

    @property
    def form_token(self) -> str:
        found = _TOKEN.search(self.html)
        assert found is not None, self.html
        return found[1]


class Visitor:
    """One browser."""

    def __init__(self, url: str, headers: Mapping[str, str] = HTML) -> None:
        self._session = aiohttp.ClientSession(
            url, headers=dict(headers), cookie_jar=aiohttp.CookieJar(unsafe=True), raise_for_status=False
        )
        self.form_token = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **arguments: Any) -> Seen:
        """Load a page."""
        return await self._ask("GET", path, **arguments)

    async def post(self, path: str, **fields: str) -> Seen:
        """Send a form with the token of the last page that had one."""
        return await self.send(path, fields)

    async def send(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Seen:
        """Send a form with headers of one's own."""
        return await self._ask("POST", path, data={"form_token": self.form_token, **fields}, headers=headers)

    async def sent(self, path: str, **fields: str) -> Seen:
        """Send a form that is followed, and go where it leads."""
        seen = await self.post(path, **fields)
        assert seen.status == 303, seen.text
        return await self.get(seen.headers["Location"])

    async def sign_in(self, token: str = ADMIN, **fields: str) -> Seen:
        """Load the form, and send it."""
        await self.get("/sign-in")
        seen = await self.post("/sign-in", token=token, **fields)
        await self.get("/")
        return seen

    async def _ask(self, method: str, path: str, **arguments: Any) -> Seen:
        async with self._session.request(method, path, allow_redirects=False, **arguments) as answer:
            seen = Seen(answer.status, await answer.text(), answer.headers, answer.cookies)
        if 'name="form_token"' in seen.html:
            self.form_token = seen.form_token
        return seen


@asynccontextmanager
async def visiting(scene: Scene, *, signed_in: bool = True) -> AsyncIterator[Visitor]:
    """Give a visitor."""
    async with Visitor(scene.url()) as visitor:
        if signed_in:
            assert (await visitor.sign_in()).status == 303
        yield visitor
