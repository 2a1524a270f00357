"""What a person may do about parked work: have it tried again, or drop it. Both are audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cdc.reconcile.fanout import LOOKUP_KINDS
from sinks.mapping.entities import ENTITIES
from state import audit, parking, strays, work
from state.changes import Key, Priority, Reason
from state.database import Connection
from state.work import Parked

NAMES: Final = (*(entity.name for entity in ENTITIES), *sorted(LOOKUP_KINDS), strays.KIND)
"""Whatever may be parked: records, the rows whose names they show, and pages without a row."""


async def retry(conn: Connection, items: Sequence[Parked], actor: str) -> tuple[Parked, ...]:
    """Have the work tried again, both sides read anew; return what was still parked."""
    async with conn.transaction():
        removed = await parking.remove(conn, items)
        keys = dict.fromkeys((Key(item.entity, item.system_id) for item in removed), None)
        await work.mark(conn, keys, reason=Reason.OURS | Reason.THEIRS, priority=Priority.MANUAL)
        await _audit(conn, "work.retried", removed, actor)
    return removed


async def drop(conn: Connection, items: Sequence[Parked], actor: str) -> tuple[Parked, ...]:
    """Forget the work; return what was still parked. The next change of the record brings it up again."""
    async with conn.transaction():
        removed = await parking.remove(conn, items)
        await _audit(conn, "work.dropped", removed, actor)
    return removed


async def _audit(conn: Connection, action: str, items: Sequence[Parked], actor: str) -> None:
    participants = await parking.participants(conn, items)
    for item in items:
        key = Key(item.entity, item.system_id)
        await audit.append(
            conn,
            audit.Entry(
                action, key, participants[key], actor=actor,
                detail={"reason": item.reason, "attempts": item.attempts},
            ),
        )
