"""/api/notion/conflicts: what people have to decide, and their decisions, each on what they saw."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from cdc.operate.orders import Declined, Orders
from cdc.operate.records import conflict_as_json
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard
from cdc.web.bodies import parsed, raw_body, require_json
from cdc.web.sync import STATUS
from state import conflicts
from state.database import Pool

STATES: Final = {
    "open": conflicts.UNDECIDED, "closed": conflicts.CLOSED, "all": (*conflicts.UNDECIDED, *conflicts.CLOSED),
}


class _Decision(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    choice: str
    version: int
    value: Any = None


class Conflicts:
    """The endpoints. `on_marked` is called when there is something due."""

    def __init__(self, pool: Pool, orders: Orders, guard: Guard, *, on_marked: Callable[[], None]) -> None:
        self._pool = pool
        self._orders = orders
        self._guard = guard
        self._on_marked = on_marked

    def routes(self) -> Routes:
        return (
            web.get("/api/notion/conflicts", self._guard.looking(self._listed)),
            web.post(r"/api/notion/conflicts/{id:[0-9]{1,18}}/resolve", self._guard.looking(self._resolve)),
        )

    async def _listed(self, request: web.Request) -> web.Response:
        state = queries.one(request, "status") or "open"
        if state not in STATES:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"status is one of {', '.join(STATES)}")
        most, after = queries.limit(request), queries.number(request, "after") or 0
        async with self._pool.connection() as conn:
            found = await conflicts.listed(conn, STATES[state], limit=most, after=after)
        return web.json_response(
            {
                "conflicts": [conflict_as_json(conflict) for conflict in found],
                "next": found[-1].id if len(found) == most else None,
            }
        )

    async def _resolve(self, request: web.Request) -> web.Response:
        raw = await raw_body(request)
        require_json(request)
        try:
            decision = parsed(_Decision, raw)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        if not 0 < decision.version < 2**31:
            raise Refusal(HTTPStatus.BAD_REQUEST, "version is the one that was seen")
        if decision.choice == "value" and "value" not in decision.model_fields_set:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the choice is a value, and there is none")
        try:
            decided = await self._orders.decide(
                int(request.match_info["id"]), decision.version, decision.choice, decision.value
            )
        except Declined as declined:
            more = {"conflict": conflict_as_json(declined.conflict)} if declined.conflict is not None else {}
            raise Refusal(STATUS[declined.why], str(declined), **more) from None
        self._on_marked()
        return web.json_response(conflict_as_json(decided))
