"""Pages: create, edit, trash, move; the same rules for the API and, without the request limits, for persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.sandbox import relations, texts, values
from deploy.sandbox.checks import as_bool, as_object, icon_or_cover, known_keys
from deploy.sandbox.draft import Draft, lookup
from deploy.sandbox.errors import (
    ARCHIVED_TEXT,
    BLOCK_LIMIT_TEXT,
    UNDEFINED,
    Invalid,
    Json,
    NotionError,
    NotSimulated,
    Restricted,
    unfit,
)
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.workspace import Workspace


def create(workspace: Workspace, body: Json) -> Json:
    """Make a page from a request's body. The same body twice makes two pages."""
    known_keys(
        body,
        "body",
        ("parent", "properties", "icon", "cover", "children", "markdown", "template", "position", "allow_async"),
    )
    for key in ("markdown", "position", "allow_async", "children"):
        if body.get(key):
            raise NotSimulated(f"{key} when a page is created")
    if as_object(body.get("template") or {}, "body.template").get("type", "none") != "none":
        raise NotSimulated("templates")
    parent = page_parent(workspace, body.get("parent", UNDEFINED))
    icon = icon_or_cover(body.get("icon"), "body.icon")
    cover = icon_or_cover(body.get("cover"), "body.cover")
    if workspace.switches.out_of_blocks:
        raise Restricted(BLOCK_LIMIT_TEXT, {"block_limit": "block_creation"})
    if parent["type"] == "page_id":
        title = plain_page_properties(workspace, body.get("properties", {}))
        return workspace.add_page(workspace.fresh_id(), parent, title, workspace.bot_id, icon=icon, cover=cover)
    source = workspace.get("data_source", parent["data_source_id"])
    draft = Draft(workspace, source)
    parsed = values.parse_all(draft, body.get("properties", {}))
    return add_row(workspace, draft, parsed, workspace.bot_id, icon=icon, cover=cover)


def page_parent(workspace: Workspace, raw: Any) -> Json:
    """Return the parent a request names, as it is stored."""
    given = as_object(raw, "body.parent")
    kinds = ("data_source_id", "database_id", "page_id", "workspace")
    known_keys(given, "body.parent", ("type", *kinds))
    kind = given.get("type") or next((name for name in kinds if name in given), None)
    if kind not in kinds:
        raise Invalid(
            "body failed validation. Fix one:\n"
            + "\n".join(f"body.parent.{name} should be defined, instead was `undefined`." for name in kinds)
        )
    if kind == "workspace":
        raise Invalid("Internal connections cannot create pages at the top of the workspace; name a parent page.")
    if kind not in given:
        raise unfit(f"body.parent.{kind}", "defined", UNDEFINED)
    parent_id = canonical_uuid(given[kind], f"body.parent.{kind}")
    document = workspace.get(kind.removesuffix("_id"), parent_id)
    if kind == "database_id":
        sources = workspace.sources(document)
        if len(sources) != 1:
            raise Invalid(f"Databases with multiple data sources need data_source_id as the parent: {parent_id}.")
        kind, document = "data_source_id", sources[0]
    if document["in_trash"]:
        raise Invalid(ARCHIVED_TEXT)
    workspace.refuse_under_trash(document)
    return {"type": kind, kind: document["id"]}


def plain_page_properties(workspace: Workspace, raw: Any) -> Json:
    """Return the title of a page outside databases, the only property it has."""
    given = as_object(raw, "body.properties")
    for key in given:
        if key != "title":
            raise Invalid(f"{key} is not a property that exists.")
    if "title" not in given:
        return {"title": []}
    title = given["title"]
    if isinstance(title, dict):
        title = title.get("title", UNDEFINED)
    return {"title": texts.parse(title, "body.properties.title", workspace.name_of)}


