"""Lists other than queries: items of a property, blocks of a page, users, and search with its lagging index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from deploy.sandbox import rendering, texts
from deploy.sandbox.checks import as_object, as_page_size, as_text, known_keys
from deploy.sandbox.cursors import Cursors
from deploy.sandbox.draft import lookup
from deploy.sandbox.errors import Invalid, Json, unfit
from deploy.sandbox.ids import encoded
from deploy.sandbox.store import Change
from deploy.sandbox.switches import Switches
from deploy.sandbox.workspace import Workspace

_LISTED: Final = ("title", "rich_text", "relation", "people")


def listed(kind: str, results: list[Any], cursor: str | None) -> Json:
    """Return a list object, one page of it."""
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": cursor is not None,
        "type": kind,
        kind: {},
    }


def property_item(workspace: Workspace, cursors: Cursors, page: Json, key: str, size: int, cursor: str | None) -> Json:
    """Return one property of a page, whole: the way to what a page read cuts off."""
    source = workspace.source_of(page)
    title: Json = {"id": "title", "name": "title", "type": "title", "config": {}}
    prop = lookup(source or {"properties": {"title": title}}, key)
    if prop is None:
        raise Invalid(f"{key} is not a property that exists.")
    kind, shown_id = prop["type"], encoded(prop["id"])
    if kind not in _LISTED:
        value = rendering.value(workspace, page, prop)
        return {"object": "property_item", "id": shown_id, "type": kind, kind: value}
    items: list[Any]
    if kind == "relation":
        items = [{"id": page_id} for page_id in rendering.readable_relation(workspace, page, prop)]
    elif kind == "people":
        items = [rendering.user(workspace, user_id) for user_id in page["properties"].get(prop["id"], [])]
    else:
        items = page["properties"].get(prop["id"], [])
    part, following = cursors.page(f"property/{page['id']}/{prop['id']}", items, size, cursor)
    results = [{"object": "property_item", "id": shown_id, "type": kind, kind: item} for item in part]
    next_url = None
    if following is not None:
        next_url = f"https://api.notion.com/v1/pages/{page['id']}/properties/{shown_id}?start_cursor={following}"
    shown = listed("property_item", results, following)
    shown["property_item"] = {"id": shown_id, "next_url": next_url, "type": kind, kind: {}}
    return shown


def blocks(workspace: Workspace, cursors: Cursors, page: Json, size: int, cursor: str | None, version: str) -> Json:
    """Return the blocks of a page: its databases, sub-pages and paragraphs that are not in the trash."""
    found = []
    for kind, object_id in workspace.store.children(page["id"]):
        if kind not in rendering.BLOCKS:
            continue
        document = workspace.store.get(kind, object_id)
        if document is not None and not document["in_trash"] and workspace.visible(document):
            found.append((kind, document))
    part, following = cursors.page(f"blocks/{page['id']}", found, size, cursor)
    return listed("block", [rendering.block(workspace, kind, document, version) for kind, document in part], following)


def users(workspace: Workspace, cursors: Cursors, size: int, cursor: str | None) -> Json:
    """Return the persons and bots of the workspace."""
    part, following = cursors.page("users", list(workspace.store.all("user")), size, cursor)
    return listed("user", [rendering.user(workspace, user_id) for user_id in part], following)


class SearchIndex:
    """Titles as search knows them: behind the truth by search_lag_s."""

    def __init__(self, switches: Switches, monotonic: Callable[[], float]) -> None:
        self._switches = switches
        self._monotonic = monotonic
        self._late_until_s: dict[str, float] = {}

    def notice(self, change: Change) -> None:
        """Something changed: search finds it as it is now only later."""
        if change.kind in ("page", "data_source") and self._switches.search_lag_s > 0:
            self._late_until_s.setdefault(change.object_id, self._monotonic() + self._switches.search_lag_s)

    def run(self, workspace: Workspace, cursors: Cursors, body: Json, version: str) -> Json:
        """Answer a search by title."""
        known_keys(body, "body", ("query", "filter", "sort", "page_size", "start_cursor"))
        words = as_text(body.get("query", ""), "body.query", 2000).casefold()
        kinds = self._kinds(body.get("filter"))
        sort = as_object(body.get("sort") or {}, "body.sort")
        known_keys(sort, "body.sort", ("timestamp", "direction"))
        oldest_first = sort.get("direction") == "ascending"
        now_s = self._monotonic()
        found = []
        for kind in kinds:
            for document in workspace.store.all(kind).values():
                title = texts.joined(document["title"]) if kind == "data_source" else workspace.title_of(document)
                late = self._late_until_s.get(document["id"], 0.0) > now_s
                if words in title.casefold() and not late and not document["in_trash"] and workspace.visible(document):
                    found.append((kind, document))
        found.sort(key=lambda item: item[1]["edited_s"], reverse=not oldest_first)
        part, following = cursors.page("search", found, as_page_size(body.get("page_size")), body.get("start_cursor"))
        results = [
            rendering.page(workspace, document, version)
            if kind == "page"
            else rendering.data_source(workspace, document, version)
            for kind, document in part
        ]
        return listed("page_or_data_source", results, following)

    def _kinds(self, raw: Any) -> tuple[str, ...]:
        if raw is None:
            return ("page", "data_source")
        given = as_object(raw, "body.filter")
        known_keys(given, "body.filter", ("property", "value"))
        if given.get("property") != "object":
            raise unfit("body.filter.property", '`"object"`', given.get("property"))
        if given.get("value") not in ("page", "data_source"):
            raise unfit("body.filter.value", '`"page"` or `"data_source"`', given.get("value"))
        return (given["value"],)
