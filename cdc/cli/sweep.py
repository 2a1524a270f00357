"""`mapable-cdc sweep`: a sweep at once, by the active process or in its stead, and all that it marked seen through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.table import Table

from cdc import cluster
from cdc.app import Parts, adoption_of, sink_of, sweeping_of
from cdc.operate.backfill import Backfill, Progress
from sinks.mapping.model import Entity
from state import looks, strays
from state.looks import Sweep
from state.work import Parked

LOOK_S: Final = 0.25
ASK_AGAIN_S: Final = 3.0


async def sweep(
    parts: Parts, entities: Sequence[Entity], progress: Progress
) -> tuple[tuple[Sweep, ...], tuple[Parked, ...]]:
    """Sweep these entities and work off what differs; return what was found, and what ended parked."""
    await sink_of(parts)
    names = {entity.name for entity in entities}
    async with parts.pool.connection() as conn:
        since = await looks.now(conn)
        await looks.request(conn, sorted(names))
    told = False
    while True:
        # asked again while watching: should the active process end, the rest is ours to do
        leadership = parts.leadership()
        async with leadership.attempt() as lock:
            if lock is not None:
                await cluster.ours(parts.pool, parts.settings.direct.dsn)
                await leadership.assume(lock)
                left = await _waiting(parts, names, since)
                await leadership.holding(lock, _sweep(parts, [entity for entity in entities if entity.name in left]))
                break
        if not told:
            progress.said("`mapable-cdc run` is active and does the work")
            told = True
        if await _watched(parts, names, since):
            break
    parked = await Backfill(parts, entities, progress, also=[strays.KIND]).see_through(since)
    async with parts.pool.connection() as conn:
        return tuple(found for found in await looks.sweeps(conn) if found.entity in names), parked


async def _sweep(parts: Parts, entities: Sequence[Entity]) -> None:
    sink = await sink_of(parts)
    sweeping = sweeping_of(parts, sink, adoption_of(parts, sink))
    for entity in entities:
        await sweeping.attempt(entity)


async def _watched(parts: Parts, names: set[str], since: datetime) -> bool:
    """Watch for a while; False when some are still to be swept."""
    for _ in range(int(ASK_AGAIN_S / LOOK_S)):
        if not await _waiting(parts, names, since):
            return True
        await asyncio.sleep(LOOK_S)
    return False


async def _waiting(parts: Parts, names: set[str], since: datetime) -> set[str]:
    """Return the entities that were neither swept nor tried in vain since then."""
    async with parts.pool.connection() as conn:
        found = await looks.sweeps(conn)
    return {
        sweep.entity for sweep in found
        if sweep.entity in names and sweep.requested
        and (sweep.troubled_at is None or sweep.troubled_at < since)
    }


def sweeps_table(found: Sequence[Sweep]) -> Table:
    """Return what was found, for a person."""
    table = Table("database", "pages", "differing", "missing", "unknown", "note")
    for item in found:
        numbers = (item.pages, item.differing, item.missing, item.unknown)
        shown = ("" if number is None else str(number) for number in numbers)
        table.add_row(item.entity, *shown, item.trouble or "")
    return table


def sweeps_as_json(found: Sequence[Sweep]) -> list[dict[str, Any]]:
    """Return what was found, for scripts."""
    return [
        {
            "entity": item.entity, "sweptAt": item.swept_at.isoformat(), "pages": item.pages,
            "differing": item.differing, "missing": item.missing, "unknown": item.unknown, "trouble": item.trouble,
        }
        for item in found
    ]
