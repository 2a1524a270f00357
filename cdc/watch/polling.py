"""Polling: every so often, look for edits in each database, one after another. Webhooks only make it quicker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from cdc.watch.adoption import Adoption
from cdc.watch.looking import Looks
from sinks.mapping.model import Entity
from state.changes import Priority
from state.database import said
from state.errors import FatalError

log = structlog.get_logger(__name__)


class Troubles:
    """What keeps entities from being looked at: told when it begins, changes and ends, and not every minute between."""

    def __init__(self, doing: str) -> None:
        self._doing: Final = doing
        self._told: dict[str, str] = {}

    def met(self, entity: Entity, error: Exception) -> str:
        """Log it once, and return what may be said of it; a fatal error is raised again."""
        if isinstance(error, FatalError):
            raise error
        why = said(error)
        if self._told.get(entity.name) != why:
            log.warning("look.failed", doing=self._doing, entity=entity.name, why=why)
        self._told[entity.name] = why
        return why

    def over(self, entity: Entity) -> None:
        if self._told.pop(entity.name, None) is not None:
            log.info("look.recovered", doing=self._doing, entity=entity.name)


class Polling:
    """Looks at every entity in turn. One that can't be looked at keeps none of the others from it."""

    def __init__(self, looks: Looks, adoption: Adoption, entities: Sequence[Entity], *, every_s: float) -> None:
        self._looks = looks
        self._adoption = adoption
        self._entities = entities
        self._every_s = every_s
        self._troubles = Troubles("poll")

    async def run(self, on_marked: Callable[[], None]) -> None:
        """Look now and then again and again, until cancelled; does nothing when polling is off."""
        if self._every_s <= 0:
            return
        while True:
            for entity in self._entities:
                await self._look(entity)
            on_marked()
            await asyncio.sleep(self._every_s)

    async def _look(self, entity: Entity) -> None:
        try:
            # what stands already is linked first: unlinked pages would all be taken for strays
            await self._adoption.ensure(entity)
            await self._looks.edited(entity, Priority.MANUAL)
        except Exception as error:  # noqa: BLE001 - one page that trips us up must not stop the others, for ever
            self._troubles.met(entity, error)
        else:
            self._troubles.over(entity)
