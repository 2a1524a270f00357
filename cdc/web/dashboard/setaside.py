"""Parked work and held deletes: what waits for a person, and what they say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc.operate import parking as actions
from cdc.operate.deciding import Decide
from cdc.operate.phrases import counted
from cdc.reconcile import holding
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.dashboard.door import Act
from cdc.web.dashboard.forms import Form
from cdc.web.dashboard.front import Front, go_on
from cdc.web.dashboard.sessions import Session
from state import audit, deletions, parking
from state.database import Pool
from state.deletions import Deletion
from state.work import Parked

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
            web.post("/parked/retry", door.acting(self._parked_decided(actions.retry, "retried"))),
            web.post("/parked/drop", door.acting(self._parked_decided(actions.drop, "dropped"))),
            web.get("/deletes", door.looking(self._deletes)),
            web.post("/deletes/approve", door.acting(self._deletes_decided(holding.approve, "approved"))),
            web.post("/deletes/reject", door.acting(self._deletes_decided(holding.reject, "rejected"))),
        )

    async def _parked(self, request: web.Request, session: Session) -> web.Response:
        async with self._pool.connection() as conn:
            items = await parking.named(conn, limit=MOST)
        return await self._front.answer(request, session, "parked.html", items=items)

    async def _deletes(
        self, request: web.Request, session: Session, *, status: HTTPStatus = HTTPStatus.OK, failure: str | None = None
    ) -> web.Response:
        async with self._pool.connection() as conn:
            items = await deletions.held(conn, limit=MOST)
            along = await deletions.taken_along(conn)
        return await self._front.answer(
            request, session, "deletes.html", status=status, failure=failure, here="/deletes", items=items, along=along
        )

    def _parked_decided(self, decide: Decide[Parked], done: str) -> Act:
        """Return what a form does that is about one record, or about everything that is parked."""

        async def act(_: web.Request, __: Session, form: Form) -> web.StreamResponse:
            entity, ids = _named(form)
            async with self._pool.connection() as conn:
                decided = await decide(conn, await parking.named(conn, entity=entity, ids=ids), audit.OPERATOR)
            self._on_marked()
            return go_on("/parked", done, len(decided))

        return act

    def _deletes_decided(self, decide: Decide[Deletion], done: str) -> Act:
        """Return what a form does that is about one delete, or about all: those that were seen, or nothing at all."""

        async def act(request: web.Request, session: Session, form: Form) -> web.StreamResponse:
            entity, ids = _named(form)
            # for one that took nothing along no number is shown
            seen = form.number("seen") if ids is None or form.text("seen") is not None else None
            async with self._pool.connection() as conn:
                meant = await deletions.held(conn, entity=entity, ids=ids)
                moved = _moved(seen, len(meant))
                decided = await decide(conn, meant, audit.OPERATOR) if moved is None else ()
            if moved is not None:
                return await self._deletes(request, session, status=HTTPStatus.CONFLICT, failure=moved)
            self._on_marked()
            return go_on("/deletes", done, len(decided))

        return act


def _named(form: Form) -> tuple[str | None, Sequence[str] | None]:
    """Return (entity, ids) of what a form is about; None is no limit."""
    entity, system_id = form.text("entity"), form.text("id")
    if (entity is None or system_id is None) and form.text("all") != "true":
        raise Refusal(HTTPStatus.BAD_REQUEST, "the form names no record")
    return entity, [system_id] if system_id is not None else None


def _moved(seen: int | None, now: int) -> str | None:
    """Return why nothing is decided: it would be about others than those that were seen."""
    if seen is None or seen == now:
        return None
    return f"Not done: this was about {counted(seen, 'page')} when it was shown, and is about {now} now. Look again."
