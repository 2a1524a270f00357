"""Why is this record not in Notion? Both sides, what was agreed, and what happens next, for whoever asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from cdc.app import Parts
from cdc.operate.health import Level, health
from cdc.operate.orders import Declined, Orders
from cdc.operate.record import FieldTold, Told, explain
from cdc.operate.showing import Value, value_of
from cdc.shared import Shared
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.auth import Guard
from cdc.web.dashboard.audit import given
from cdc.web.dashboard.forms import Form
from cdc.web.dashboard.front import Front, go_on
from cdc.web.dashboard.overview import SHARED_S
from cdc.web.dashboard.sessions import Session
from cdc.web.sync import STATUS
from sinks.mapping.entities import ENTITIES, by_name
from sinks.mapping.model import Entity
from state.changes import ABSENT
from state.links import PageState

PATIENCE_S: Final = 3.0
"""A Notion that is slow, or a budget that is used up, must not keep the page from being shown."""


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the record as it is shown."""

    told: FieldTold
    mapable: Value
    agreed: Value
    notion: Value


class RecordPage:
    """The page and its form. `on_marked` is called when there is something due."""

    def __init__(
        self, parts: Parts, orders: Orders, overview: Shared[Mapping[str, Any]], front: Front, guard: Guard, *,
        on_marked: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._orders = orders
        self._overview = overview
        self._guard = guard
        self._front = front
        self._on_marked = on_marked

    def routes(self) -> Routes:
        door = self._front.door
        return (web.get("/record", door.looking(self._page)), web.post("/record/sync", door.acting(self._sync)))

    async def _page(
        self, request: web.Request, session: Session, *, status: HTTPStatus = HTTPStatus.OK, failure: str | None = None
    ) -> web.Response:
        name, system_id = given(request, "entity"), given(request, "id")
        told, late, trouble = None, False, None
        if name is not None and system_id is not None:
            told, late = await self._told(_entity(name), system_id)
            # what keeps every record keeps this one, too
            whole = health(await self._overview.younger_than(SHARED_S))
            trouble = whole if whole.level is Level.TROUBLE and self._parts.settings.notion_sync_enabled else None
        return await self._front.answer(
            request, session, "record.html", status=status, failure=failure, entities=ENTITIES, entity=name,
            id=system_id, told=told, late=late, trouble=trouble,
            **(self._facts(told) if told is not None else {}),
        )

    async def _told(self, entity: Entity, system_id: str) -> tuple[Told, bool]:
        """Return what there is to tell, and whether Notion did not answer in time."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await explain(self._parts, entity, system_id, offline=False), False
        except TimeoutError:
            return await explain(self._parts, entity, system_id, offline=True), True

    def _facts(self, told: Told) -> Mapping[str, Any]:
        """Return what the page says of the record beside what is told."""
        ours, link, settings = told.now.ours, told.now.link, self._parts.settings
        due = link is not None or (ours is not None and ours.member)
        return {
            "rows": self._rows(told),
            "names": {field.key: field.name for field in told.now.entity.fields},
            "nowhere": ours is None and link is None,
            "taken_away": link is not None and link.state == PageState.UNLINKED and ours is not None,
            "syncable": due and settings.notion_sync_enabled and told.now.entity in settings.entities,
        }

    def _rows(self, told: Told) -> list[FieldRow]:
        zone = self._parts.settings.zone
        return [
            FieldRow(
                each, value_of(each.field, each.ours, zone),
                value_of(each.field, each.base.got if each.base is not None else ABSENT, zone),
                value_of(each.field, each.theirs, zone),
            )
            for each in told.fields
        ]

    async def _sync(self, request: web.Request, session: Session, form: Form) -> web.Response:
        # of all orders together, wherever they come from
        self._guard.count_order()
        name, system_id = form.text("entity") or "", form.text("id") or ""
        try:
            await self._orders.sync(name, system_id)
        except Declined as declined:
            raise Refusal(STATUS[declined.why], str(declined)) from None
        self._on_marked()
        return go_on("/record", "synced", entity=name, id=system_id)


def _entity(name: str) -> Entity:
    try:
        return by_name(name)
    except KeyError:
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such entity") from None
