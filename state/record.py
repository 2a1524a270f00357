"""What the sidecar holds about one record beside its link: what waits, what was refused, what was done last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row

from state import conflicts, deletions, parking
from state.changes import Key
from state.conflicts import Conflict
from state.database import Connection
from state.deletions import Verdict
from state.work import Parked

LINK: Final[LiteralString] = """
select "notionDatabaseId" as database_id, "lastSyncedAt" as synced_at, "sentAt" as sent_at,
    "pageEditedAt" as edited_at, "conflictState" as conflict_state, "unlinkedBecause" as unlinked_because, refused
from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
"""

WORK: Final[LiteralString] = """
select reasons, priority, attempts, fence is not null as in_hand, marked_at,
    extract(epoch from due_at - clock_timestamp())::float8 as due_s
from work
where entity = %(entity)s and system_id = %(system_id)s
"""

LAST_LINES: Final[LiteralString] = """
select at, action, actor, properties, detail
from audit_log
where entity = %(entity)s and system_id = %(system_id)s
order by id desc
limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What stands on the link for people to see."""

    database_id: str | None
    synced_at: datetime | None
    sent_at: datetime | None
    edited_at: datetime | None
    conflict_state: str
    unlinked_because: str | None
    refused: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The record's place in the queue. `due_s`: in how long; while it is in hand, when its lease ends."""

    reasons: int
    priority: int
    attempts: int
    in_hand: bool
    marked_at: datetime
    due_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """One line of the audit log."""

    at: datetime
    action: str
    actor: str
    properties: list[str]
    detail: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    link: LinkFacts | None
    work: Waiting | None
    parked: Parked | None
    conflicts: tuple[Conflict, ...]
    deletion: Verdict | None
    lines: tuple[Done, ...]    # the newest first


async def load(conn: Connection, key: Key, entity_type: str, lines: int = 5) -> Record:
    """Return what is known about one record."""
    arguments = {"entity": key.entity, "entity_type": entity_type, "system_id": key.system_id, "limit": lines}
    async with conn.cursor(row_factory=class_row(LinkFacts)) as cursor:
        link = await (await cursor.execute(LINK, arguments)).fetchone()
    async with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        waiting = await (await cursor.execute(WORK, arguments)).fetchone()
    async with conn.cursor(row_factory=class_row(Done)) as cursor:
        done = await (await cursor.execute(LAST_LINES, arguments)).fetchall()
    parked = await parking.named(conn, entity=key.entity, ids=[key.system_id])
    open_conflicts = await conflicts.open_of(conn, entity_type, [key.system_id])
    return Record(
        link, waiting, parked[0] if parked else None, open_conflicts.get(key.system_id, ()),
        await deletions.verdict(conn, key), tuple(done),
    )