def add_row(
    workspace: Workspace,
    draft: Draft,
    parsed: Mapping[str, Any],
    author_id: str,
    *,
    icon: Json | None = None,
    cover: Json | None = None,
) -> Json:
    """Store a new row, its new options and the other sides of its relations."""
    source_id = draft.source["id"]
    if workspace.store.count_children(source_id) >= workspace.switches.row_limit:
        raise NotionError(409, "row_limit_exceeded", "This data source has reached its limit of rows.")
    source = draft.save(author_id)
    page_id = workspace.fresh_id()
    page = workspace.add_page(
        page_id, {"type": "data_source_id", "data_source_id": source_id}, parsed, author_id, icon=icon, cover=cover
    )
    if any(prop["type"] == "unique_id" for prop in source["properties"].values()):
        number = int(source.get("last_number", 0)) + 1
        workspace.store.put("data_source", source_id, {**source, "last_number": number})
        page = {**page, "number": number}
        workspace.store.put("page", page_id, page)
    for property_id, value in parsed.items():
        relations.keep_in_step(workspace, page, source["properties"][property_id], (), value or (), author_id)
    return workspace.store.get("page", page_id) or page


def update(workspace: Workspace, page: Json, body: Json, version_accepts_archived: bool) -> Json:
    """Apply a PATCH: only what it names changes; a page in the trash takes nothing but its restoring."""
    archived = ("archived",) if version_accepts_archived else ()
    known_keys(
        body,
        "body",
        ("properties", "icon", "cover", "is_locked", "in_trash", "is_archived", "template", "erase_content", *archived),
    )
    for key in ("template", "erase_content"):
        if body.get(key):
            raise NotSimulated(f"{key} when a page is updated")
    changes: Json = {}
    for key in ("in_trash", "is_locked", "is_archived", *archived):
        if key in body:
            changes["in_trash" if key == "archived" else key] = as_bool(body[key], f"body.{key}")
    for key in ("icon", "cover"):
        if key in body:
            changes[key] = icon_or_cover(body[key], f"body.{key}")
    workspace.refuse_under_trash(page)
    if page["in_trash"] and changes.get("in_trash") is not False:
        raise Invalid(ARCHIVED_TEXT)
    source = workspace.source_of(page)
    if source is None:
        if "properties" in body:
            changes["properties"] = plain_page_properties(workspace, body["properties"])
        return workspace.edit("page", page, changes, workspace.bot_id)
    draft = Draft(workspace, source)
    parsed = values.parse_all(draft, body.get("properties", {}))
    return write(workspace, page, draft, parsed, workspace.bot_id, changes)


def write(
    workspace: Workspace,
    page: Json,
    draft: Draft,
    parsed: Mapping[str, Any],
    author_id: str,
    changes: Mapping[str, Any],
) -> Json:
    """Store parsed values and other changes of a row."""
    source = draft.save(author_id)
    before = page["properties"]
    full = {key: value for key, value in parsed.items() if key in before or value != values.EMPTY[_kind(source, key)]}
    page = workspace.edit("page", page, {**changes, "properties": {**before, **full}}, author_id)
    for property_id, value in full.items():
        prop = source["properties"][property_id]
        relations.keep_in_step(workspace, page, prop, before.get(property_id) or (), value or (), author_id)
    return workspace.store.get("page", page["id"]) or page


def _kind(source: Json, property_id: str) -> str:
    return str(source["properties"][property_id]["type"])


def move(workspace: Workspace, page: Json, parent: Json, author_id: str) -> Json:
    """Give a page another parent; values go along where a property of the same name and type waits for them."""
    old_parent = page["parent"]
    if old_parent == parent:
        raise Invalid("New parent must be different from the current parent.")
    workspace.refuse_below_itself(page, parent)
    source = workspace.source_of(page)
    target_id = parent.get("data_source_id")
    target = workspace.store.get("data_source", target_id) if target_id else None
    relations.cut(workspace, page, author_id)
    page = workspace.store.get("page", page["id"]) or page
    carried: Json = {"title": page["properties"].get("title", [])}
    for prop in source["properties"].values() if source and target else ():
        waiting = lookup(target or {}, prop["name"])
        if (
            waiting
            and waiting["type"] == prop["type"]
            and "options" not in prop["config"]
            and prop["type"] != "relation"
        ):
            carried[waiting["id"]] = page["properties"].get(prop["id"], values.EMPTY.get(prop["type"]))
    return workspace.edit("page", page, {"parent": parent, "properties": carried}, author_id)
