"""/api/notion/deletes and what may be done about parked work: what waits for a person, and the person's word."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc import holding
from cdc import parking as actions
from cdc.fanout import LOOKUP_KINDS
from cdc.records import deletion_as_json
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard
from cdc.web.selection import selection_of
from sinks.mapping.entities import ENTITIES
from state import deletions, parking
from state.database import Pool

NAMES: Final = frozenset(entity.name for entity in ENTITIES)
PARKED_NAMES: Final = NAMES | LOOKUP_KINDS | {"page"}
ACTOR: Final = "operator"


class Decisions:
    """The endpoints. `on_marked` is called when there is something due."""

    def __init__(self, pool: Pool, guard: Guard, *, on_marked: Callable[[], None]) -> None:
        self._pool = pool
        self._guard = guard
        self._on_marked = on_marked

    def routes(self) -> Routes:
        return (
            web.get("/api/notion/deletes", self._guard.looking(self._deletes)),
            web.post("/api/notion/deletes/approve", self._guard.looking(self._approve)),
            web.post("/api/notion/deletes/reject", self._guard.looking(self._reject)),
            web.post("/api/notion/parked/retry", self._guard.looking(self._retry)),
            web.post("/api/notion/parked/drop", self._guard.looking(self._drop)),
        )

    async def _deletes(self, request: web.Request) -> web.Response:
        entity, most = queries.text(request, "entity"), queries.limit(request)
        if entity is not None and entity not in NAMES:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"entity is one of {', '.join(sorted(NAMES))}")
        async with self._pool.connection() as conn:
            found = await deletions.held(conn, entity=entity, limit=most)
            total = await deletions.count_held(conn)
        return web.json_response({"deletes": [deletion_as_json(item) for item in found], "held": total})

    async def _approve(self, request: web.Request) -> web.Response:
        meant = await selection_of(request, NAMES)
        async with self._pool.connection() as conn:
            named = await deletions.held(conn, entity=meant.entity, ids=meant.ids)
            decided = await holding.approve(conn, named, ACTOR)
        self._on_marked()
        return web.json_response({"approved": len(decided)})

    async def _reject(self, request: web.Request) -> web.Response:
        meant = await selection_of(request, NAMES)
        async with self._pool.connection() as conn:
            named = await deletions.held(conn, entity=meant.entity, ids=meant.ids)
            decided = await holding.reject(conn, named, ACTOR)
        return web.json_response({"rejected": len(decided)})

    async def _retry(self, request: web.Request) -> web.Response:
        meant = await selection_of(request, PARKED_NAMES)
        async with self._pool.connection() as conn:
            named = await parking.named(conn, entity=meant.entity, ids=meant.ids)
            retried = await actions.retry(conn, named, ACTOR)
        self._on_marked()
        return web.json_response({"retried": len(retried)})

    async def _drop(self, request: web.Request) -> web.Response:
        meant = await selection_of(request, PARKED_NAMES)
        async with self._pool.connection() as conn:
            named = await parking.named(conn, entity=meant.entity, ids=meant.ids)
            dropped = await actions.drop(conn, named, ACTOR)
        return web.json_response({"dropped": len(dropped)})
