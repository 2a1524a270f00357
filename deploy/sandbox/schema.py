"""Property configs: creating a schema and changing it by name or id, with what a change does to the rows."""

from __future__ import annotations

import copy
from typing import Any, Final

from deploy.sandbox import options, relations
from deploy.sandbox.checks import as_object, as_text, known_keys, one_of
from deploy.sandbox.draft import check_size, lookup
from deploy.sandbox.errors import UNDEFINED, Invalid, Json, NotSimulated, unfit
from deploy.sandbox.ids import fresh_property_id
from deploy.sandbox.retyping import retype_rows
from deploy.sandbox.workspace import Workspace

# fmt: off
NUMBER_FORMATS: Final = frozenset((
    "number", "number_with_commas", "percent", "dollar", "australian_dollar", "canadian_dollar",
    "singapore_dollar", "euro", "pound", "yen", "ruble", "rupee", "won", "yuan", "real", "lira", "rupiah",
    "franc", "hong_kong_dollar", "new_zealand_dollar", "krona", "norwegian_krone", "mexican_peso", "rand",
    "new_taiwan_dollar", "danish_krone", "zloty", "baht", "forint", "koruna", "shekel", "chilean_peso",
    "philippine_peso", "dirham", "colombian_peso", "riyal", "ringgit", "leu", "argentine_peso", "uruguayan_peso",
    "peruvian_sol", "vietnamese_dong", "pakistani_rupee", "nigerian_naira", "bitcoin",
))
# fmt: on
# fmt: off
_PLAIN: Final = frozenset((
    "title", "rich_text", "url", "people", "files", "email", "phone_number", "date", "checkbox", "created_by",
    "created_time", "last_edited_by", "last_edited_time",
))
# fmt: on
_CONFIGURED: Final = ("number", "select", "multi_select", "status", "relation", "unique_id")
_UNSIMULATED: Final = ("formula", "rollup", "button", "verification", "place", "location", "last_visited_time")
_TYPES: Final = (*sorted(_PLAIN), *_CONFIGURED, *_UNSIMULATED)
_WITH_OPTIONS: Final = frozenset({"select", "multi_select", "status"})


def create(workspace: Workspace, source: Json, raw: Any, path: str) -> Json:
    """Return `source`, stored, with its first properties: exactly one of them is the title."""
    given = as_object(raw, path)
    titles = [name for name, config in given.items() if _type_of(config, f"{path}.{name}") == "title"]
    if len(titles) != 1:
        what = "Title is not provided" if not titles else f"There can be only one title property, found {titles}"
        raise Invalid(f"body failed validation: {path}: {what}.")
    source = {**source, "properties": {}}
    for name, config in given.items():
        _add(workspace, source, name, config, f"{path}.{name}")
    check_size(source, workspace.switches.schema_limit_bytes)
    workspace.store.put("data_source", source["id"], source, source["created_by"])
    for prop in list(source["properties"].values()):
        relations.mirror(workspace, source["id"], prop["id"], source["created_by"])
    return workspace.store.get("data_source", source["id"]) or source


def update(workspace: Workspace, before: Json, raw: Any, author_id: str, path: str = "body.properties") -> Json:
    """Apply a schema update: every entry is checked before anything is stored. Return the data source."""
    source = copy.deepcopy(before)
    for key, config in as_object(raw, path).items():
        prop = lookup(source, key)
        here = f"{path}.{key}"
        if config is None:
            if prop is None:
                raise Invalid(f"{key} is not a property that exists.")
            if prop["type"] == "title":
                raise Invalid("Cannot remove the title property.")
            del source["properties"][prop["id"]]
        elif prop is None:
            if set(as_object(config, here)) <= {"name", "description"}:
                raise Invalid(f"{key} is not a property that exists.")
            if _type_of(config, here) == "title":
                raise Invalid("Cannot add a second title property.")
            _add(workspace, source, config.get("name", key), config, here)
        else:
            _change(workspace, source, prop, config, here)
    check_size(source, workspace.switches.schema_limit_bytes)
    return store(workspace, before, source, author_id)


def store(workspace: Workspace, before: Json, after: Json, author_id: str) -> Json:
    """Store a changed schema and carry the change through the rows and the other sides of relations."""
    source_id = before["id"]
    workspace.edit("data_source", before, {"properties": after["properties"]}, author_id)
    old, new = before["properties"], after["properties"]
    for property_id, prop in old.items():
        if property_id not in new or new[property_id]["type"] != prop["type"]:
            relations.drop_mirror(workspace, prop, author_id)
    for property_id, prop in new.items():
        if property_id not in old or old[property_id]["type"] != prop["type"]:
            relations.mirror(workspace, source_id, property_id, author_id)
        elif old[property_id]["name"] != prop["name"]:
            relations.tell_mirror(workspace, prop)
    retype_rows(workspace, source_id, old, author_id)
    return workspace.store.get("data_source", source_id) or after


