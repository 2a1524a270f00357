"""/api/notion/deletes: deletes that are held, and what a person says about them. Who may ask is decided around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from cdc.cli.deletes_view import deletion_as_json
from cdc.reconcile import holding
from cdc.web.selection import Unreadable, listing_of, refused, selection_of
from sinks.mapping.entities import ENTITIES
from state import deletions
from state.database import Connection, Pool
from state.deletions import Deletion

POOL: Final = web.AppKey("deletes_pool", Pool)
"""The sidecar, set by whoever registers the handlers."""

NAMES: Final = frozenset(entity.name for entity in ENTITIES)
ACTOR: Final = "operator"

Decide = Callable[[Connection, Sequence[Deletion], str], Awaitable[tuple[Deletion, ...]]]


async def listed(request: web.Request) -> web.Response:
    """GET /api/notion/deletes?entity=&limit="""
    try:
        entity, limit = listing_of(request, NAMES)
    except Unreadable as error:
        return refused(error)
    async with request.app[POOL].connection() as conn:
        found = await deletions.held(conn, entity=entity, limit=limit)
        total = await deletions.count_held(conn)
    return web.json_response({"deletes": [deletion_as_json(item) for item in found], "held": total})


async def approve(request: web.Request) -> web.Response:
    """POST /api/notion/deletes/approve; see `selection` for the body."""
    return await _decided(request, holding.approve, "approved")


async def reject(request: web.Request) -> web.Response:
    """POST /api/notion/deletes/reject; see `selection` for the body."""
    return await _decided(request, holding.reject, "rejected")


async def _decided(request: web.Request, decide: Decide, name: str) -> web.Response:
    try:
        meant = await selection_of(request, NAMES)
    except Unreadable as error:
        return refused(error)
    async with request.app[POOL].connection() as conn:
        decided = await decide(conn, await deletions.held(conn, entity=meant.entity, ids=meant.ids), ACTOR)
    return web.json_response({name: len(decided)})
