"""The schema of Notion's databases: how each field is declared, and whether a property found there is that field."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.mapping.entities import by_name, field_of
from sinks.mapping.model import Field, Kind, Mirror
from sinks.notion.colours import colour_of
from sinks.notion.properties import JsonObject, notion_type


def schema_of(field: Field, target: str | None = None) -> JsonObject:
    """Return the property's configuration for setup; `target` is the data source that a relation points at.

    ValueError for a relation without target, and for the far side of a dual relation: Notion makes that one.
    """
    match field.kind:
        case Kind.MONEY:
            return {"number": {"format": "australian_dollar"}}
        case Kind.SELECT:
            return {"select": {"options": [{"name": label, "color": colour_of(label)} for label in field.options]}}
        case Kind.RELATION:
            if target is None or field.target is None or isinstance(field.source, Mirror):
                raise ValueError(f"the relation {field.name!r} is declared with its target, and never from its mirror")
            if field.mirror is None:
                return {"relation": {"data_source_id": target, "single_property": {}}}
            mirror = field_of(by_name(field.target), field.mirror)
            return {"relation": {"data_source_id": target, "dual_property": {"synced_property_name": mirror.name}}}
        case _:
            return {notion_type(field.kind): {}}


def same_type(field: Field, prop_config: Mapping[str, object], target: str | None = None) -> bool:
    """Whether a property found in Notion can hold the field; with `target`, a relation must point at it.

    Options, number formats and names are people's to change and do not count.
    """
    kind = notion_type(field.kind)
    if prop_config.get("type") != kind:
        return False
    if field.kind is not Kind.RELATION or target is None:
        return True
    relation = prop_config.get("relation")
    return isinstance(relation, Mapping) and _same_id(relation.get("data_source_id"), target)


def _same_id(found: object, wanted: str) -> bool:
    return isinstance(found, str) and found.replace("-", "").lower() == wanted.replace("-", "").lower()
