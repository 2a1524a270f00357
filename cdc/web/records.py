"""GET /api/notion/audit and /api/notion/parked: what was done, and what could not be."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from cdc.records import line_as_json, parked_as_json
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard
from state import audit
from state.database import Pool
from state.work import WorkQueue


class Records:
    """The endpoints."""

    def __init__(self, pool: Pool, queue: WorkQueue, guard: Guard) -> None:
        self._pool = pool
        self._queue = queue
        self._guard = guard

    def routes(self) -> Routes:
        return (
            web.get("/api/notion/audit", self._guard.looking(self._audit)),
            web.get("/api/notion/parked", self._guard.looking(self._parked)),
        )

    async def _audit(self, request: web.Request) -> web.Response:
        person, entity = queries.text(request, "person"), queries.text(request, "entity")
        system_id, most = queries.text(request, "id"), queries.limit(request)
        before = queries.number(request, "before")
        if system_id is not None and entity is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "an id is one of an entity: entity=…&id=… is expected")
        async with self._pool.connection() as conn:
            lines = await audit.listed(
                conn, person=person, entity=entity, system_id=system_id, before=before, limit=most
            )
        return web.json_response(
            {
                "lines": [line_as_json(line) for line in lines],
                "next": lines[-1].id if len(lines) == most else None,
            }
        )

    async def _parked(self, request: web.Request) -> web.Response:
        found = await self._queue.parked(queries.text(request, "entity"), queries.limit(request))
        return web.json_response({"parked": [parked_as_json(item) for item in found]})
