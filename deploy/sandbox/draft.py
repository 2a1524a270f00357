"""A data source while a request works on it: options that values bring along are added only if all values are fit."""

from __future__ import annotations

import copy
from typing import Any

from deploy.sandbox import options
from deploy.sandbox.errors import Invalid, Json
from deploy.sandbox.ids import decodings
from deploy.sandbox.workspace import Workspace


def lookup(source: Json, key: str) -> Json | None:
    """Return the property with this name or id; ids come plain, encoded or encoded twice."""
    properties: dict[str, Json] = source["properties"]
    for prop in properties.values():
        if prop["name"] == key:
            return prop
    for decoded in decodings(key):
        if decoded in properties:
            return properties[decoded]
    return None


class Draft:
    """A private copy of a data source's properties, stored by `save` if it changed."""

    def __init__(self, workspace: Workspace, source: Json) -> None:
        self.workspace = workspace
        self._source = source
        self._copy: Json | None = None

    @property
    def source(self) -> Json:
        """The data source with the changes so far."""
        return self._copy or self._source

    def open(self) -> Json:
        """Return the copy that may be changed."""
        if self._copy is None:
            self._copy = copy.deepcopy(self._source)
        return self._copy

    def prop(self, key: str) -> Json:
        """Return the property with this name or id, or raise Notion's error."""
        found = lookup(self.source, key)
        if found is None:
            raise Invalid(f"{key} is not a property that exists.")
        return found

    def option_id(self, prop: Json, entry: Any, path: str) -> str:
        """Return the id of the option that a value names; select and multi_select make unknown names."""
        existing: list[Json] = self.source["properties"][prop["id"]]["config"]["options"]
        if isinstance(entry.get("id"), str):
            found = options.by_id(existing, entry["id"])
            if found is None and "name" not in entry:
                raise Invalid(f"{path}.id: {prop['name']} has no option with id {entry['id']}.")
            if found is not None:
                return str(found["id"])
        name = options.checked_name(entry.get("name"), f"{path}.name")
        found = options.find(existing, name)
        if found is not None:
            return str(found["id"])
        if prop["type"] == "status":
            names = ", ".join(option["name"] for option in existing)
            raise Invalid(
                f'Invalid status value for property "{prop["name"]}": "{name}". '
                f"Value must be one of the following: {names}"
            )
        option = options.made(name, self.workspace.rng)
        self.open()["properties"][prop["id"]]["config"]["options"].append(option)
        return str(option["id"])

    def save(self, author_id: str) -> Json:
        """Store what changed and return the data source."""
        if self._copy is None:
            return self._source
        check_size(self._copy, self.workspace.switches.schema_limit_bytes)
        changed = {"properties": self._copy["properties"]}
        self._source = self.workspace.edit("data_source", self._source, changed, author_id)
        self._copy = None
        return self._source


def check_size(source: Json, limit_bytes: int) -> None:
    """Refuse a schema that has grown too large, naming the largest property."""
    sizes = {prop["id"]: len(str(prop)) for prop in source["properties"].values()}
    if sum(sizes.values()) > limit_bytes:
        largest = max(sizes, key=lambda property_id: sizes[property_id])
        name = source["properties"][largest]["name"]
        raise Invalid(
            f"The schema is too large: at most {limit_bytes} bytes. The largest property is "
            f'"{name}" (id {largest}, {sizes[largest]} bytes).'
        )
