"""Stored documents as the API shows them, in the two versions that are simulated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from deploy.sandbox import options, texts
from deploy.sandbox.dates import shown_minute
from deploy.sandbox.errors import Json
from deploy.sandbox.ids import encoded
from deploy.sandbox.limits import REFERENCES_SHOWN
from deploy.sandbox.retyping import shown_number
from deploy.sandbox.values import EMPTY
from deploy.sandbox.workspace import NAME, Workspace

VERSIONS: Final = ("2025-09-03", "2026-03-11")
NEWEST: Final = VERSIONS[-1]
BLOCKS: Final = ("page", "database", "block")
"""The kinds of document that show as blocks of a page."""
_TIMES: Final = {"created_time": "created_s", "last_edited_time": "edited_s"}
_AUTHORS: Final = {"created_by": "created_by", "last_edited_by": "edited_by"}


def user(workspace: Workspace, user_id: str) -> Json:
    """Return a full user object, or a partial one for somebody unknown."""
    found = workspace.store.get("user", user_id)
    if found is None:
        return {"object": "user", "id": user_id}
    shown: Json = {"object": "user", "id": user_id, "name": found["name"], "avatar_url": None, "type": found["type"]}
    if found["type"] == "bot":
        shown["bot"] = {
            "owner": {"type": "workspace", "workspace": True},
            "workspace_id": workspace.workspace_id,
            "workspace_name": NAME,
            "workspace_limits": {"max_file_upload_size_in_bytes": 5_242_880},
        }
    else:
        shown["person"] = {"email": found["email"]} if workspace.switches.user_emails else {}
    return shown


def author(user_id: str) -> Json:
    """Return a partial user object."""
    return {"object": "user", "id": user_id}


def stamps(document: Json) -> Json:
    """Return who made and edited a document, and when, to the minute."""
    return {
        "created_time": shown_minute(document["created_s"]),
        "last_edited_time": shown_minute(document["edited_s"]),
        "created_by": author(document["created_by"]),
        "last_edited_by": author(document["edited_by"]),
    }


def _ending(document: Json, version: str) -> Json:
    shown: Json = {
        "icon": document.get("icon"),
        "cover": document.get("cover"),
        "in_trash": document["in_trash"],
        "url": f"https://www.notion.so/{document['id'].replace('-', '')}",
        "public_url": None,
    }
    if version < NEWEST:
        shown["archived"] = document["in_trash"]
    return shown


def parent(workspace: Workspace, document: Json) -> Json:
    """Return the parent of a page, which for a row names the database too."""
    shown = dict(document["parent"])
    if shown["type"] == "data_source_id":
        source = workspace.store.get("data_source", shown["data_source_id"])
        shown["database_id"] = source["parent"]["database_id"] if source else None
    return shown


def page(workspace: Workspace, document: Json, version: str, only: Collection[str] | None = None) -> Json:
    """Return a page object; `only` keeps the properties with these ids."""
    source = workspace.source_of(document)
    if source is None:
        shown: Json = {"title": {"id": "title", "type": "title", "title": document["properties"].get("title", [])}}
    else:
        shown = {
            prop["name"]: _page_value(workspace, document, prop)
            for prop in source["properties"].values()
            if only is None or prop["id"] in only
        }
    return {
        "object": "page",
        "id": document["id"],
        **stamps(document),
        "parent": parent(workspace, document),
        "is_archived": document["is_archived"],
        "is_locked": document["is_locked"],
        "properties": shown,
        **_ending(document, version),
    }


def _page_value(workspace: Workspace, document: Json, prop: Json) -> Json:
    kind = prop["type"]
    shown: Json = {"id": encoded(prop["id"]), "type": kind}
    if kind == "relation":
        linked = readable_relation(workspace, document, prop)
        shown["relation"] = [{"id": page_id} for page_id in linked[:REFERENCES_SHOWN]]
        shown["has_more"] = len(linked) > REFERENCES_SHOWN
    elif kind == "people":
        people = document["properties"].get(prop["id"], [])
        shown["people"] = [user(workspace, person_id) for person_id in people[:REFERENCES_SHOWN]]
    else:
        shown[kind] = value(workspace, document, prop)
    return shown


def readable_relation(workspace: Workspace, document: Json, prop: Json) -> Sequence[str]:
    """Return the linked pages that the connection may see."""
    linked: list[str] = document["properties"].get(prop["id"], [])
    found = [workspace.store.get("page", page_id) for page_id in linked]
    hide_trashed = workspace.switches.hide_trashed_relations
    return [
        target["id"]
        for target in found
        if target is not None and workspace.visible(target) and not (hide_trashed and target["in_trash"])
    ]


def value(workspace: Workspace, document: Json, prop: Json) -> Any:
    """Return the read form of a property that is neither relation nor people."""
    kind = prop["type"]
    if kind in _TIMES:
        return shown_minute(document[_TIMES[kind]])
    if kind in _AUTHORS:
        return user(workspace, document[_AUTHORS[kind]])
    if kind == "unique_id":
        return {"prefix": prop["config"]["prefix"], "number": document.get("number")}
    stored = document["properties"].get(prop["id"], EMPTY[kind])
    if kind in ("select", "status"):
        return _option(prop, stored) if stored is not None else None
    if kind == "multi_select":
        return [shown for one in stored if (shown := _option(prop, one)) is not None]
    if kind == "number" and stored is not None:
        return shown_number(stored)
    return stored


def _option(prop: Json, option_id: str) -> Json | None:
    option = options.by_id(prop["config"]["options"], option_id)
    return {key: option[key] for key in ("id", "name", "color")} if option else None


def schema(workspace: Workspace, source: Json) -> Json:
    """Return a data source's properties by name."""
    return {prop["name"]: _property(workspace, prop) for prop in source["properties"].values()}


