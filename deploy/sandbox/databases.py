"""Databases and data sources: create, retrieve, update."""

from __future__ import annotations

from typing import Any

from deploy.sandbox import schema, texts, views
from deploy.sandbox.checks import as_bool, as_object, icon_or_cover, known_keys, tagged
from deploy.sandbox.errors import (
    ARCHIVED_TEXT,
    BLOCK_LIMIT_TEXT,
    UNDEFINED,
    Invalid,
    Json,
    NotSimulated,
    Restricted,
    unfit,
)
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.workspace import Workspace


def create(workspace: Workspace, body: Json) -> Json:
    """Make a database with its first data source; their ids differ."""
    known_keys(body, "body", ("parent", "title", "description", "is_inline", "icon", "cover", "initial_data_source"))
    parent = _page_parent(workspace, body.get("parent", UNDEFINED))
    initial = as_object(body.get("initial_data_source", {}), "body.initial_data_source")
    known_keys(initial, "body.initial_data_source", ("properties",))
    if workspace.switches.out_of_blocks:
        raise Restricted(BLOCK_LIMIT_TEXT, {"block_limit": "block_creation"})
    title = texts.parse(body.get("title", []), "body.title", workspace.name_of)
    database = {
        **_common(workspace, workspace.fresh_id(), parent),
        "title": title,
        "description": texts.parse(body.get("description", []), "body.description", workspace.name_of),
        "is_inline": as_bool(body.get("is_inline", False), "body.is_inline"),
        "is_locked": False,
        "icon": icon_or_cover(body.get("icon"), "body.icon"),
        "cover": icon_or_cover(body.get("cover"), "body.cover"),
    }
    properties = initial.get("properties", {"Name": {"title": {}}})
    source = _new_source(workspace, database["id"], title)
    # The schema first: a bad one must leave nothing behind.
    schema.create(workspace, source, properties, "body.initial_data_source.properties")
    workspace.store.put("database", database["id"], database, workspace.bot_id)
    views.add(workspace, database["id"], source["id"], views.DEFAULT, None)
    return database


def create_source(workspace: Workspace, body: Json) -> Json:
    """Add another data source to a database."""
    known_keys(body, "body", ("parent", "properties", "title", "icon"))
    kind, raw_id = tagged(body.get("parent", UNDEFINED), "body.parent", ("database_id",))
    database = workspace.get("database", canonical_uuid(raw_id, f"body.parent.{kind}"))
    _refuse_trashed(workspace, database)
    title = texts.parse(body.get("title", []), "body.title", workspace.name_of)
    source = _new_source(workspace, database["id"], title)
    return schema.create(workspace, source, body.get("properties", UNDEFINED), "body.properties")


def update(workspace: Workspace, database: Json, body: Json, version_accepts_archived: bool) -> Json:
    """Apply a PATCH to a database."""
    archived = ("archived",) if version_accepts_archived else ()
    known_keys(
        body,
        "body",
        ("parent", "title", "description", "is_inline", "icon", "cover", "in_trash", "is_locked", *archived),
    )
    changes = _changes(workspace, body, ("is_inline", "is_locked", "in_trash", *archived))
    _refuse_trashed(workspace, database, changes)
    if "parent" in body:
        changes["parent"] = _page_parent(workspace, body["parent"])
        workspace.refuse_below_itself(database, changes["parent"])
    return workspace.edit("database", database, changes, workspace.bot_id)


def update_source(workspace: Workspace, source: Json, body: Json, version_accepts_archived: bool) -> Json:
    """Apply a PATCH to a data source, its schema included."""
    archived = ("archived",) if version_accepts_archived else ()
    known_keys(body, "body", ("title", "icon", "properties", "in_trash", "parent", *archived))
    if "parent" in body:
        raise NotSimulated("moving a data source to another database")
    changes = _changes(workspace, body, ("in_trash", *archived))
    _refuse_trashed(workspace, source, changes)
    if "properties" in body:
        schema.update(workspace, source, body["properties"], workspace.bot_id)
        source = workspace.get("data_source", source["id"])
    return workspace.edit("data_source", source, changes, workspace.bot_id)


def _changes(workspace: Workspace, body: Json, flags: tuple[str, ...]) -> Json:
    changes: Json = {}
    for key in ("title", "description"):
        if key in body:
            changes[key] = texts.parse(body[key], f"body.{key}", workspace.name_of)
    for key in flags:
        if key in body:
            changes["in_trash" if key == "archived" else key] = as_bool(body[key], f"body.{key}")
    for key in ("icon", "cover"):
        if key in body:
            changes[key] = icon_or_cover(body[key], f"body.{key}")
    return changes


def _refuse_trashed(workspace: Workspace, document: Json, changes: Json | None = None) -> None:
    workspace.refuse_under_trash(document)
    if document["in_trash"] and (changes is None or changes.get("in_trash") is not False):
        raise Invalid(ARCHIVED_TEXT)


def _page_parent(workspace: Workspace, raw: Any) -> Json:
    kind, raw_id = tagged(raw, "body.parent", ("page_id", "workspace"))
    if kind == "workspace":
        raise Invalid("Internal connections cannot create databases at the top of the workspace; name a parent page.")
    if raw_id is None:
        raise unfit("body.parent.page_id", "a string", raw_id)
    page = workspace.get("page", canonical_uuid(raw_id, "body.parent.page_id"))
    _refuse_trashed(workspace, page)
    return {"type": "page_id", "page_id": page["id"]}


def _common(workspace: Workspace, object_id: str, parent: Json) -> Json:
    now_s = workspace.clock()
    return {
        "id": object_id,
        "parent": parent,
        "in_trash": False,
        "shared": None,
        "created_s": now_s,
        "created_by": workspace.bot_id,
        "edited_s": now_s,
        "edited_by": workspace.bot_id,
    }


def _new_source(workspace: Workspace, database_id: str, title: list[Json]) -> Json:
    parent = {"type": "database_id", "database_id": database_id}
    return {**_common(workspace, workspace.fresh_id(), parent), "title": title, "description": [], "properties": {}}
