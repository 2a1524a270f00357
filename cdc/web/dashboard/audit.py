"""The audit log, searched. Details hold values: they are shown where one person or one record was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.dashboard.front import Front
from cdc.web.dashboard.sessions import Session
from sinks.mapping.entities import ENTITIES
from state import audit
from state.audit import Line
from state.database import Pool

MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None is no limit."""

    person: str | None
    entity: str | None
    id: str | None


class AuditPage:
    """The page."""

    def __init__(self, pool: Pool, front: Front) -> None:
        self._pool = pool
        self._front = front

    def routes(self) -> Routes:
        return (web.get("/audit", self._front.door.looking(self._page)),)

    async def _page(self, request: web.Request, session: Session) -> web.Response:
        asked = Asked(given(request, "person"), given(request, "entity"), given(request, "id"))
        before = queries.number(request, "before")
        if asked.id is not None and asked.entity is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "an id alone names no record: choose its kind, too")
        async with self._pool.connection() as conn:
            lines = await audit.listed(
                conn, person=asked.person, entity=asked.entity, system_id=asked.id, before=before, limit=MOST
            )
        named = asked.person is not None or asked.id is not None
        return await self._front.answer(
            request, session, "audit.html", asked=asked, lines=lines, entities=ENTITIES, before=before,
            details={line.id: _detail(line) for line in lines if named and line.detail},
            next=lines[-1].id if len(lines) == MOST else None,
        )


def given(request: web.Request, name: str) -> str | None:
    """Return what was filled in; None for a field that was left empty."""
    return queries.text(request, name) if (queries.one(request, name) or "").strip() else None


def _detail(line: Line) -> str:
    return json.dumps(line.detail, ensure_ascii=False, indent=2)
