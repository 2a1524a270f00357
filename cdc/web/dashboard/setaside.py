"""Parked work and held deletes: what waits for a person, and what they say about it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from cdc.operate import parking as actions
from cdc.operate.deciding import Decide, Find
from cdc.reconcile import holding
from cdc.web.answers import Refusal
from cdc.web.application import Handler, Routes
from cdc.web.dashboard.forms import Form
from cdc.web.dashboard.front import Front, go_on
from cdc.web.dashboard.sessions import Session
from state import audit, deletions, parking
from state.database import Pool

MOST: Final = 100


class SetAsidePages:
    """The two pages and their forms. `on_marked` is called when there is something due."""

    def __init__(self, pool: Pool, front: Front, *, on_marked: Callable[[], None]) -> None:
        self._pool = pool
        self._front = front
        self._on_marked = on_marked

    def routes(self) -> Routes:
        door = self._front.door
        return (
            web.get("/parked", door.looking(self._parked)),
            web.post("/parked/retry", self._form("/parked", parking.named, actions.retry, "retried")),
            web.post("/parked/drop", self._form("/parked", parking.named, actions.drop, "dropped")),
            web.get("/deletes", door.looking(self._deletes)),
            web.post("/deletes/approve", self._form("/deletes", deletions.held, holding.approve, "approved")),
            web.post("/deletes/reject", self._form("/deletes", deletions.held, holding.reject, "rejected")),
        )

    async def _parked(self, request: web.Request, session: Session) -> web.Response:
        async with self._pool.connection() as conn:
            items = await parking.named(conn, limit=MOST)
        return await self._front.answer(request, session, "parked.html", items=items)

    async def _deletes(self, request: web.Request, session: Session) -> web.Response:
        async with self._pool.connection() as conn:
            items = await deletions.held(conn, limit=MOST)
        return await self._front.answer(request, session, "deletes.html", items=items)

    def _form(self, path: str, named: Find[Any], decide: Decide[Any], done: str) -> Handler:
        """Return the handler of a form that decides about one record, or about everything that waits."""

        async def act(_: web.Request, __: Session, form: Form) -> web.StreamResponse:
            entity, system_id = form.text("entity"), form.text("id")
            if (entity is None or system_id is None) and form.text("all") != "true":
                raise Refusal(HTTPStatus.BAD_REQUEST, "the form names no record")
            async with self._pool.connection() as conn:
                meant = await named(conn, entity=entity, ids=[system_id] if system_id is not None else None)
                decided = await decide(conn, meant, audit.OPERATOR)
            self._on_marked()
            return go_on(path, done, len(decided))

        return self._front.door.acting(act)
