"""Views that setup adds once, for a start: what people make of them, and whether they keep them, is theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from sinks.notion.discovery import Calls
from state import settings
from state.database import Connection
from state.errors import SyncError
from state.settings import DataSource

MADE: Final = "views_made"
"""The setting that holds, per database id, that its views were made: a view that people deleted stays deleted."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """One table view: conditions that all hold, as (field, type, condition), and sorts as (field, direction)."""

    entity: str
    name: str
    conditions: Sequence[tuple[str, str, Mapping[str, Any]]]
    sorts: Sequence[tuple[str, str]]


def _not(*options: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [("status", "select", {"does_not_equal": option}) for option in options]


VIEWS: Final = (
    View("ndisplan", "Plans ending soon", [("status", "select", {"equals": "ACTIVE"}),
         ("endDate", "date", {"next_month": {}})], [("endDate", "ascending")]),
    View("incident", "Open incidents", _not("RESOLVED", "CLOSED"),
         [("status", "ascending"), ("occurredAt", "descending")]),
    View("complaint", "Open complaints", _not("RESOLVED", "CLOSED"), [("receivedAt", "ascending")]),
    View("risk", "High and critical risks", [*_not("CLOSED"), ("riskLevel", "select", {"does_not_equal": "LOW"}),
         ("riskLevel", "select", {"does_not_equal": "MEDIUM"})], [("riskLevel", "descending")]),
)


async def make(client: Calls, conn: Connection, source: DataSource) -> int:
    """Make the views of an entity's database, unless that was done before; return how many. Never fails the setup.

    Noted before they are made: a view that is missing is a pity, one that is there twice is a nuisance.
    """
    made = await settings.get(conn, MADE) or {}
    wanted = [view for view in VIEWS if view.entity == source.entity]
    if not wanted or source.database_id in made:
        return 0
    await settings.put(conn, MADE, {**made, source.database_id: [view.name for view in wanted]})
    done = 0
    for view in wanted:
        try:
            await client.call("POST", "views", body=body_of(view, source), attempts=1)
            done += 1
        except SyncError as error:
            log.warning("setup.view_not_made", entity=source.entity, view=view.name, why=str(error))
    return done


def body_of(view: View, source: DataSource) -> dict[str, Any]:
    """Return the request that makes a view; properties by their ids, so that people may rename them."""
    ids = source.properties
    return {
        "database_id": source.database_id,
        "data_source_id": source.data_source_id,
        "name": view.name,
        "type": "table",
        "filter": {"and": [{"property": ids[key], kind: dict(how)} for key, kind, how in view.conditions]},
        "sorts": [{"property": ids[key], "direction": direction} for key, direction in view.sorts],
    }
