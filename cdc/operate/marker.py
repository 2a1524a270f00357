"""Marks whole entities, row by row and link by link in key pages: after a new slot, a changed mapping, by command."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from sinks.mapable.rows import Rows
from sinks.mapping.model import Entity
from state import links, marking, settings, work
from state.changes import Key, Priority, Reason
from state.database import Connection, Pool

PAGE: Final = 5_000
DIRECTIONS: Final = "entity_directions"
FINGERPRINTS: Final = "entity_fingerprints"
DUE: Final = "marking_due"
log = structlog.get_logger(__name__)


async def _nothing() -> None:
    """There is nothing to take up."""


class Marker:
    """Takes the markings that are under way one page further at a time; what is done survives a restart."""

    def __init__(self, pool: Pool, rows: Rows, entities: Sequence[Entity]) -> None:
        self._pool = pool
        self._rows = rows
        self._entities = {entity.name: entity for entity in entities}

    async def start(
        self, entities: Sequence[Entity], *, reason: Reason = Reason.OURS, priority: Priority = Priority.BACKFILL
    ) -> None:
        """Begin to mark all of these."""
        async with self._pool.connection() as conn:
            await marking.start(conn, [entity.name for entity in entities], reason=reason, priority=priority)

    async def finish(self) -> int:
        """Mark until nothing is under way; return how many keys were marked."""
        total = 0
        while (marked := await self.step()) is not None:
            total += marked
        return total

    async def step(self, prepare: Callable[[], Awaitable[object]] = _nothing) -> int | None:
        """Mark one page, of the first entity in backfill order; None when nothing is under way.

        `prepare` takes up what was stored with the marking: what is marked is worked on by that.
        """
        async with self._pool.connection() as conn:
            under_way = {item.entity: item for item in await marking.under_way(conn)}
        if under_way:
            await prepare()
        for name in under_way.keys() - self._entities.keys():
            async with self._pool.connection() as conn:
                await marking.finish(conn, under_way[name])
        for name, entity in self._entities.items():
            if name in under_way:
                return await self._page(entity, under_way[name])
        return None

    async def _page(self, entity: Entity, item: marking.Marking) -> int:
        reason, priority = Reason(item.reasons), Priority(item.priority)
        if item.phase == "rows":
            ids = await self._rows.page_of_ids(entity, item.after_id, PAGE)
            async with self._pool.connection() as conn, conn.transaction():
                keys: dict[Key, int | None] = {Key(entity.name, system_id): None for system_id in ids}
                await work.mark(conn, keys, reason=reason, priority=priority)
                phase, after = ("rows", ids[-1]) if len(ids) == PAGE else ("links", "")
                await marking.advance(conn, item, phase=phase, after_id=after, added=len(ids))
            return len(ids)
        async with self._pool.connection() as conn, conn.transaction():
            marked = await marking.mark_links(
                conn, entity=entity.name, entity_type=entity.table, after=item.after_id, limit=PAGE,
                reason=reason, priority=priority,
            )
            if len(marked) == PAGE:
                await marking.advance(conn, item, phase="links", after_id=marked[-1], added=0)
            elif await marking.finish(conn, item):
                log.info("entity.marked", entity=entity.name, keys=item.marked)
        return 0


async def due(conn: Connection) -> bool:
    """Whether a slot was (about to be) made after which not everything was marked yet."""
    return bool(await settings.get(conn, DUE))


async def set_due(conn: Connection, *, is_due: bool) -> None:
    """Note, before a slot is made, that everything has to be marked once it is; and afterwards that it was."""
    await settings.put(conn, DUE, is_due)


async def turn(conn: Connection, entities: Sequence[Entity], directions: Mapping[str, str]) -> None:
    """Let the links of an entity follow when its direction was set otherwise; a record's own direction stays."""
    before = await settings.get(conn, DIRECTIONS) or {}
    async with conn.transaction():
        for entity in entities:
            was, now = before.get(entity.name, "both"), directions[entity.name]
            if was != now:
                await links.turn(conn, entity.table, before=was, now=now)
        await settings.put(conn, DIRECTIONS, {**before, **directions})


def fingerprints(
    entities: Sequence[Entity],
    directions: Mapping[str, str],
    time_zone: str,
    opened: frozenset[tuple[str, str]] = frozenset(),
) -> dict[str, str]:
    """Return a digest per entity of all that decides what its pages show, and what is taken from them."""
    return {
        entity.name: hashlib.sha256(
            repr((entity.table, [_stable(field) for field in entity.fields], entity.member,
                  directions.get(entity.name, "both"), time_zone,
                  sorted(field for name, field in opened if name == entity.name))).encode()
        ).hexdigest()
        for entity in entities
    }


async def changed_entities(conn: Connection, now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the entities whose mapping, direction or zone changed (or that were off) at the last start."""
    before = await settings.get(conn, FINGERPRINTS) or {}
    return tuple(name for name, digest in now.items() if before.get(name) != digest)


async def unseen_entities(conn: Connection, now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the entities that were not streamed until this start: nobody saw what happened to their rows."""
    before = await settings.get(conn, FINGERPRINTS) or {}
    return tuple(name for name in now if name not in before)


async def remember(conn: Connection, now: Mapping[str, str]) -> None:
    """Store what the entities look like at this start."""
    await settings.put(conn, FINGERPRINTS, dict(now))


def _stable(field: object) -> str:
    """Return a field's description without the addresses of functions, which differ at every start."""
    text = repr(field)
    return " ".join(part for part in text.split() if not part.startswith("0x"))
