"""What webhooks tell: from the change of one document to events, before aggregation. Reads, changes nothing.

A change that was nobody's (`Change.by`) raises no event: sharing and unsharing, purging, the other side of a relation
(unless `mirror_touches` makes it an edit), what a new schema does to the rows. Nor does one that the connection can't
see. Guesses, where nothing is documented: the archive, icons and covers raise no event; a database in the trash is
`database.deleted`, its data sources and rows say nothing themselves; a page's move says nothing of its properties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from deploy.sandbox.errors import Json
from deploy.sandbox.ids import encoded
from deploy.sandbox.store import Change
from deploy.sandbox.workspace import Workspace, same

TYPES: Final = (
    "page.created", "page.properties_updated", "page.content_updated", "page.moved", "page.deleted", "page.undeleted",
    "page.locked", "page.unlocked",
    "database.created", "database.content_updated", "database.schema_updated", "database.moved", "database.deleted",
    "database.undeleted",
    "data_source.created", "data_source.content_updated", "data_source.schema_updated", "data_source.deleted",
    "data_source.undeleted",
    "comment.created", "comment.updated", "comment.deleted",
    "view.created", "view.updated", "view.deleted",
)  # fmt: skip
"""Those that the stand-in raises. Two are the old names of `data_source.…` and go to subscriptions of that time."""

Told = Iterator[tuple[str, str, Json]]
"""Type of event, id of the entity, data."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to an entity. `kind` is Notion's type, such as page.created; `authors` are user ids."""

    kind: str
    entity_id: str
    at_s: float
    authors: tuple[str, ...]
    data: Json

    @property
    def entity_type(self) -> str:
        """What the event is about, such as page."""
        return self.kind.partition(".")[0]

    @property
    def step(self) -> str:
        """What happened to it, such as created."""
        return self.kind.partition(".")[2]


def of(workspace: Workspace, change: Change) -> tuple[Event, ...]:
    """Return what a change is to the connection."""
    document = change.before if change.after is None else change.after
    if change.by is None or change.kind not in _TELLERS or document is None or not workspace.visible(document):
        return ()
    told = _TELLERS[change.kind](workspace, document, change)
    now_s = workspace.clock()
    return tuple(Event(kind, entity_id, now_s, (change.by,), told_of) for kind, entity_id, told_of in told)


def _page(workspace: Workspace, page: Json, change: Change) -> Told:
    page_id, before, placed = page["id"], change.before, {"parent": _parent(workspace, page["parent"])}
    if before is None:
        yield "page.created", page_id, placed
        yield from _row_came_or_went(workspace, page, page["parent"])
        return
    if before["parent"] != page["parent"]:
        yield "page.moved", page_id, placed
        yield from _row_came_or_went(workspace, page, before["parent"])
        yield from _row_came_or_went(workspace, page, page["parent"])
    else:
        yield from _values(workspace, before, page, placed)
    if before["in_trash"] != page["in_trash"]:
        yield f"page.{_trashing(page)}", page_id, placed
        yield from _row_came_or_went(workspace, page, page["parent"])
    if before["is_locked"] != page["is_locked"]:
        yield "page.locked" if page["is_locked"] else "page.unlocked", page_id, placed


def _values(workspace: Workspace, before: Json, page: Json, placed: Json) -> Told:
    old, new = before["properties"], page["properties"]
    changed = [key for key in {**old, **new} if not same(old.get(key), new.get(key))]
    is_row = page["parent"]["type"] == "data_source_id"
    if "title" in changed and (workspace.switches.webhook_title_as_content or not is_row):
        changed.remove("title")
        yield "page.content_updated", page["id"], {**placed, "updated_blocks": [{"id": page["id"], "type": "page"}]}
    if changed:
        yield "page.properties_updated", page["id"], {**placed, "updated_properties": [encoded(key) for key in changed]}


