"""Plain values for people: from a plain value to Notion's write form, and from a stored row to plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.sandbox import options, rendering, texts
from deploy.sandbox.dates import shown_minute
from deploy.sandbox.errors import Json
from deploy.sandbox.retyping import shown_number
from deploy.sandbox.values import EMPTY
from deploy.sandbox.workspace import Workspace


def written(prop: Json, value: Any) -> tuple[bool, Any]:
    """Return (stored form already, value). Text is stored as typed: requests have length limits, persons don't."""
    kind = prop["type"]
    if isinstance(value, Mapping) and kind in value:
        return False, dict(value)
    if kind in ("title", "rich_text") and (value is None or isinstance(value, str)):
        return True, texts.plain(value or "")
    if value is None:
        return True, EMPTY.get(kind)
    match kind:
        case "select" | "status":
            return False, {kind: {"name": value}}
        case "multi_select":
            return False, {kind: [{"name": name} for name in value]}
        case "date" if isinstance(value, str):
            return False, {kind: {"start": value}}
        case "people" | "relation":
            ids = [value] if isinstance(value, str) else value
            return False, {kind: [{"id": one} for one in ids]}
        case _:
            return False, {kind: value}


def shown(workspace: Workspace, page: Json) -> Json:
    """Return a row as a person would list it."""
    source = workspace.source_of(page)
    if source is None:
        properties: Json = {"title": workspace.title_of(page)}
    else:
        properties = {prop["name"]: _plain(workspace, page, prop) for prop in source["properties"].values()}
    editor = workspace.store.get("user", page["edited_by"]) or {}
    return {
        "id": page["id"],
        "properties": properties,
        "in_trash": page["in_trash"],
        "parent": rendering.parent(workspace, page),
        "last_edited_time": shown_minute(page["edited_s"]),
        "last_edited_by": editor.get("name"),
    }


def _plain(workspace: Workspace, page: Json, prop: Json) -> Any:
    kind = prop["type"]
    if kind not in EMPTY:
        return rendering.value(workspace, page, prop)
    stored = page["properties"].get(prop["id"], EMPTY[kind])
    match kind:
        case "title" | "rich_text":
            return texts.joined(stored)
        case "number":
            return None if stored is None else shown_number(stored)
        case "select" | "status":
            option = options.by_id(prop["config"]["options"], stored or "")
            return option["name"] if option else None
        case "multi_select":
            found = (options.by_id(prop["config"]["options"], one) for one in stored)
            return [option["name"] for option in found if option]
        case "date":
            return stored if stored is None or stored["end"] else stored["start"]
        case _:
            return stored
