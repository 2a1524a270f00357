"""Views of a database: tabs with a name, a filter and sorts, stored and returned.

From the documentation: a new database has one table view; lists hold references, the rest takes a second call;
creating needs the capabilities to insert and to update; the last view of a database can't be deleted. Guesses:
filter and sorts are checked as in a query and come back as they were written, property names and all; two views may
have one name; the type never changes; the first view is called "Default view". Not simulated: dashboards, forms,
charts, maps, linked views, places in the tab bar, quick filters, and queries through a view. A configuration is kept
without a look inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deploy.sandbox import filters, listings, queries, rendering
from deploy.sandbox.calls import Call, Desk, route
from deploy.sandbox.checks import as_array, as_object, as_text, known_keys, one_of
from deploy.sandbox.errors import ARCHIVED_TEXT, UNDEFINED, Invalid, Json, NotSimulated, unfit
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.workspace import Workspace

_TYPES: Final = ("table", "board", "list", "calendar", "timeline", "gallery")
_UNSIMULATED_TYPES: Final = ("form", "chart", "map", "dashboard")
FIELDS: Final = ("name", "filter", "sorts", "configuration")
"""What of a view can change."""
DEFAULT: Final[Json] = {
    "name": "Default view", "type": "table", "filter": None, "sorts": None, "configuration": None,
}  # fmt: skip


def add(workspace: Workspace, database_id: str, source_id: str, fields: Mapping[str, Any], by: str | None) -> Json:
    """Store a new view and return it; `by` None means that it came with its database."""
    author_id, now_s = by or workspace.bot_id, workspace.clock()
    view: Json = {
        **DEFAULT, **fields, "id": workspace.fresh_id(), "data_source_id": source_id,
        "parent": {"type": "database_id", "database_id": database_id}, "in_trash": False, "shared": None,
        "created_s": now_s, "created_by": author_id, "edited_s": now_s, "edited_by": author_id,
    }  # fmt: skip
    workspace.store.put("view", view["id"], view, by)
    return view


def remove(workspace: Workspace, view: Json, by: str) -> None:
    """Delete a view that is not the last of its database."""
    if len(workspace.children(view["parent"]["database_id"], "view")) == 1:
        raise Invalid("The last view of a database cannot be deleted; delete the database instead.")
    workspace.store.delete("view", view["id"], by)


def fields_of(workspace: Workspace, source: Json, body: Json) -> Json:
    """Return the parts of a view that `body` names, checked."""
    fields: Json = {}
    if "name" in body:
        fields["name"] = as_text(body["name"], "body.name", 2000)
        if not fields["name"]:
            raise unfit("body.name", "populated", "")
    if "filter" in body:
        if body["filter"] is not None:
            filters.compiled(workspace, source, body["filter"])
        fields["filter"] = body["filter"]
    if "sorts" in body:
        sorts = None if body["sorts"] is None else as_array(body["sorts"], "body.sorts")
        for index, sort in enumerate(sorts or ()):
            queries.sort_key(source, sort, index)
        fields["sorts"] = sorts or None
    if "configuration" in body:
        fields["configuration"] = as_object(body["configuration"], "body.configuration")
    return fields


def shown(view: Json) -> Json:
    """Return a view as the API shows it."""
    return {
        "object": "view",
        "id": view["id"],
        "parent": view["parent"],
        "data_source_id": view["data_source_id"],
        "name": view["name"],
        "type": view["type"],
        "filter": view["filter"],
        "sorts": view["sorts"],
        "quick_filters": None,
        "configuration": view["configuration"],
        **rendering.stamps(view),
        "url": "https://www.notion.so/{}?v={}".format(
            view["parent"]["database_id"].replace("-", ""), view["id"].replace("-", "")
        ),
    }


def _create(desk: Desk, call: Call) -> Json:
    workspace, body = desk.workspace, call.body
    places = ("database_id", "view_id", "create_database")
    others = ("quick_filters", "position", "placement")
    known_keys(body, "body", ("data_source_id", "type", *FIELDS, *places, *others))
    for key in ("data_source_id", "name", "type"):
        if key not in body:
            raise unfit(f"body.{key}", "defined", UNDEFINED)
    if sum(place in body for place in places) != 1:
        raise Invalid(
            "body failed validation: exactly one of " + ", ".join(f"body.{place}" for place in places) + " should be "
            "defined."
        )
    if unsimulated := [key for key in (*places[1:], *others) if key in body]:
        raise NotSimulated(f"{unsimulated[0]} of views")
    kind = one_of(body["type"], "body.type", (*_TYPES, *_UNSIMULATED_TYPES), "a valid view type")
    if kind in _UNSIMULATED_TYPES:
        raise NotSimulated(f"views of type {kind}")
    database = workspace.get("database", canonical_uuid(body["database_id"], "body.database_id"))
    source = workspace.get("data_source", canonical_uuid(body["data_source_id"], "body.data_source_id"))
    if source["parent"]["database_id"] != database["id"]:
        raise NotSimulated("linked views: the data source belongs to another database")
    if source["in_trash"]:
        raise Invalid(ARCHIVED_TEXT)
    workspace.refuse_under_trash(source)
    fields = {**fields_of(workspace, source, body), "type": kind}
    return shown(add(workspace, database["id"], source["id"], fields, workspace.bot_id))


def _update(desk: Desk, call: Call) -> Json:
    workspace = desk.workspace
    known_keys(call.body, "body", (*FIELDS, "quick_filters"))
    if call.body.get("quick_filters"):
        raise NotSimulated("quick_filters of views")
    view = workspace.get("view", call.id_in_path("view"))
    workspace.refuse_under_trash(view)
    changes = fields_of(workspace, workspace.get("data_source", view["data_source_id"]), call.body)
    return shown(workspace.edit("view", view, changes, workspace.bot_id))


def _delete(desk: Desk, call: Call) -> Json:
    view = desk.workspace.get("view", call.id_in_path("view"))
    remove(desk.workspace, view, desk.workspace.bot_id)
    return {"object": "view", "id": view["id"], "parent": view["parent"], "type": view["type"]}


def _retrieve(desk: Desk, call: Call) -> Json:
    return shown(desk.workspace.get("view", call.id_in_path("view")))


def _list(desk: Desk, call: Call) -> Json:
    asked = {kind: call.first(f"{kind}_id") for kind in ("database", "data_source")}
    if not any(asked.values()):
        raise Invalid("query failed validation: query.database_id or query.data_source_id should be defined.")
    found = list(desk.workspace.store.all("view").values())
    for kind, raw_id in asked.items():
        if raw_id is not None:
            wanted = desk.workspace.get(kind, canonical_uuid(raw_id, f"query failed validation: query.{kind}_id"))["id"]
            found = [one for one in found if wanted in (one["data_source_id"], one["parent"]["database_id"])]
    listing = f"views/{asked['database']}/{asked['data_source']}"
    part, cursor = desk.cursors.page(listing, found, call.page_size, call.first("start_cursor"))
    return listings.listed("view", [{"object": "view", "id": one["id"]} for one in part], cursor)


ROUTES: Final = (
    route("POST", "/v1/views", "insert_content update_content", _create),
    route("GET", "/v1/views", "read_content", _list),
    route("GET", "/v1/views/{}", "read_content", _retrieve),
    route("PATCH", "/v1/views/{}", "update_content", _update),
    route("DELETE", "/v1/views/{}", "update_content", _delete),
)
