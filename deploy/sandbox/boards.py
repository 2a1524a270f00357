"""A database as a person sees it in Notion's own app: columns with options, rows, titles where pages are linked."""

from __future__ import annotations

from typing import Any, Final

from deploy.sandbox import texts
from deploy.sandbox.errors import Json
from deploy.sandbox.plain import shown
from deploy.sandbox.workspace import Workspace

EDITABLE: Final = frozenset(
    {"title", "rich_text", "number", "select", "status", "date", "checkbox", "email", "phone_number", "url"}
)
MOST_ROWS: Final = 200


def board(workspace: Workspace, source: Json, find: str = "") -> Json:
    """Return the first rows that hold the text `find` anywhere, whatever its case, and how many such rows there are."""
    props = sorted(source["properties"].values(), key=lambda prop: prop["type"] != "title")
    relations = {prop["name"] for prop in props if prop["type"] == "relation"}
    rows = [_row(workspace, page, relations) for page in workspace.rows(source["id"]) if not page["in_trash"]]
    found = [row for row in rows if find.casefold() in " ".join(map(_text, row["cells"].values())).casefold()]
    return {
        "title": texts.joined(source["title"]),
        "columns": [_column(prop) for prop in props],
        "rows": found[:MOST_ROWS],
        "count": len(found),
    }


def _column(prop: Json) -> Json:
    options = prop["config"].get("options", ())
    return {
        "name": prop["name"],
        "type": prop["type"],
        "editable": prop["type"] in EDITABLE,
        "options": [{"name": option["name"], "color": option["color"]} for option in options],
    }


def _row(workspace: Workspace, page: Json, relations: set[str]) -> Json:
    row = shown(workspace, page)
    cells = {
        name: _titles(workspace, value) if name in relations else value for name, value in row["properties"].items()
    }
    comments = sum(kind == "comment" for kind, _ in workspace.store.children(page["id"]))
    return {"id": page["id"], "cells": cells, "comments": comments, "last_edited_by": row["last_edited_by"]}


def _titles(workspace: Workspace, page_ids: list[str]) -> list[str]:
    pages = (workspace.store.get("page", page_id) for page_id in page_ids)
    return [workspace.title_of(page) or "Untitled" for page in pages if page is not None]


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
