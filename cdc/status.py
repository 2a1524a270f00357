"""The state of things, read from the sidecar and the server's catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from rich.table import Table

from cdc.replication import slot as slots
from cdc.replication.slot import SlotState
from state import links, work
from state.database import Pool
from state.work import Depth

LEFT_OUT: Final[LiteralString] = """
select "entityType", field.key, field.value #>> '{}', count(*)
from "NotionSyncMapping", jsonb_each("leftOut") as field
group by 1, 2, 3
order by 1, 2, 3
"""
PARKED: Final[LiteralString] = "select count(*) from parked"


@dataclass(frozen=True, slots=True)
class Status:
    """What `mapable-cdc status` shows."""

    pages: Mapping[tuple[str, str], int]          # (entity type, page state) -> links
    queue: Mapping[str, Depth]                    # by priority's name
    parked: int
    left_out: tuple[tuple[str, str, str, int], ...]   # entity type, field, reason, rows
    slot: SlotState | None

    def as_json(self) -> dict[str, Any]:
        slot = self.slot
        return {
            "pages": [
                {"entityType": entity, "state": state, "count": count}
                for (entity, state), count in sorted(self.pages.items())
            ],
            "queue": {
                name: {"keys": depth.keys, "oldestAgeSeconds": round(depth.oldest_age_s, 3)}
                for name, depth in self.queue.items()
            },
            "parked": self.parked,
            "leftOut": [
                {"entityType": entity, "field": name, "reason": reason, "rows": rows}
                for entity, name, reason, rows in self.left_out
            ],
            "slot": None if slot is None else {
                "name": slot.name, "active": slot.active, "walStatus": slot.wal_status,
                "retainedBytes": slot.retained_bytes,
            },
        }

    def tables(self) -> tuple[Table, ...]:
        pages = Table("entity", "pages", "count", title="Pages")
        for (entity, state), count in sorted(self.pages.items()):
            pages.add_row(entity, state, str(count))
        queue = Table("priority", "keys", "oldest", title="Queue")
        for name, depth in self.queue.items():
            queue.add_row(name, str(depth.keys), f"{depth.oldest_age_s:.1f} s")
        other = Table("what", "state", title="Slot and parked work")
        other.add_row("parked", str(self.parked))
        for entity, name, reason, rows in self.left_out:
            other.add_row(f"left out: {entity}.{name}", f"{rows} rows: {reason}")
        other.add_row(
            "slot",
            "none" if self.slot is None else
            f"{self.slot.name}: {'active' if self.slot.active else 'inactive'}, "
            f"{self.slot.retained_bytes or 0} bytes retained",
        )
        return pages, queue, other


async def status_of(pool: Pool, slot: str) -> Status:
    """Return the state of things now."""
    depth = await work.WorkQueue(pool, lease_s=1).depth()
    async with pool.connection() as conn:
        left_out = await (await conn.execute(LEFT_OUT)).fetchall()
        parked = await (await conn.execute(PARKED)).fetchone()
        return Status(
            pages=await links.count(conn),
            queue={priority.name.lower(): waiting for priority, waiting in sorted(depth.items())},
            parked=int(parked[0]) if parked else 0,
            left_out=tuple((row[0], row[1], row[2], row[3]) for row in left_out),
            slot=await slots.inspect(conn, slot),
        )
