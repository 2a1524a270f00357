"""What persons do in Notion's own app: edit, create, trash, duplicate, move, change the schema, share.

Every method takes `person` (a name or id; the first person by default) and makes that person the author.
Values may be Notion's write form ({"select": {"name": "High"}}) or plain ones ("High"), see `plain.written`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from deploy.sandbox import options, pages, relations, schema, texts, values
from deploy.sandbox.draft import Draft, lookup
from deploy.sandbox.errors import Json
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.plain import shown, written
from deploy.sandbox.workspace import Workspace


class People:
    """The persons' hands. Raises LookupError for what does not exist and NotionError for values that can't be."""

    def __init__(self, workspace: Workspace, moved: Callable[[], None]) -> None:
        self._workspace = workspace
        self._moved = moved

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
        self._workspace.store.put("block", block_id, block)
        self._workspace.store.put("page", document["id"], {**document, "edited_s": now_s, "edited_by": by})
        self._moved()
        return block_id

    def share(self, target: str, shared: bool | None = True) -> None:
        """Share a page or database with the connection, or not; None means as its parent is."""
        kind, document = self._page_or_database(target)
        self._workspace.store.put(kind, document["id"], {**document, "shared": shared})
        self._moved()

    def unshare(self, target: str) -> None:
        """Take a page or database away from the connection."""
        self.share(target, False)

    # Schema

    def change_schema(self, database: str, properties: Mapping[str, Any], *, person: str | None = None) -> None:
        """Apply a schema update in the API's own form: {"Old": {"name": "New"}, "Gone": None, "X": {"number": {}}}."""
        source = self.source(database)
        schema.update(self._workspace, source, dict(properties), self._workspace.person(person)["id"])
        self._moved()

    def rename_property(self, database: str, prop: str, name: str, *, person: str | None = None) -> None:
        """Rename a property; its id and values stay."""
        self.change_schema(database, {prop: {"name": name}}, person=person)

    def remove_property(self, database: str, prop: str, *, person: str | None = None) -> None:
        """Remove a property with its values."""
        self.change_schema(database, {prop: None}, person=person)

    def retype_property(self, database: str, prop: str, kind: str, *, person: str | None = None) -> None:
        """Give a property another type; values are read as text again."""
        self.change_schema(database, {prop: {kind: {}}}, person=person)

    def add_property(self, database: str, name: str, kind: str = "rich_text", *, person: str | None = None) -> None:
        """Add a property of one's own."""
        self.change_schema(database, {name: {kind: {}}}, person=person)

    def rename_option(self, database: str, prop: str, option: str, name: str, *, person: str | None = None) -> None:
        """Rename a select option: its id stays, and so do the rows that have it."""
        self._change_option(database, prop, option, {"name": options.checked_name(name, "name")}, person)

    def recolour_option(self, database: str, prop: str, option: str, colour: str, *, person: str | None = None) -> None:
        """Give a select option another colour."""
        self._change_option(database, prop, option, {"color": colour}, person)

    def remove_option(self, database: str, prop: str, option: str, *, person: str | None = None) -> None:
        """Remove a select option; rows that had it are empty there."""
        self._change_option(database, prop, option, None, person)

    def _change_option(self, database: str, prop: str, option: str, changes: Json | None, person: str | None) -> None:
        source = self.source(database)
        changed = copy.deepcopy(source)
        found = lookup(changed, prop)
        if found is None or "options" not in found["config"]:
            raise LookupError(f"no select property {prop!r} in {database!r}")
        listed: list[Json] = found["config"]["options"]
        target = options.find(listed, option) or options.by_id(listed, option)
        if target is None:
            raise LookupError(f"no option {option!r} in {prop!r}")
        if changes is None:
            listed.remove(target)
        else:
            target.update(changes)
        schema.store(self._workspace, source, changed, self._workspace.person(person)["id"])
        self._moved()

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

    def source(self, database: str) -> Json:
        """Return a stored data source by its id, its database's id or title."""
        for candidate in self._workspace.store.all("database").values():
            if database in (candidate["id"], candidate["id"].replace("-", ""), texts.joined(candidate["title"])):
                return self._workspace.sources(candidate)[0]
        for source in self._workspace.store.all("data_source").values():
            if database in (source["id"], source["id"].replace("-", "")):
                return source
        raise LookupError(f"no database {database!r}")

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
