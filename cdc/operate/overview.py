"""The state of the whole sync for scripts and dashboards: what `status` counts, and what people must see.

Reads the sidecar and the server's catalog only; asks Notion nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

from cdc.config import Settings
from cdc.operate.records import time_as_json
from cdc.operate.status import status_of
from sinks.mapping.entities import ENTITIES
from state import conflicts, handshake, looks
from state.database import Connection, Pool

RECENT: Final = 10

SYNC_SETTINGS: Final = {
    "participant": "syncParticipants", "ndisplan": "syncNDISPlans", "careplan": "syncCarePlans",
    "incident": "syncIncidents", "complaint": "syncComplaints", "risk": "syncRisks", "payment": "syncPayments",
}
"""What scripts that were written for MapAble's first sync call the switches."""

MAPPINGS: Final[LiteralString] = """
select "entityType", count(*), count(*) filter (where "conflictState" = 'pending')
from "NotionSyncMapping"
group by 1
order by 1
"""

RECENT_SYNCS: Final[LiteralString] = """
select "entityType", "systemId", "lastSyncedAt", "conflictState"
from "NotionSyncMapping"
where "lastSyncedAt" is not null
order by "lastSyncedAt" desc
limit %(limit)s
"""

UNLINKED: Final[LiteralString] = """
select "entityType", "unlinkedBecause", count(*)
from "NotionSyncMapping"
where "pageState" = 'unlinked'
group by 1, 2
order by 1, 2
"""

PARKED_REASONS: Final[LiteralString] = """
select entity, reason, count(*) from parked group by 1, 2 order by 1, 2
"""

LAST_EVENT: Final[LiteralString] = "select max(received_at) from inbox"

STRAYS: Final[LiteralString] = """
select entity, kind, count(*) from stray_page where resolved_at is null group by 1, 2 order by 1, 2
"""


async def overview_of(pool: Pool, settings: Settings, process: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of things now. `process` is what this process knows of itself, as `/readyz` tells it."""
    status = (await status_of(pool, settings.replication_slot)).as_json()
    async with pool.connection() as conn:
        mappings = await _rows(conn, MAPPINGS)
        recent = await _rows(conn, RECENT_SYNCS, {"limit": RECENT})
        return {
            "enabled": settings.notion_sync_enabled,
            "config": _config(settings),
            "statistics": {
                "totalMappings": sum(row[1] for row in mappings),
                "pendingConflicts": sum(row[2] for row in mappings),
                "mappingsByType": {row[0]: row[1] for row in mappings},
            },
            "conflicts": await conflicts.count(conn),
            "recentSyncs": [
                {
                    "entityType": row[0], "systemId": row[1], "lastSyncedAt": time_as_json(row[2]),
                    "conflictState": row[3],
                }
                for row in recent
            ],
            **status,
            "parkedReasons": [
                {"entity": row[0], "reason": row[1], "keys": row[2]} for row in await _rows(conn, PARKED_REASONS)
            ],
            "unlinked": [
                {"entityType": row[0], "reason": row[1], "pages": row[2]} for row in await _rows(conn, UNLINKED)
            ],
            "strays": [
                {"entity": row[0], "kind": row[1], "pages": row[2]} for row in await _rows(conn, STRAYS)
            ],
            "sweeps": [
                {
                    "entity": item.entity, "sweptAt": time_as_json(item.swept_at), "pages": item.pages,
                    "differing": item.differing, "missing": item.missing, "unknown": item.unknown,
                }
                for item in await looks.sweeps(conn)
            ],
            "paused": _paused(status["paused"], process),
            "process": dict(process),
            "webhook": await _webhook(conn, settings),
        }


def _paused(stored: Sequence[Mapping[str, Any]], process: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is stored as paused, and what the active process found out just now and nobody stores."""
    known = {item["entity"] for item in stored if item["field"] is None}
    found: Mapping[str, str] = process.get("paused", {})
    return [
        *stored,
        *({"entity": name, "field": None, "reason": why} for name, why in found.items() if name not in known),
    ]


def _config(settings: Settings) -> dict[str, Any]:
    on = {entity.name for entity in settings.entities}
    return {
        "conflictStrategy": settings.notion_conflict_strategy,
        "syncSettings": {SYNC_SETTINGS[entity.name]: entity.name in on for entity in ENTITIES},
        "directions": {entity.name: settings.direction_of(entity) for entity in ENTITIES},
        "sharedFields": sorted(settings.notion_shared_fields),
        "createRows": sorted(settings.notion_create_rows),
        "pollSeconds": settings.notion_poll_seconds,
        "sweepSeconds": settings.notion_sweep_seconds,
    }


async def _webhook(conn: Connection, settings: Settings) -> dict[str, Any]:
    """Whether webhooks can be verified, and when one last was: a subscription that fell silent looks like no edits."""
    by_setting = settings.notion_webhook_secret is not None
    last = (await _rows(conn, LAST_EVENT))[0][0]
    return {
        "verified": by_setting or await handshake.token(conn) is not None,
        "awaitingUntil": time_as_json(await handshake.expected_until(conn)),
        "lastEventAt": time_as_json(last),
    }


async def _rows(
    conn: Connection, query: LiteralString, arguments: Mapping[str, object] | None = None
) -> Sequence[tuple[Any, ...]]:
    return await (await conn.execute(query, arguments)).fetchall()
