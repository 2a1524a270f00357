"""Which entities are not worked on now, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Paused:
    """Entities that can't be worked on now, with the reason, until the loop's clock says to try again."""

    until_s: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    still: Counter[str] = field(default_factory=Counter)    # several may ask for it at once

    def pause(self, entity: str, reason: str, until_s: float) -> None:
        """Leave the entity alone until then; what was wrong may be right again."""
        if entity in self.held and until_s < math.inf:
            return
        if self.reasons.get(entity) != reason:
            log.warning("entity.paused", entity=entity, why=reason)
        self.reasons[entity] = reason
        self.until_s[entity] = until_s

    def heal(self, entity: str) -> None:
        """Something of the entity worked, which ends a pause; what is held is not ended by that."""
        if entity in self.held:
            return
        if self.reasons.pop(entity, None) is not None:
            log.info("entity.resumed", entity=entity)
        self.until_s.pop(entity, None)

    def hold(self, entity: str, reason: str) -> None:
        """Leave the entity alone until `let_go`: trying would tell nothing new."""
        self.held.add(entity)
        self.pause(entity, reason, math.inf)

    def let_go(self, entity: str) -> None:
        """End a hold."""
        if entity in self.held:
            self.held.remove(entity)
            self.heal(entity)

    @contextmanager
    def stillness(self, entity: str) -> Iterator[None]:
        """Begin nothing new of the entity for a moment; that is nobody's trouble, so that nobody is told."""
        self.still[entity] += 1
        try:
            yield
        finally:
            self.still[entity] -= 1

    def names(self, now_s: float) -> tuple[str, ...]:
        """Return the entities of which nothing may be claimed now."""
        return tuple({entity for entity, until_s in self.until_s.items() if until_s > now_s} | (+self.still).keys())
