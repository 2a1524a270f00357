"""What a database in Notion lacks to hold an entity: pure planning, from the schema found to the changes to send.

Names are people's: a property that is known is found by its id, whatever it is called now. Nothing here removes or
renames what a person made; what stands in the way is an error that says which property, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.columns import same_type, schema_of
from sinks.notion.options import labels_of
from state.errors import FatalError

Schema = Mapping[str, Any]
"""A data source as Notion answers it."""

Targets = Mapping[str, str]
"""The data source of each entity that has one, by the entity's name."""

Options = Mapping[str, Mapping[str, str]]
"""What options stand for, by field and option id."""

_NO_OPTIONS: Final[Options] = MappingProxyType({})

UNTOUCHED_TITLES: Final = frozenset({"", "Name"})
"""What Notion calls the title of a new database: nobody chose it."""

GENERATED_MIRROR: Final = "Related to "
"""How the name begins that Notion makes up for the other side of a dual relation."""

OPTIONS_A_REQUEST: Final = 100


@dataclass(frozen=True, slots=True)
class OtherSide:
    """The mirror of a dual relation, as the relation's own schema names it."""

    property_id: str
    name: str

    def named(self, name: str, *, relation_is_ours: bool) -> bool:
        """Whether nothing is to be renamed: it is called `name`, or what a person called it."""
        made_up = self.name.startswith(GENERATED_MIRROR) or relation_is_ours
        return self.name == name or not made_up


def initial(entity: Entity, targets: Targets) -> dict[str, Any]:
    """Return the properties of a database that is about to be made."""
    return {field.name: config for field, config in _wanted(entity, targets)}


def changes(
    entity: Entity, schema: Schema, stored: Mapping[str, str], targets: Targets, options: Options = _NO_OPTIONS
) -> dict[str, Any]:
    """Return what has to be changed in `schema`, empty when it lacks nothing.

    `stored`: known property ids by field; `options`: what known options stand for, by field. Raises FatalError when a
    property of a person's stands in the way.
    """
    found: dict[str, Any] = {}
    for field, config in _wanted(entity, targets):
        current = current_of(field, schema, stored)
        if current is None:
            _check_free(entity, field, schema)
            found[field.name] = config
        elif field.kind is Kind.TITLE:
            if _renames_title(field, current, schema, stored):
                found[str(current["id"])] = {"name": field.name}
        elif not same_type(field, current, _target(field, targets)):
            raise _unfit(entity, field, current, next(iter(config)))
        elif field.kind is Kind.SELECT and (
            listed := _completed_options(entity, field, current, config, options.get(field.key, {}))
        ):
            found[str(current["id"])] = {"select": {"options": listed}}
    return found


def labels(entity: Entity, schema: Schema, ids: Mapping[str, str], options: Options) -> dict[str, dict[str, str]]:
    """Return what the options of each select stand for; `ids`: its property's, by field.

    What is known stays, also of an option that is gone: whoever watches the schema has to see that it went.
    """
    found = {}
    for field in entity.fields:
        prop = _by_id(schema, ids.get(field.key))
        if field.kind is Kind.SELECT and prop is not None:
            known = dict(options.get(field.key, {}))
            now = labels_of(field, prop["select"].get("options") or [], known)
            fresh = {option_id: label for option_id, label in now.items() if label not in known.values()}
            found[field.key] = {**known, **fresh}
    return found


def property_ids(entity: Entity, schema: Schema, stored: Mapping[str, str]) -> dict[str, str]:
    """Return the id of each field's property. A mirror keeps what is stored: see `other_side`."""
    ids = {}
    for field in entity.fields:
        if isinstance(field.source, Mirror):
            if field.key in stored:
                ids[field.key] = stored[field.key]
        elif (current := current_of(field, schema, stored)) is not None:
            ids[field.key] = str(current["id"])
    return ids


