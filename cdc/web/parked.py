"""/api/notion/parked: work that was set aside, tried again or dropped. Who may ask is decided around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from cdc.operate import parking as actions
from cdc.web.selection import Unreadable, listing_of, refused, selection_of
from state import parking
from state.database import Connection, Pool
from state.work import Parked

POOL: Final = web.AppKey("parked_pool", Pool)
"""The sidecar, set by whoever registers the handlers."""

ACTOR: Final = "operator"

Act = Callable[[Connection, Sequence[Parked], str], Awaitable[tuple[Parked, ...]]]


async def listed(request: web.Request) -> web.Response:
    """GET /api/notion/parked?entity=&limit="""
    try:
        entity, limit = listing_of(request, actions.NAMES)
    except Unreadable as error:
        return refused(error)
    async with request.app[POOL].connection() as conn:
        found = await parking.named(conn, entity=entity, limit=limit)
    return web.json_response(
        {
            "parked": [
                {
                    "entity": item.entity, "systemId": item.system_id, "reason": item.reason, "message": item.message,
                    "attempts": item.attempts, "parkedAt": item.parked_at.isoformat(timespec="milliseconds"),
                }
                for item in found
            ]
        }
    )


async def retry(request: web.Request) -> web.Response:
    """POST /api/notion/parked/retry; see `selection` for the body."""
    return await _acted(request, actions.retry, "retried")


async def drop(request: web.Request) -> web.Response:
    """POST /api/notion/parked/drop; see `selection` for the body."""
    return await _acted(request, actions.drop, "dropped")


async def _acted(request: web.Request, act: Act, name: str) -> web.Response:
    try:
        meant = await selection_of(request, actions.NAMES)
    except Unreadable as error:
        return refused(error)
    async with request.app[POOL].connection() as conn:
        done = await act(conn, await parking.named(conn, entity=meant.entity, ids=meant.ids), ACTOR)
    return web.json_response({name: len(done)})
