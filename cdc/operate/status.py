"""The state of things, read from the sidecar and the server's catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from rich.table import Table

from cdc.operate.records import time_as_json
from cdc.replication import slot as slots
from cdc.replication.pressure import pressure
from cdc.replication.slot import SlotState
from state import deletions, explanations, links, parking, settings, work
from state.changes import Priority
from state.database import Pool
from state.explanations import Notice
from state.work import Depth

LEFT_OUT: Final[LiteralString] = """
select "entityType", field.key, field.value #>> '{}', count(*)
from "NotionSyncMapping", jsonb_each("leftOut") as field
group by 1, 2, 3
order by 1, 2, 3
"""
# a database as a whole comes before its fields
PAUSED: Final[LiteralString] = """
select entity, null as field, unavailable as reason from data_source where unavailable is not null
union all
select entity, field.key, field.value from data_source, jsonb_each_text(paused) as field
order by 1, 2 nulls first
"""


@dataclass(frozen=True, slots=True)
class Status:
    """What `mapable-cdc status` shows."""

    pages: Mapping[tuple[str, str], int]          # (entity type, page state) -> links
    queue: Mapping[str, Depth]                    # by priority's name
    parked: int
    left_out: tuple[tuple[str, str, str, int], ...]   # entity type, field, reason, rows
    paused: tuple[tuple[str, str | None, str], ...]   # entity, field (None: the whole database), reason
    held: int                                     # deletes that wait for a person
    notices: tuple[Notice, ...]
    comments_allowed: bool | None                 # None: not tried yet
    slot: SlotState | None
    elsewhere: tuple[str, ...] = ()               # what tells this cluster from the one that the sidecar was on

    def as_json(self) -> dict[str, Any]:
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
            "paused": [{"entity": entity, "field": name, "reason": reason} for entity, name, reason in self.paused],
            "heldDeletes": self.held,
            "notices": [
                {
                    "entity": notice.entity, "field": notice.field, "unsaid": notice.unsaid,
                    "since": time_as_json(notice.since), "lastAt": time_as_json(notice.last_at),
                }
                for notice in self.notices
            ],
            "comments": {"allowed": self.comments_allowed},
            "slot": slot_as_json(self.slot),
            "elsewhere": list(self.elsewhere),
        }

    def tables(self) -> tuple[Table, ...]:
        pages = Table("entity", "pages", "count", title="Pages")
        for (entity, state), count in sorted(self.pages.items()):
            pages.add_row(entity, state, str(count))
        queue = Table("priority", "keys", "oldest", title="Queue")
        for name, depth in self.queue.items():
            queue.add_row(name, str(depth.keys), f"{depth.oldest_age_s:.1f} s")
        other = Table("what", "state", title="Slot and parked work")
        if self.elsewhere:
            other.add_row(
                "held", f"another {', '.join(self.elsewhere)} than the sidecar was on: nothing is sent until "
                "`mapable-cdc adopt`",
            )
        other.add_row("parked", str(self.parked))
        for entity, name, reason, rows in self.left_out:
            other.add_row(f"left out: {entity}.{name}", f"{rows} rows: {reason}")
        for entity, key, reason in self.paused:
            other.add_row(f"paused: {entity}.{key}" if key is not None else f"paused: {entity}", reason)
        if self.held:
            other.add_row("held", f"{self.held} deletes wait for `mapable-cdc deletes`")
        for notice in self.notices:
            other.add_row(
                f"put back: {notice.entity}.{notice.field}", f"{notice.unsaid} edits that no comment explains: too many"
            )
        if self.comments_allowed is False:
            other.add_row("comments", "the connection may not comment, so nobody is told why an edit was put back")
        other.add_row("slot", slot_line(self.slot) if self.slot is not None else "none")
        return pages, queue, other


def slot_line(slot: SlotState) -> str:
    """Return one line about the slot."""
    kept = f"{slot.retained_bytes or 0} bytes of log retained"
    room = f", {slot.safe_wal_bytes} more until it is lost" if slot.safe_wal_bytes is not None else ""
    return f"{slot.name}: {'active' if slot.active else 'inactive'}, {slot.wal_status or 'unknown'}, {kept}{room}"


def slot_as_json(slot: SlotState | None) -> dict[str, Any] | None:
    """Return the slot for scripts."""
    if slot is None:
        return None
    return {
        "name": slot.name, "active": slot.active, "walStatus": slot.wal_status, "retainedBytes": slot.retained_bytes,
        "lagBytes": slot.lag_bytes, "safeWalBytes": slot.safe_wal_bytes, "pressure": pressure(slot).value,
    }


async def status_of(pool: Pool, slot: str) -> Status:
    """Return the state of things now."""
    depth = await work.WorkQueue(pool, lease_s=1).depth()
    async with pool.connection() as conn:
        left_out = await (await conn.execute(LEFT_OUT)).fetchall()
        paused = await (await conn.execute(PAUSED)).fetchall()
        comments = await settings.get(conn, settings.COMMENTS)
        return Status(
            pages=await links.count(conn),
            # all of them, also what is empty: a gauge that is not set again would stay where it was
            queue={priority.name.lower(): depth.get(priority, Depth(0, 0.0)) for priority in Priority},
            parked=await parking.count(conn),
            left_out=tuple((row[0], row[1], row[2], row[3]) for row in left_out),
            paused=tuple((row[0], row[1], row[2]) for row in paused),
            held=await deletions.count_held(conn),
            notices=await explanations.notices(conn),
            comments_allowed=comments.get("allowed") if isinstance(comments, dict) else None,
            slot=await slots.inspect(conn, slot),
        )
