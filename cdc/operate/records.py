"""How conflicts, audit lines and what was set aside look as JSON: the same over HTTP and on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sinks.mapping.entities import by_table
from state.audit import Line
from state.conflicts import Conflict
from state.deletions import Deletion
from state.work import Parked


def conflict_as_json(conflict: Conflict) -> dict[str, Any]:
    """Return a conflict; values are canonical JSON."""
    return {
        "id": conflict.id,
        "entity": entity_name(conflict.entity_type),
        "systemId": conflict.system_id,
        "pageId": conflict.page_id,
        "field": conflict.field,
        "base": conflict.base,
        "mapable": conflict.mapable,
        "notion": conflict.notion,
        "mapableAt": time_as_json(conflict.mapable_at),
        "notionAt": time_as_json(conflict.notion_at),
        "notionBy": conflict.notion_by,
        "rule": conflict.rule,
        "status": conflict.status,
        "choice": conflict.choice,
        "value": conflict.value,
        "version": conflict.version,
        "openedAt": time_as_json(conflict.opened_at),
        "closedAt": time_as_json(conflict.closed_at),
        "closedBy": conflict.closed_by,
    }


def line_as_json(line: Line) -> dict[str, Any]:
    """Return a line of the audit log."""
    return {
        "id": line.id,
        "at": time_as_json(line.at),
        "action": line.action,
        "entity": line.entity,
        "systemId": line.system_id,
        "participantId": line.participant_id,
        "pageId": line.page_id,
        "properties": list(line.properties),
        "actor": line.actor,
        "requestId": line.request_id,
        "detail": line.detail,
    }


def parked_as_json(item: Parked) -> dict[str, Any]:
    """Return a piece of parked work."""
    return {
        "entity": item.entity,
        "systemId": item.system_id,
        "reason": item.reason,
        "message": item.message,
        "attempts": item.attempts,
    }


def deletion_as_json(item: Deletion) -> dict[str, Any]:
    """Return a delete that is held."""
    return {
        "entity": item.entity,
        "systemId": item.system_id,
        "pageId": item.page_id,
        "participantId": item.participant_id,
        "group": {"entity": item.group_entity, "systemId": item.group_id},
        "deletedAt": time_as_json(item.deleted_at),
        "status": item.state,
    }


def time_as_json(moment: datetime | None) -> str | None:
    """Return an instant in ISO 8601, in the zone of the connection, which is UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment is not None else None


def entity_name(entity_type: str) -> str:
    """Return the API's name of a link's type; a type that is not mapped any more keeps its own."""
    entity = by_table(entity_type)
    return entity.name if entity is not None else entity_type
