"""The API's endpoints: one function each, from a checked call to the JSON of the answer. No network here."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from deploy.sandbox import comments, databases, listings, pages, queries, rendering, views
from deploy.sandbox.calls import Call, route
from deploy.sandbox.cursors import Cursors
from deploy.sandbox.draft import lookup
from deploy.sandbox.errors import Invalid, Json, NotFound, NotionError, NotSimulated, Restricted
from deploy.sandbox.lag import QueryLag
from deploy.sandbox.workspace import Workspace


class Endpoints:
    """Finds and runs the endpoint of a call."""

    def __init__(self, workspace: Workspace, cursors: Cursors, lag: QueryLag, search: listings.SearchIndex) -> None:
        self.workspace = workspace
        self.cursors = cursors
        self.lag = lag
        self.search = search

    def answer(self, call: Call) -> Json:
        """Return the answer, or raise a NotionError; an error leaves the workspace as it was."""
        for one in _ROUTES:
            if one.method == call.method and (found := one.path.fullmatch(call.path)):
                if not all(getattr(self.workspace.switches, capability) for capability in one.needs):
                    raise Restricted
                return one.endpoint(self, replace(call, ids=found.groups()))
        if any(pattern.fullmatch(call.path) for pattern in _UNSIMULATED):
            raise NotSimulated(f"{call.method} {call.path}")
        raise NotionError(400, "invalid_request_url", "Invalid request URL.")

    def id_of(self, call: Call, kind: str) -> Json:
        """Return the visible document that the path names."""
        return self.workspace.get(kind, call.id_in_path(kind))

    def create_page(self, call: Call) -> Json:
        return self._page(call, pages.create(self.workspace, call.body))

    def retrieve_page(self, call: Call) -> Json:
        return self._page(call, self.id_of(call, "page"))

    def update_page(self, call: Call) -> Json:
        page = self.id_of(call, "page")
        only = self._only(call, page)
        updated = pages.update(self.workspace, page, call.body, call.archived_accepted)
        return rendering.page(self.workspace, updated, call.version, only)

    def move_page(self, call: Call) -> Json:
        page = self.id_of(call, "page")
        parent = pages.page_parent(self.workspace, call.body.get("parent"))
        return self._page(call, pages.move(self.workspace, page, parent, self.workspace.bot_id))

    def property_item(self, call: Call) -> Json:
        page = self.id_of(call, "page")
        return listings.property_item(
            self.workspace, self.cursors, page, call.ids[1], call.page_size, call.first("start_cursor")
        )

    def create_database(self, call: Call) -> Json:
        return rendering.database(self.workspace, databases.create(self.workspace, call.body), call.version)

    def retrieve_database(self, call: Call) -> Json:
        return rendering.database(self.workspace, self.id_of(call, "database"), call.version)

    def update_database(self, call: Call) -> Json:
        database = self.id_of(call, "database")
        changed = databases.update(self.workspace, database, call.body, call.archived_accepted)
        return rendering.database(self.workspace, changed, call.version)

    def create_source(self, call: Call) -> Json:
        return rendering.data_source(self.workspace, databases.create_source(self.workspace, call.body), call.version)

    def retrieve_source(self, call: Call) -> Json:
        return rendering.data_source(self.workspace, self.id_of(call, "data_source"), call.version)

    def update_source(self, call: Call) -> Json:
        source = self.id_of(call, "data_source")
        changed = databases.update_source(self.workspace, source, call.body, call.archived_accepted)
        return rendering.data_source(self.workspace, changed, call.version)

    def query_source(self, call: Call) -> Json:
        source = self.id_of(call, "data_source")
        only = self._chosen(call, source)
        return queries.run(self.workspace, self.cursors, self.lag, source, call.body, only, call.version)

    def list_blocks(self, call: Call) -> Json:
        page = self.id_of(call, "page")
        return listings.blocks(
            self.workspace, self.cursors, page, call.page_size, call.first("start_cursor"), call.version
        )

    def retrieve_block(self, call: Call) -> Json:
        kind, document = self._block(call)
        return rendering.block(self.workspace, kind, document, call.version)

    def delete_block(self, call: Call) -> Json:
        kind, document = self._block(call)
        if kind == "database":
            trashed = databases.update(self.workspace, document, {"in_trash": True}, False)
        elif kind == "page":
            trashed = pages.update(self.workspace, document, {"in_trash": True}, False)
        else:
            trashed = self.workspace.edit(kind, document, {"in_trash": True}, self.workspace.bot_id)
        return rendering.block(self.workspace, kind, trashed, call.version)

    def _block(self, call: Call) -> tuple[str, Json]:
        block_id = call.id_in_path("block")
        for kind in ("page", "database", "block"):
            document = self.workspace.store.get(kind, block_id)
            if document is not None and self.workspace.visible(document):
                return kind, document
        raise NotFound("block", block_id)

    def me(self, _call: Call) -> Json:
        return rendering.user(self.workspace, self.workspace.bot_id)

    def retrieve_user(self, call: Call) -> Json:
        user_id = call.id_in_path("user")
        if self.workspace.store.get("user", user_id) is None:
            raise NotFound("user", user_id)
        return rendering.user(self.workspace, user_id)

    def list_users(self, call: Call) -> Json:
        return listings.users(self.workspace, self.cursors, call.page_size, call.first("start_cursor"))

    def run_search(self, call: Call) -> Json:
        return self.search.run(self.workspace, self.cursors, call.body, call.version)

    def _page(self, call: Call, page: Json) -> Json:
        return rendering.page(self.workspace, page, call.version, self._only(call, page))

    def _only(self, call: Call, page: Json) -> frozenset[str] | None:
        source = self.workspace.source_of(page)
        return None if source is None else self._chosen(call, source)

    def _chosen(self, call: Call, source: Json) -> frozenset[str] | None:
        """Return the property ids that filter_properties names; clients repeat it with and without `[]`."""
        keys = [*call.query.get("filter_properties", ()), *call.query.get("filter_properties[]", ())]
        if not keys:
            return None
        chosen = []
        for key in keys:
            prop = lookup(source, key)
            if prop is None:
                raise Invalid(f"query failed validation: Could not find property with name or id: {key}")
            chosen.append(prop["id"])
        return frozenset(chosen)


_ROUTES: Final = (
    route("POST", "/v1/pages", "insert_content", Endpoints.create_page),
    route("GET", "/v1/pages/{}", "read_content", Endpoints.retrieve_page),
    route("PATCH", "/v1/pages/{}", "update_content", Endpoints.update_page),
    route("POST", "/v1/pages/{}/move", "update_content", Endpoints.move_page),
    route("GET", "/v1/pages/{}/properties/{}", "read_content", Endpoints.property_item),
    route("POST", "/v1/databases", "insert_content", Endpoints.create_database),
    route("GET", "/v1/databases/{}", "read_content", Endpoints.retrieve_database),
    route("PATCH", "/v1/databases/{}", "update_content", Endpoints.update_database),
    route("POST", "/v1/data_sources", "insert_content", Endpoints.create_source),
    route("GET", "/v1/data_sources/{}", "read_content", Endpoints.retrieve_source),
    route("PATCH", "/v1/data_sources/{}", "update_content", Endpoints.update_source),
    route("POST", "/v1/data_sources/{}/query", "read_content", Endpoints.query_source),
    route("GET", "/v1/blocks/{}/children", "read_content", Endpoints.list_blocks),
    route("GET", "/v1/blocks/{}", "read_content", Endpoints.retrieve_block),
    route("DELETE", "/v1/blocks/{}", "update_content", Endpoints.delete_block),
    route("GET", "/v1/users/me", "read_content", Endpoints.me),
    route("GET", "/v1/users/{}", "read_content", Endpoints.retrieve_user),
    route("GET", "/v1/users", "read_content", Endpoints.list_users),
    route("POST", "/v1/search", "read_content", Endpoints.run_search),
    *comments.ROUTES,
    *views.ROUTES,
)
# Paths that the real service has: a client that needs one must learn that the stand-in does not do it.
_UNSIMULATED: Final = tuple(
    re.compile(path)
    for path in (
        r"/v1/(comments|views|file_uploads|oauth|custom_emojis|async_tasks|blocks|agents|sessions)(/.*)?",
        r"/v1/pages/[^/]+/markdown",
        r"/v1/data_sources/[^/]+/templates",
        r"/v1/databases/[^/]+/query",
        r"/v1/(pages|databases|data_sources|users|search)(/[^/]+)?",
    )
)
