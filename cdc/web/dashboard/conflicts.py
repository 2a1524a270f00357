"""Conflicts side by side, each with the choices there are. It shows values of rows, to people who came to see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from cdc.operate.contrast import Piece, contrast
from cdc.operate.orders import Declined, Orders
from cdc.operate.records import entity_name
from cdc.operate.showing import Value, field_in_conflict, value_of
from cdc.web import queries
from cdc.web.application import Routes
from cdc.web.dashboard.forms import Form
from cdc.web.dashboard.front import Front, go_on
from cdc.web.dashboard.sessions import Session
from cdc.web.sync import STATUS
from sinks.mapping.model import Field, Kind
from state import conflicts
from state.conflicts import Conflict
from state.database import Pool

MOST: Final = 25

INPUTS: Final = {
    Kind.DAY: "date", Kind.MOMENT: "datetime-local", Kind.EMAIL: "email", Kind.MONEY: "money", Kind.SELECT: "select",
    Kind.CHECKBOX: "checkbox", Kind.TITLE: "text", Kind.TEXT: "text",
}
"""How a third value is typed; a relation can't be."""


@dataclass(frozen=True, slots=True)
class Card:
    """One conflict as it is shown."""

    conflict: Conflict
    entity: str
    title: str           # of the entity
    field: Field | None
    label: str
    base: Value
    mapable: Value
    notion: Value
    input: str | None    # None: no other value can be typed

    @property
    def deciding(self) -> bool:
        return self.conflict.status == "deciding"

    @property
    def sides(self) -> tuple[tuple[Piece, ...], tuple[Piece, ...]] | None:
        """Both texts in pieces, with what differs; None where a side is no text."""
        return None if self.mapable.said or self.notion.said else contrast(self.mapable.text, self.notion.text)


class ConflictPages:
    """The page and its forms. `on_marked` is called when there is something due."""

    def __init__(
        self, pool: Pool, orders: Orders, front: Front, zone: ZoneInfo, *, on_marked: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._orders = orders
        self._front = front
        self._zone = zone
        self._on_marked = on_marked

    def routes(self) -> Routes:
        door = self._front.door
        return (
            web.get("/conflicts", door.looking(self._page)),
            web.post(r"/conflicts/{id:[0-9]{1,18}}/resolve", door.acting(self._resolve)),
        )

    async def _page(
        self, request: web.Request, session: Session, *, status: HTTPStatus = HTTPStatus.OK, failure: str | None = None
    ) -> web.Response:
        after = queries.number(request, "after") or 0
        async with self._pool.connection() as conn:
            found = await conflicts.listed(conn, limit=MOST, after=after)
        return await self._front.answer(
            request, session, "conflicts.html", status=status, failure=failure, here="/conflicts", after=after,
            cards=[self._card(conflict) for conflict in found], next=found[-1].id if len(found) == MOST else None,
        )

    async def _resolve(self, request: web.Request, session: Session, form: Form) -> web.Response:
        conflict_id, version = int(request.match_info["id"]), form.number("version")
        choice = form.text("choice") or ""
        value = self._typed(form) if choice == "value" else None
        try:
            await self._orders.decide(conflict_id, version, choice, value)
        except Declined as declined:
            return await self._page(request, session, status=STATUS[declined.why], failure=f"Not done: {declined}.")
        self._on_marked()
        return go_on("/conflicts", "decided")

    def _typed(self, form: Form) -> str:
        """Return what was typed; a time on the clock of TIME_ZONE gets its zone, as browsers send none."""
        # browsers send line ends as they do over the wire, rows hold them as they are
        text = (form.text("value") or "").replace("\r\n", "\n")
        if form.text("clock") is None or not text:
            return text
        try:
            return datetime.fromisoformat(text).replace(tzinfo=self._zone).isoformat()
        except ValueError:
            return text

    def _card(self, conflict: Conflict) -> Card:
        entity, field = field_in_conflict(conflict)
        return Card(
            conflict, entity_name(conflict.entity_type), entity.title if entity is not None else conflict.entity_type,
            field, field.name if field is not None else conflict.field,
            base=value_of(field, conflict.base, self._zone), mapable=value_of(field, conflict.mapable, self._zone),
            notion=value_of(field, conflict.notion, self._zone),
            input=INPUTS.get(field.kind) if field is not None else None,
        )
