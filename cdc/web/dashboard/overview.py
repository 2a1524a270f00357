"""The first page: health at a glance, what is under way, and what was done last. It shows no value of any row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from cdc.app import Parts
from cdc.operate.health import health, notes, waiting
from cdc.shared import Shared
from cdc.web.application import Routes
from cdc.web.dashboard.front import Front
from cdc.web.dashboard.sessions import Session
from sinks.mapping.entities import ENTITIES
from state import audit

LATELY: Final = 20

SHARED_S: Final = 2.0
"""What tabs ask for by themselves, every three seconds and however many there are, may be as old as this."""
UPDATE: Final = "X-Update"
"""The header by which a page that keeps itself up to date asks; people who load it see what is, not what was."""

PRIORITIES: Final = {
    "live": "Changes as they happen", "manual": "Asked for by people", "backfill": "First and full comparisons",
}


@dataclass(frozen=True, slots=True)
class EntityLine:
    """One entity in the table. `others` are pages that are not simply linked, by state."""

    name: str
    title: str
    direction: str
    on: bool
    live: int
    others: Mapping[str, int]
    swept_at: str | None


class OverviewPage:
    """The page."""

    def __init__(self, parts: Parts, overview: Shared[Mapping[str, Any]], front: Front) -> None:
        self._parts = parts
        self._overview = overview
        self._front = front

    def routes(self) -> Routes:
        return (web.get("/", self._front.door.looking(self._page)),)

    async def _page(self, request: web.Request, session: Session) -> web.Response:
        overview = await self._overview.younger_than(SHARED_S if UPDATE in request.headers else 0.0)
        async with self._parts.pool.connection() as conn:
            lines = await audit.listed(conn, limit=LATELY)
        pacer = self._parts.pacer
        return await self._front.answer(
            request, session, "overview.html", health=health(overview), notes=notes(overview), overview=overview,
            lines=lines, on_the_way=waiting(overview), entities=_entities(overview, self._parts), priorities=PRIORITIES,
            used=pacer.used, limit=pacer.budget.limit,
            waiting={
                "/conflicts": overview["conflicts"], "/parked": overview["parked"], "/deletes": overview["heldDeletes"],
            },
        )


def _entities(overview: Mapping[str, Any], parts: Parts) -> list[EntityLine]:
    swept = {item["entity"]: item["sweptAt"] for item in overview["sweeps"]}
    on = {entity.name for entity in parts.settings.entities}
    found = []
    for entity in ENTITIES:
        states = {item["state"]: item["count"] for item in overview["pages"] if item["entityType"] == entity.table}
        live = states.pop("live", 0)
        found.append(
            EntityLine(
                entity.name, entity.title, overview["config"]["directions"][entity.name], entity.name in on, live,
                states, swept.get(entity.name),
            )
        )
    return found
