"""What persons do in Notion's own app: edit, create, trash, duplicate, move, change the schema, share.

Every method takes `person` (a name or id; the first person by default) and makes that person the author.
Values may be Notion's write form ({"select": {"name": "High"}}) or plain ones ("High"), see `plain.written`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deploy.sandbox import comments, pages, relations, texts, values
from deploy.sandbox.designers import Designers
from deploy.sandbox.draft import Draft
from deploy.sandbox.errors import Json
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.plain import shown, written


class People(Designers):
    """The persons' hands. Raises LookupError for what does not exist and NotionError for values that can't be."""

    # Pages

    def create(self, database: str, properties: Mapping[str, Any], *, person: str | None = None) -> str:
        """Add a row and return its page id."""
        by = self._workspace.person(person)["id"]
        draft = Draft(self._workspace, self.source(database))
        page = pages.add_row(self._workspace, draft, self._parsed(draft, properties), by)
        self._moved()
        return str(page["id"])

    def edit(self, page: str, properties: Mapping[str, Any], *, person: str | None = None) -> None:
        """Change properties of a page."""
        by = self._workspace.person(person)["id"]
        document = self.page(page)
        source = self._workspace.source_of(document)
        if source is None:
            title = {"title": texts.plain(str(properties["title"]))}
            self._workspace.edit("page", document, {"properties": title}, by)
        else:
            draft = Draft(self._workspace, source)
            pages.write(self._workspace, document, draft, self._parsed(draft, properties), by, {})
        self._moved()

    def trash(self, page: str, *, person: str | None = None) -> None:
        """Put a page, or a database, into the trash."""
        self._set(page, "in_trash", True, person)

    def restore(self, page: str, *, person: str | None = None) -> None:
        """Take it out again."""
        self._set(page, "in_trash", False, person)

    def archive(self, page: str, archived: bool = True, *, person: str | None = None) -> None:
        """Use the archive, which is not the trash."""
        self._set(page, "is_archived", archived, person)

    def duplicate(self, page: str, *, person: str | None = None) -> str:
        """Copy a row with everything in it, System ID and all; return the copy's id."""
        by = self._workspace.person(person)["id"]
        document = self.page(page)
        source = self._workspace.source_of(document)
        if source is None:
            raise LookupError("only rows of a database can be duplicated here")
        copied = {**copy.deepcopy(document["properties"])}
        copy_page = pages.add_row(self._workspace, Draft(self._workspace, source), copied, by)
        self._moved()
        return str(copy_page["id"])

    def purge(self, page: str) -> None:
        """Delete a page for good: the API answers 404 from now on, and other pages' relations lose it."""
        document = self.page(page)
        relations.cut(self._workspace, document, document["edited_by"])
        self._workspace.store.delete("page", document["id"])
        self._moved()

    def move(self, page: str, to: str | None = None, *, person: str | None = None) -> None:
        """Move a row to another database, or out of all of them (under the parent page)."""
        by = self._workspace.person(person)["id"]
        parent = {"type": "page_id", "page_id": self._workspace.parent_page_id}
        if to is not None:
            parent = {"type": "data_source_id", "data_source_id": self.source(to)["id"]}
        pages.move(self._workspace, self.page(page), parent, by)
        self._moved()

    def add_text(self, page: str, text: str, *, person: str | None = None) -> str:
        """Append a paragraph to a page's body and return its block id. Properties stay as they are."""
        by = self._workspace.person(person)["id"]
        document = self.page(page)
        now_s = self._workspace.clock()
        block_id = self._workspace.fresh_id()
        block = {
            "id": block_id, "parent": {"type": "page_id", "page_id": document["id"]}, "in_trash": False,
            "shared": None, "rich_text": texts.plain(text),
            "created_s": now_s, "created_by": by, "edited_s": now_s, "edited_by": by,
        }  # fmt: skip
        self._workspace.store.put("block", block_id, block, by)
        self._workspace.store.put("page", document["id"], {**document, "edited_s": now_s, "edited_by": by}, by)
        self._moved()
        return block_id

    def comment(self, page: str, text: str, *, discussion: str | None = None, person: str | None = None) -> str:
        """Comment on a page, in a new discussion or one that exists; return the comment's id."""
        by = self._workspace.person(person)["id"]
        document = self.page(page)
        comments.refuse_trashed(self._workspace, document)
        if discussion is not None and not comments.discussion(self._workspace, discussion):
            raise LookupError("no such discussion")
        parent = {"type": "page_id", "page_id": document["id"]}
        thread_id = discussion or self._workspace.fresh_id()
        added = comments.add(self._workspace, parent, thread_id, texts.plain(text), by)
        self._moved()
        return str(added["id"])

    def remove_comment(self, comment: str, *, person: str | None = None) -> None:
        """Delete a comment; the first of a discussion takes the discussion along."""
        found = self._workspace.store.get("comment", comment)
        if found is None:
            raise LookupError("no such comment")
        comments.remove(self._workspace, found, self._workspace.person(person)["id"])
        self._moved()

    def share(self, target: str, shared: bool | None = True) -> None:
        """Share a page or database with the connection, or not; None means as its parent is."""
        kind, document = self._page_or_database(target)
        self._workspace.store.put(kind, document["id"], {**document, "shared": shared})
        self._moved()

    def unshare(self, target: str) -> None:
        """Take a page or database away from the connection."""
        self.share(target, False)

    # Looking

    def databases(self) -> list[Json]:
        """Return every database with its schema in short."""
        return [
            {
                "id": database["id"],
                "title": texts.joined(database["title"]),
                "in_trash": database["in_trash"],
                "data_sources": [
                    {
                        "id": source["id"],
                        "properties": {prop["name"]: prop["type"] for prop in source["properties"].values()},
                        "rows": sum(not row["in_trash"] for row in self._workspace.rows(source["id"])),
                    }
                    for source in self._workspace.sources(database)
                ],
            }
            for database in self._workspace.store.all("database").values()
        ]

    def rows(self, database: str, where: Mapping[str, Any] | None = None, *, trashed: bool = False) -> list[Json]:
        """Return rows as plain values by property name, with `id`, `in_trash` and authors beside them."""
        source = self.source(database)
        found = (
            shown(self._workspace, row) for row in self._workspace.rows(source["id"]) if trashed or not row["in_trash"]
        )
        return [
            row for row in found if all(row["properties"].get(key) == value for key, value in (where or {}).items())
        ]

    def row(self, page: str) -> Json:
        """Return one row or page as plain values."""
        return shown(self._workspace, self.page(page))

    def comments(self, page: str) -> list[Json]:
        """Return the comments on a page, oldest first: id, text, author and discussion."""
        return [
            {
                "id": comment["id"],
                "text": texts.joined(comment["rich_text"]),
                "author": self._workspace.user_name(comment["created_by"]),
                "discussion_id": comment["discussion_id"],
            }
            for comment in self._workspace.children(self.page(page)["id"], "comment")
        ]

    def find(self, database: str, where: Mapping[str, Any]) -> str:
        """Return the id of the one live row that matches."""
        found = self.rows(database, where)
        if len(found) != 1:
            raise LookupError(f"{len(found)} rows of {database!r} match; exactly one is needed")
        return str(found[0]["id"])

    def page(self, page: str) -> Json:
        """Return a stored page, shared or not."""
        document = self._workspace.store.get("page", canonical_uuid(page, "page"))
        if document is None:
            raise LookupError("no such page")
        return document

    def _parsed(self, draft: Draft, properties: Mapping[str, Any]) -> dict[str, Any]:
        parsed: dict[str, Any] = {}
        for key, value in properties.items():
            prop = draft.prop(key)
            ready, raw = written(prop, value)
            parsed[prop["id"]] = raw if ready else values.parse(draft, prop, raw, f"properties.{key}")
        return parsed

    def _set(self, target: str, field: str, value: bool, person: str | None) -> None:
        kind, document = self._page_or_database(target)
        self._workspace.edit(kind, document, {field: value}, self._workspace.person(person)["id"])
        self._moved()

    def _page_or_database(self, target: str) -> tuple[str, Json]:
        for database in self._workspace.store.all("database").values():
            if target in (database["id"], texts.joined(database["title"])):
                return "database", database
        return "page", self.page(target)
