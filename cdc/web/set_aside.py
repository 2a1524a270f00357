"""/api/notion/parked and /api/notion/deletes: what was set aside until a person decides about it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from aiohttp import web

from cdc.operate import parking as actions
from cdc.operate.deciding import Decide, Find, T
from cdc.operate.records import deletion_as_json, parked_as_json, time_as_json
from cdc.reconcile import holding
from cdc.web.application import Handler, Routes
from cdc.web.auth import Guard
from cdc.web.selection import listing_of, selection_of
from sinks.mapping.entities import ENTITIES
from state import audit, deletions, parking
from state.database import Pool
from state.deletions import Deletion
from state.work import Parked

HELD: Final = frozenset(entity.name for entity in ENTITIES)


class SetAside:
    """The endpoints. `on_marked` is called when there is something due."""

    def __init__(self, pool: Pool, guard: Guard, *, on_marked: Callable[[], None]) -> None:
        self._pool = pool
        self._guard = guard
        self._on_marked = on_marked

    def routes(self) -> Routes:
        return (
            web.get("/api/notion/parked", self._guard.looking(self._parked)),
            web.post("/api/notion/parked/retry", self._parked_decided(actions.retry, "retried")),
            web.post("/api/notion/parked/drop", self._parked_decided(actions.drop, "dropped")),
            web.get("/api/notion/deletes", self._guard.looking(self._deletes)),
            web.post("/api/notion/deletes/approve", self._deletes_decided(holding.approve, "approved")),
            web.post("/api/notion/deletes/reject", self._deletes_decided(holding.reject, "rejected")),
        )

    async def _parked(self, request: web.Request) -> web.Response:
        entity, limit = listing_of(request, actions.NAMES)
        async with self._pool.connection() as conn:
            found = await parking.named(conn, entity=entity, limit=limit)
        told = [{**parked_as_json(item), "parkedAt": time_as_json(item.parked_at)} for item in found]
        return web.json_response({"parked": told})

    async def _deletes(self, request: web.Request) -> web.Response:
        entity, limit = listing_of(request, HELD)
        async with self._pool.connection() as conn:
            found = await deletions.held(conn, entity=entity, limit=limit)
            total = await deletions.count_held(conn)
        return web.json_response({"deletes": [deletion_as_json(item) for item in found], "held": total})

    def _parked_decided(self, decide: Decide[Parked], done: str) -> Handler:
        return self._decided(parking.named, actions.NAMES, decide, done)

    def _deletes_decided(self, decide: Decide[Deletion], done: str) -> Handler:
        return self._decided(deletions.held, HELD, decide, done)

    def _decided(self, find: Find[T], names: Collection[str], decide: Decide[T], done: str) -> Handler:
        """Return the handler of a body (see `selection`) that decides about what it names."""

        async def handler(request: web.Request) -> web.Response:
            meant = await selection_of(request, names)
            async with self._pool.connection() as conn:
                decided = await decide(conn, await find(conn, entity=meant.entity, ids=meant.ids), audit.OPERATOR)
            self._on_marked()
            return web.json_response({done: len(decided)})

        return self._guard.looking(handler)
