"""GET /api/notion/audit: what was done, to whom and by whom."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from cdc.operate.records import line_as_json
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard
from state import audit
from state.database import Pool


class Audit:
    """The endpoint."""

    def __init__(self, pool: Pool, guard: Guard) -> None:
        self._pool = pool
        self._guard = guard

    def routes(self) -> Routes:
        return (web.get("/api/notion/audit", self._guard.looking(self._audit)),)

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
