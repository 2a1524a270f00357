"""Telling those who wait: a page that now stands is what other rows' relations may point at."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity, Kind, Mirror
from state import links, lookups, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection


async def deliver(conn: Connection, targets: Sequence[Key]) -> None:
    """Mark the records whose relations wait for the pages of `targets`, which stand for some time."""
    for target in await lookups.awaited(conn, targets):
        await hand_over(conn, target)


async def catch_up(conn: Connection, entities: Sequence[Entity]) -> None:
    """Hand over what stands and is waited for all the same: a process was killed before it did."""
    for target in await lookups.arrived(conn, {entity.name: entity.table for entity in entities}):
        await hand_over(conn, target)


async def repoint(conn: Connection, target: str, page_id: PageId) -> None:
    """Mark the records whose pages point at a page of entity `target` that another one takes the place of.

    Not within a transaction that holds work rows: who marks many takes their locks in another order.
    """
    keys: dict[Key, int | None] = {}
    for entity in ENTITIES:
        for declared in entity.fields:
            if declared.kind is Kind.RELATION and declared.target == target and not isinstance(declared.source, Mirror):
                ids = await links.pointing_at(conn, entity.table, declared.key, page_id)
                keys |= dict.fromkeys((Key(entity.name, system_id) for system_id in ids), None)
    await work.mark(conn, keys, reason=Reason.OURS, priority=Priority.BACKFILL)


async def hand_over(conn: Connection, target: Key) -> None:
    """Mark the records whose relations wait for the page of `target`, also if they say so at this very moment."""
    async with conn.transaction():
        # the look comes after the lock: a record that saw no page yet holds it until its wait can be seen
        await lookups.lock_targets(conn, [target])
        waiting = await lookups.take_waiting(conn, target)
        await work.mark(conn, dict.fromkeys(waiting, None), reason=Reason.OURS, priority=Priority.BACKFILL)