def made_again(stored: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the fields whose property is another one than before: its values went with the old one."""
    return tuple(key for key, property_id in now.items() if stored.get(key, property_id) != property_id)


def other_side(schema: Schema, property_id: str | None) -> OtherSide | None:
    """Return the other side of the relation with this id; None when it shows on one side only."""
    relation = (_by_id(schema, property_id) or {}).get("relation") or {}
    dual = relation.get("dual_property") or {}
    if not dual.get("synced_property_id"):
        return None
    return OtherSide(str(dual["synced_property_id"]), str(dual.get("synced_property_name") or ""))


def current_of(field: Field, schema: Schema, stored: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the property that stands for `field`: the title by its type, others by the id we know, else by name."""
    if field.kind is Kind.TITLE:
        title: Mapping[str, Any] = next(prop for prop in schema["properties"].values() if prop["type"] == "title")
        return title
    known = _by_id(schema, stored.get(field.key))
    if known is not None:
        return known
    others = {property_id for key, property_id in stored.items() if key != field.key}
    named: Mapping[str, Any] | None = schema["properties"].get(field.name)
    # a property that serves another field, and was given this one's name, is not this one
    return named if named is not None and named["id"] not in others else None


def _wanted(entity: Entity, targets: Targets) -> list[tuple[Field, dict[str, Any]]]:
    """Return the properties that can be made now: relations once their target stands, mirrors never."""
    return [
        (field, dict(schema_of(field, _target(field, targets))))
        for field in entity.fields
        if not isinstance(field.source, Mirror)
        and (field.kind is not Kind.RELATION or _target(field, targets) is not None)
    ]


def _target(field: Field, targets: Targets) -> str | None:
    return targets.get(field.target) if field.target is not None else None


def _by_id(schema: Schema, property_id: str | None) -> Mapping[str, Any] | None:
    return next((prop for prop in schema["properties"].values() if prop["id"] == property_id), None)


def _renames_title(field: Field, current: Mapping[str, Any], schema: Schema, stored: Mapping[str, str]) -> bool:
    """Whether the title gets our name: only where nobody gave it one, and the name is free."""
    return (
        field.key not in stored
        and current["name"] != field.name
        and current["name"] in UNTOUCHED_TITLES
        and field.name not in schema["properties"]
    )


def _check_free(entity: Entity, field: Field, schema: Schema) -> None:
    """Raise when a property serves another field under this one's name: adding ours would change that one."""
    folded = field.name.casefold()
    taken = next((name for name in schema["properties"] if name.casefold() == folded), None)
    if taken is not None:
        raise FatalError(
            f"{entity.title}: the name of the property {field.name} is taken by another one, {taken}",
            f"Rename the property {taken} of {entity.title} in Notion, then run setup again.",
        )


def _unfit(entity: Entity, field: Field, current: Mapping[str, Any], wanted: str) -> FatalError:
    if current["type"] == wanted:
        return FatalError(
            f"{entity.title}: the relation {current['name']} points at another database than the one of "
            f"{field.target}",
            f"Rename that relation of {entity.title} in Notion (setup then makes its own), and run setup again.",
        )
    return FatalError(
        f"{entity.title}: the property {current['name']} has the type {current['type']}, "
        f"but {field.name} needs {wanted}",
        f"In Notion, change its type to {wanted}; or delete it, or name it otherwise if it is not in use here, so "
        "that setup makes its own. Then run setup again.",
    )


def _completed_options(
    entity: Entity, field: Field, current: Mapping[str, Any], config: Mapping[str, Any], known: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the whole list of options to send, or an empty one when none of ours is missing.

    The list is replaced by what is sent: people's own options have to be in it.
    """
    options = current["select"].get("options") or []
    standing = set(labels_of(field, options, known).values())
    missing = [option for option in config["select"]["options"] if option["name"] not in standing]
    names = {option["name"].casefold() for option in options}
    taken = [option["name"] for option in missing if option["name"].casefold() in names]
    if taken:
        raise FatalError(
            f"{entity.title}: the option {taken[0]} of {current['name']} was removed, and another one, which stands "
            "for something else, was given its name",
            f"Rename the option {taken[0]} of {current['name']} in Notion, then run setup again.",
        )
    if missing and len(options) + len(missing) > OPTIONS_A_REQUEST:
        raise FatalError(
            f"{entity.title}: the property {current['name']} has {len(options)} options, and {len(missing)} that "
            f"{field.name} needs don't fit in",
            f"Add them in Notion by hand: {', '.join(option['name'] for option in missing)}.",
        )
    kept = [{"id": option["id"], "name": option["name"]} for option in options]
    return [*kept, *missing] if missing else []
