"""The dashboard as a whole: its pages, its files, and how a browser is told that something is not done."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from cdc.app import Parts
from cdc.operate.orders import Orders
from cdc.shared import Shared
from cdc.web.answers import REASON
from cdc.web.application import Handler, Routes
from cdc.web.auth import Guard, now_s
from cdc.web.dashboard.audit import AuditPage
from cdc.web.dashboard.conflicts import ConflictPages
from cdc.web.dashboard.door import Door
from cdc.web.dashboard.front import Front
from cdc.web.dashboard.overview import OverviewPage
from cdc.web.dashboard.pages import STATIC, Pages
from cdc.web.dashboard.record import RecordPage
from cdc.web.dashboard.setaside import SetAsidePages
from cdc.web.status import Overview

MACHINES: Final = ("/api/", "/healthz", "/readyz", "/metrics")
"""What programs ask: they are answered in JSON, whatever they say that they accept."""


class Dashboard:
    """The pages. `on_marked` is called when there is something due."""

    def __init__(
        self, parts: Parts, orders: Orders, overview: Overview, guard: Guard, *, on_marked: Callable[[], None]
    ) -> None:
        settings = parts.settings
        self._pages = Pages(settings.zone)
        self._door = Door(settings.admin_token, self._pages)
        front = Front(self._door, self._pages, parts.pool)
        shared = Shared(overview, now_s)
        self._rooms = (
            OverviewPage(parts, shared, front),
            ConflictPages(parts.pool, orders, front, settings.zone, on_marked=on_marked),
            SetAsidePages(parts.pool, front, on_marked=on_marked),
            RecordPage(parts, orders, shared, front, guard, on_marked=on_marked),
            AuditPage(parts.pool, front),
        )

    def routes(self) -> Routes:
        return (
            *self._door.routes(),
            *(route for room in self._rooms for route in room.routes()),
            web.static("/static", STATIC),
        )

    def middleware(self) -> Middleware:
        """Return what makes a page of a refusal, for a browser that asked for a page."""

        @web.middleware
        async def in_html(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            reason = answer.get(REASON)
            if reason is None or request.path.startswith(MACHINES) or "text/html" not in request.headers.get(
                "Accept", ""
            ):
                return answer
            status = HTTPStatus(answer.status)
            kept = {name: answer.headers[name] for name in ("Retry-After", "Allow") if name in answer.headers}
            return self._pages.answer("failure.html", status=status, headers=kept, title=status.phrase, reason=reason)

        return in_html
