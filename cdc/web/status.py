"""GET /api/notion/status: where the sync stands, as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from cdc.web.application import Routes
from cdc.web.auth import Guard

Overview = Callable[[], Awaitable[Mapping[str, Any]]]


class Status:
    """The endpoint."""

    def __init__(self, overview: Overview, guard: Guard) -> None:
        self._overview = overview
        self._guard = guard

    def routes(self) -> Routes:
        return (web.get("/api/notion/status", self._guard.looking(self._status)),)

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(dict(await self._overview()))
