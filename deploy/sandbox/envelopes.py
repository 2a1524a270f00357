"""Webhook requests on the wire: the JSON of an event in a subscription's API version, and its signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from deploy.sandbox.errors import Json
from deploy.sandbox.events import Event
from deploy.sandbox.workspace import NAME, Workspace

VERSIONS: Final = ("2022-06-28", "2025-09-03", "2026-03-11")
"""The API versions that a subscription can have."""
_WITHOUT_SOURCES: Final = VERSIONS[0]
_OLD_NAMES: Final = {
    "data_source.content_updated": "database.content_updated",
    "data_source.schema_updated": "database.schema_updated",
}


def translated(event: Event, version: str) -> Event | None:
    """Return the event as an API version knows it: the oldest has databases only, and for some things no event."""
    if version != _WITHOUT_SOURCES:
        return event
    parent = {key: value for key, value in event.data["parent"].items() if key != "data_source_id"}
    known = replace(event, data={**event.data, "parent": parent})
    if event.kind in _OLD_NAMES:
        return replace(known, kind=_OLD_NAMES[event.kind], entity_id=parent["id"])
    return None if event.entity_type in ("data_source", "view") else known


def envelope(workspace: Workspace, event: Event, event_id: str, subscription_id: str, version: str) -> Json:
    """Return the body of an event's first attempt."""
    return {
        "id": event_id,
        "timestamp": _millisecond(event.at_s),
        "workspace_id": workspace.workspace_id,
        "workspace_name": NAME,
        "subscription_id": subscription_id,
        "integration_id": workspace.integration_id,
        "type": event.kind,
        "authors": [_author(workspace, user_id) for user_id in event.authors],
        "attempt_number": 1,
        "api_version": version,
        "entity": {"id": event.entity_id, "type": event.entity_type},
        "data": event.data,
    }


def minified(body: Any) -> bytes:
    """Return JSON the way JavaScript writes it: no spaces, and letters of every alphabet as they are."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; JavaScript escapes it too.
        return json.dumps(body, separators=(",", ":")).encode()


def signature(token: str, raw: bytes) -> str:
    """Return the value of X-Notion-Signature for a body."""
    return "sha256=" + hmac.new(token.encode(), raw, hashlib.sha256).hexdigest()


def _millisecond(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _author(workspace: Workspace, user_id: str) -> Json:
    user = workspace.store.get("user", user_id) or {}
    return {"id": user_id, "type": user.get("type", "person")}