def _property(workspace: Workspace, prop: Json) -> Json:
    config = dict(prop["config"])
    if prop["type"] == "relation":
        target = workspace.store.get("data_source", config["data_source_id"])
        kind, synced_id = config.pop("kind"), config.pop("synced_id")
        synced = target["properties"].get(synced_id) if target else None
        config |= {"database_id": target["parent"]["database_id"] if target else None, "type": kind, kind: {}}
        if synced is not None:
            config[kind] = {"synced_property_id": encoded(synced_id), "synced_property_name": synced["name"]}
    return {
        "id": encoded(prop["id"]),
        "name": prop["name"],
        "description": prop["description"],
        "type": prop["type"],
        prop["type"]: config,
    }


def data_source(workspace: Workspace, document: Json, version: str) -> Json:
    """Return a data source object."""
    database_document = workspace.store.get("database", document["parent"]["database_id"]) or {}
    return {
        "object": "data_source",
        "id": document["id"],
        "title": document["title"],
        "description": document["description"],
        "parent": document["parent"],
        "database_parent": database_document.get("parent"),
        "is_inline": database_document.get("is_inline", False),
        **stamps(document),
        "properties": schema(workspace, document),
        **_ending(document, version),
    }


def database(workspace: Workspace, document: Json, version: str) -> Json:
    """Return a database object: a container that lists its data sources and has no properties."""
    made_and_edited = stamps(document)
    return {
        "object": "database",
        "id": document["id"],
        "title": document["title"],
        "description": document["description"],
        "parent": document["parent"],
        "is_inline": document["is_inline"],
        "is_locked": document["is_locked"],
        "created_time": made_and_edited["created_time"],
        "last_edited_time": made_and_edited["last_edited_time"],
        "data_sources": [
            {"id": source["id"], "name": texts.joined(source["title"])} for source in workspace.sources(document)
        ],
        **_ending(document, version),
    }


def block(workspace: Workspace, kind: str, document: Json, version: str) -> Json:
    """Return the block that stands for a page, a database or a paragraph on its parent page."""
    shown: Json = {
        "object": "block",
        "id": document["id"],
        "parent": document["parent"],
        **stamps(document),
        "has_children": kind == "page" and any(one in BLOCKS for one, _ in workspace.store.children(document["id"])),
        "in_trash": document["in_trash"],
    }
    if version < NEWEST:
        shown["archived"] = document["in_trash"]
    if kind == "database":
        return {**shown, "type": "child_database", "child_database": {"title": texts.joined(document["title"])}}
    if kind == "page":
        return {**shown, "type": "child_page", "child_page": {"title": workspace.title_of(document)}}
    return {**shown, "type": "paragraph", "paragraph": {"rich_text": document["rich_text"], "color": "default"}}
