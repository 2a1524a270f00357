"""Does it live, is it ready, what does it measure: asked by machines, answered to everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from cdc.web.application import Routes

Readiness = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
"""Returns (ready, what to tell)."""

Render = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Probes:
    """What the endpoints ask."""

    readiness: Readiness
    metrics: Render

    def routes(self) -> Routes:
        return (
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready, told = await self.readiness()
        return web.json_response(dict(told), status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        body = await self.metrics()
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