def _type_of(config: Any, path: str) -> str:
    given = as_object(config, path)
    kind = given.get("type")
    found = [name for name in _TYPES if name in given]
    if kind is None and len(found) == 1:
        kind = found[0]
    if kind not in _TYPES or [kind] != found:
        raise Invalid(
            "body failed validation. Fix one:\n"
            + "\n".join(f"{path}.{name} should be defined, instead was `undefined`." for name in _TYPES)
        )
    if kind in _UNSIMULATED:
        raise NotSimulated(f"properties of type {kind}")
    return str(kind)


def _free_name(source: Json, name: Any, path: str, but: str | None = None) -> str:
    text = as_text(name, path, 2000)
    if not text:
        raise unfit(path, "populated", text)
    if any(prop["name"] == text and prop["id"] != but for prop in source["properties"].values()):
        raise Invalid(f"body failed validation: {path}: a property named `{text}` exists already.")
    return text


def _text_or_null(value: Any, path: str) -> str | None:
    return None if value is None else as_text(value, path, 2000)


def _add(workspace: Workspace, source: Json, name: Any, config: Json, path: str) -> None:
    kind = _type_of(config, path)
    known_keys(config, path, (kind, "type", "name", "description"))
    properties = source["properties"]
    property_id = "title" if kind == "title" else fresh_property_id(workspace.rng, properties)
    properties[property_id] = {
        "id": property_id,
        "name": _free_name(source, name, f"{path}.name"),
        "description": _text_or_null(config.get("description"), f"{path}.description"),
        "type": kind,
        "config": _config(workspace, kind, config[kind], {}, f"{path}.{kind}"),
    }


def _change(workspace: Workspace, source: Json, prop: Json, config: Any, path: str) -> None:
    given = as_object(config, path)
    if "name" in given:
        prop["name"] = _free_name(source, given["name"], f"{path}.name", but=prop["id"])
    if "description" in given:
        prop["description"] = _text_or_null(given["description"], f"{path}.description")
    if set(given) <= {"name", "description", "id"}:
        return
    kind = _type_of(given, path)
    known_keys(given, path, (kind, "type", "name", "description", "id"))
    if (kind == "title") != (prop["type"] == "title"):
        raise Invalid("The title property cannot be retyped, and no other property can become the title.")
    current = prop["config"] if prop["type"] == kind else {}
    if kind in _WITH_OPTIONS and prop["type"] in _WITH_OPTIONS:
        current = {"options": prop["config"]["options"]}
    if kind == "relation" and prop["type"] == "relation":
        asked = relations.config(workspace, as_object(given[kind], f"{path}.relation"), f"{path}.relation")
        if any(asked[key] != current[key] for key in ("data_source_id", "kind")):
            raise NotSimulated("changing the target or the kind of a relation; remove it and add a new one")
        return
    prop["config"] = _config(workspace, kind, given[kind], current, f"{path}.{kind}")
    prop["type"] = kind


def _config(workspace: Workspace, kind: str, value: Any, current: Json, path: str) -> Json:
    given = as_object(value, path)
    if kind in _PLAIN:
        known_keys(given, path, ())
        return {}
    if kind == "number":
        known_keys(given, path, ("format",))
        wanted_format = given.get("format", current.get("format", "number"))
        return {"format": one_of(wanted_format, f"{path}.format", NUMBER_FORMATS, "a valid number format")}
    if kind == "unique_id":
        known_keys(given, path, ("prefix",))
        return {"prefix": _text_or_null(given.get("prefix"), f"{path}.prefix")}
    if kind == "relation":
        return relations.config(workspace, given, path)
    known_keys(given, path, ("options", "groups") if kind == "status" else ("options",))
    if "groups" in given:
        raise unfit(f"{path}.groups", "not present", given["groups"])
    known: list[Json] = current.get("options", [])
    if kind != "status":
        wanted = given.get("options", UNDEFINED)
        return {
            "options": known
            if wanted is UNDEFINED
            else options.replaced(wanted, f"{path}.options", known, workspace.rng)
        }
    status = current if "groups" in current else options.default_status(workspace.rng)
    if "options" in given:
        listed = options.replaced(given["options"], f"{path}.options", known, workspace.rng)
        status = {"options": listed, "groups": options.regrouped(status["groups"], listed)}
    return status
