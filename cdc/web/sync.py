"""POST /api/notion/sync/…: an operator asks for one record, or for all participants, to be compared now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc.operate.orders import Declined, Orders, Why
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard

STATUS: Final = {
    Why.INVALID: HTTPStatus.BAD_REQUEST,
    Why.UNKNOWN: HTTPStatus.NOT_FOUND,
    Why.OFF: HTTPStatus.CONFLICT,
    Why.MOVED: HTTPStatus.CONFLICT,
}


class Sync:
    """The endpoints. `on_marked` is called when there is something due."""

    def __init__(self, orders: Orders, guard: Guard, *, on_marked: Callable[[], None]) -> None:
        self._orders = orders
        self._guard = guard
        self._on_marked = on_marked

    def routes(self) -> Routes:
        return (
            web.post("/api/notion/sync/participants", self._guard.ordering(self._all)),
            web.post("/api/notion/sync/{entity}", self._guard.ordering(self._one)),
        )

    async def _all(self, request: web.Request) -> web.Response:
        if "id" in request.query:
            raise Refusal(HTTPStatus.BAD_REQUEST, "for one of them it is POST /api/notion/sync/participant?id=…")
        return await self._accepted(self._orders.sync_all("participant"))

    async def _one(self, request: web.Request) -> web.Response:
        system_id = queries.one(request, "id")
        if system_id is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "which one? ?id=… is expected")
        return await self._accepted(self._orders.sync(request.match_info["entity"], system_id))

    async def _accepted(self, order: Awaitable[int]) -> web.Response:
        try:
            marked = await order
        except Declined as declined:
            raise Refusal(STATUS[declined.why], str(declined)) from None
        self._on_marked()
        return web.json_response({"marked": marked}, status=HTTPStatus.ACCEPTED)
