"""What persons do to a database in Notion's own app: its properties, their options, its views."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from deploy.sandbox import options, schema, texts, views
from deploy.sandbox.draft import lookup
from deploy.sandbox.errors import Json
from deploy.sandbox.workspace import Workspace


class Designers:
    """The hands of persons who shape databases; part of People. `database` is a title or an id."""

    def __init__(self, workspace: Workspace, moved: Callable[[], None]) -> None:
        self._workspace = workspace
        self._moved = moved

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

    def add_view(
        self,
        database: str,
        name: str,
        *,
        kind: str = "table",
        filter: Json | None = None,  # noqa: A002 - Notion's word
        sorts: list[Json] | None = None,
        person: str | None = None,
    ) -> str:
        """Add a view of one's own and return its id."""
        source = self.source(database)
        by = self._workspace.person(person)["id"]
        fields = views.fields_of(self._workspace, source, {"name": name, "filter": filter, "sorts": sorts})
        database_id = source["parent"]["database_id"]
        added = views.add(self._workspace, database_id, source["id"], {**fields, "type": kind}, by)
        self._moved()
        return str(added["id"])

    def views(self, database: str) -> list[Json]:
        """Return the views of a database."""
        found = self._workspace.children(self.source(database)["parent"]["database_id"], "view")
        return [views.shown(view) for view in found]

    def source(self, database: str) -> Json:
        """Return a stored data source by its id, its database's id or title."""
        for candidate in self._workspace.store.all("database").values():
            if database in (candidate["id"], candidate["id"].replace("-", ""), texts.joined(candidate["title"])):
                return self._workspace.sources(candidate)[0]
        for source in self._workspace.store.all("data_source").values():
            if database in (source["id"], source["id"].replace("-", "")):
                return source
        raise LookupError(f"no database {database!r}")
