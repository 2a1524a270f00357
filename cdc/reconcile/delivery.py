"""Telling those who wait: a page that now stands is what other rows' relations may point at."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.mapping.model import Entity
from state import lookups, work
from state.changes import Key, Priority, Reason
from state.database import Connection


async def deliver(conn: Connection, targets: Sequence[Key]) -> None:
    """Mark the records whose relations wait for the pages of `targets`, which stand for some time."""
    for target in await lookups.awaited(conn, targets):
        await hand_over(conn, target)


async def catch_up(conn: Connection, entities: Sequence[Entity]) -> None:
    """Hand over what stands and is waited for all the same: a process was killed before it did."""
    for target in await lookups.arrived(conn, {entity.name: entity.table for entity in entities}):
        await hand_over(conn, target)


async def hand_over(conn: Connection, target: Key) -> None:
    """Mark the records whose relations wait for the page of `target`, also if they say so at this very moment."""
    async with conn.transaction():
        # the look comes after the lock: a record that saw no page yet holds it until its wait can be seen
        await lookups.lock_targets(conn, [target])
        waiting = await lookups.take_waiting(conn, target)
        await work.mark(conn, dict.fromkeys(waiting, None), reason=Reason.OURS, priority=Priority.BACKFILL)