def _row_came_or_went(workspace: Workspace, page: Json, parent: Json) -> Told:
    source = workspace.store.get("data_source", parent.get("data_source_id", ""))
    if source is not None and workspace.visible(source):
        blocks = [{"id": page["id"], "type": "page"}]
        placed = {"parent": _parent(workspace, source["parent"])}
        yield "data_source.content_updated", source["id"], {**placed, "updated_blocks": blocks}


def _block(workspace: Workspace, block: Json, _change: Change) -> Told:
    page = workspace.store.get("page", block["parent"].get("page_id", ""))
    if page is not None:
        placed = {"parent": _parent(workspace, page["parent"])}
        yield "page.content_updated", page["id"], {**placed, "updated_blocks": [{"id": block["id"], "type": "block"}]}


def _database(workspace: Workspace, database: Json, change: Change) -> Told:
    placed = {"parent": _parent(workspace, database["parent"])}
    if change.before is None:
        yield "database.created", database["id"], placed
        for source in workspace.sources(database):
            # It was stored before its database, when nobody could see it yet.
            yield "data_source.created", source["id"], {"parent": _parent(workspace, source["parent"])}
        return
    if change.before["parent"] != database["parent"]:
        yield "database.moved", database["id"], placed
    if change.before["in_trash"] != database["in_trash"]:
        yield f"database.{_trashing(database)}", database["id"], placed


def _source(workspace: Workspace, source: Json, change: Change) -> Told:
    placed = {"parent": _parent(workspace, source["parent"])}
    if change.before is None:
        yield "data_source.created", source["id"], placed
        return
    if updated := _updated_properties(change.before["properties"], source["properties"]):
        yield "data_source.schema_updated", source["id"], {**placed, "updated_properties": updated}
    if change.before["in_trash"] != source["in_trash"]:
        yield f"data_source.{_trashing(source)}", source["id"], placed


def _updated_properties(old: Json, new: Json) -> list[Json]:
    updated = []
    for key, prop in {**old, **new}.items():
        action = "deleted" if key not in new else "created" if key not in old else "updated"
        if action != "updated" or not same(old[key], new[key]):
            updated.append({"id": encoded(key), "name": prop["name"], "action": action})
    return updated


def _comment(workspace: Workspace, comment: Json, change: Change) -> Told:
    if not workspace.switches.read_comments:
        return
    kind = comment["parent"]["type"].removesuffix("_id")
    target_id = comment["parent"][comment["parent"]["type"]]
    page_id = target_id
    if kind == "block" and (block := workspace.store.get("block", target_id)) is not None:
        page_id = block["parent"]["page_id"]
    data = {"page_id": page_id, "parent": {"id": target_id, "type": kind}}
    yield f"comment.{_writing(change)}", comment["id"], data


def _view(workspace: Workspace, view: Json, change: Change) -> Told:
    parent = {**_parent(workspace, view["parent"]), "data_source_id": view["data_source_id"]}
    data: Json = {"parent": parent}
    if change.before is None:
        data["view_type"] = view["type"]
    elif change.after is not None:
        fields = ("name", "filter", "sorts", "configuration")
        data["updated_fields"] = [field for field in fields if not same(change.before[field], view[field])]
    yield f"view.{_writing(change)}", view["id"], data


def _trashing(document: Json) -> str:
    return "deleted" if document["in_trash"] else "undeleted"


def _writing(change: Change) -> str:
    return "created" if change.before is None else "deleted" if change.after is None else "updated"


def _parent(workspace: Workspace, parent: Json) -> Json:
    kind = parent["type"]
    if kind == "workspace":
        return {"id": workspace.workspace_id, "type": "space"}
    if kind == "data_source_id":
        source = workspace.store.get("data_source", parent[kind])
        database_id = source["parent"]["database_id"] if source else None
        return {"id": database_id, "type": "database", "data_source_id": parent[kind]}
    return {"id": parent[kind], "type": kind.removesuffix("_id")}


_TELLERS: Final[dict[str, Callable[[Workspace, Json, Change], Told]]] = {
    "page": _page,
    "block": _block,
    "database": _database,
    "data_source": _source,
    "comment": _comment,
    "view": _view,
}
