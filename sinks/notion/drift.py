"""What people did to a database of ours: from its schema and what is stored of it to what has to follow. Pure.

A property is known by its id, so that a renamed one needs nothing. One that is gone, or can't hold its field any more,
pauses that field and no other; one of the same name and type that came instead is taken for it. The label of an
option is ours whatever its name is now; an option that is gone has to be put back, and its pages show nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.colours import colour_of
from sinks.notion.columns import same_type
from sinks.notion.completion import OPTIONS_A_REQUEST, Schema, Targets
from sinks.notion.options import labels_of
from sinks.notion.properties import notion_type
from state.settings import DataSource

RESTORED_FOR: Final = timedelta(days=2)
"""So long after its option went, an empty field that held it counts as emptied by that: longer than from sweep to
sweep, so that every page was looked at."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a data source stands: what is to be stored of it, and what else is to be done."""

    properties: Mapping[str, str]
    options: Mapping[str, Mapping[str, str]]
    paused: Mapping[str, str]
    back: frozenset[str]                                                        # usable again, or another property
    gone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)           # labels whose pages show nothing now
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)        # labels that have no option

    def moved(self, source: DataSource) -> bool:
        """Whether anything is to be stored."""
        stored = (source.properties, source.options, source.paused)
        return bool(self.back or self.gone) or (self.properties, self.options, self.paused) != stored


def found(entity: Entity, schema: Schema, source: DataSource, targets: Targets) -> Drift:
    """Return what became of the properties that are stored. `targets`: the data source of each entity."""
    properties = dict(source.properties)
    options = {key: dict(labels) for key, labels in source.options.items()}
    paused: dict[str, str] = {}
    back: set[str] = set()
    gone: dict[str, tuple[str, ...]] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for one in entity.fields:
        if one.key not in properties or isinstance(one.source, Mirror) or one.kind is Kind.TITLE:
            continue
        prop = _standing(entity, one, schema, source, targets)
        if isinstance(prop, str):
            paused[one.key] = prop
            continue
        another = prop["id"] != properties[one.key]
        properties[one.key] = str(prop["id"])
        returned = another or one.key in source.paused
        if one.kind is Kind.SELECT:
            known = source.options.get(one.key, {})
            listed = prop["select"].get("options") or []
            options[one.key] = labels_of(one, listed, known)
            lost, clash = _lost(entity, one, listed, known, options[one.key])
            if clash is not None:
                paused[one.key] = clash
                continue
            if lost:
                missing[one.key] = lost
            ids = {option["id"] for option in listed}
            emptied = tuple(sorted(label for option_id, label in known.items() if option_id not in ids))
            if emptied and not returned:
                gone[one.key] = emptied
        if returned:
            back.add(one.key)
    return Drift(properties, options, paused, frozenset(back), gone, missing)


def with_missing(prop: Mapping[str, Any], labels: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """Return the whole list of options to send, people's own among them; None when that is too long for a request.

    The list replaces the one that is there. An option that can't be put back is made by the first write that names it.
    """
    kept = [{"id": option["id"], "name": option["name"]} for option in prop["select"].get("options") or []]
    if len(kept) + len(labels) > OPTIONS_A_REQUEST:
        return None
    return [*kept, *({"name": label, "color": colour_of(label)} for label in labels)]


def was_restored(source: DataSource, key: str, label: str, now: datetime) -> bool:
    """Whether the label's option went lately, so that a field which held it is empty by that and by no person's edit.

    `now` is aware.
    """
    at = source.restored.get(key, {}).get(label)
    return at is not None and now - datetime.fromisoformat(at) < RESTORED_FOR


def restored_now(source: DataSource, drift: Drift, now: datetime) -> dict[str, dict[str, str]]:
    """Return `restored` with the labels whose options are gone, without those of long ago."""
    lately = {
        key: {label: at for label, at in labels.items() if was_restored(source, key, label, now)}
        for key, labels in source.restored.items()
    }
    for key, labels in drift.gone.items():
        lately[key] = {**lately.get(key, {}), **dict.fromkeys(labels, now.isoformat())}
    return {key: labels for key, labels in lately.items() if labels}


def _standing(
    entity: Entity, one: Field, schema: Schema, source: DataSource, targets: Targets
) -> Mapping[str, Any] | str:
    """Return the property that stands for the field, or why there is none."""
    target = targets.get(one.target) if one.target is not None else None
    stored = source.properties[one.key]
    known = next((prop for prop in schema["properties"].values() if prop["id"] == stored), None)
    if known is not None and same_type(one, known, target):
        return dict(known)
    named = schema["properties"].get(one.name)
    others = {property_id for key, property_id in source.properties.items() if key != one.key}
    if named is not None and named["id"] not in others and same_type(one, named, target):
        return dict(named)
    return _removed(entity, one) if known is None else _unfit(entity, one, known)


def _lost(
    entity: Entity, one: Field, listed: list[dict[str, Any]], known: Mapping[str, str], living: Mapping[str, str]
) -> tuple[tuple[str, ...], str | None]:
    """Return the labels without an option, and the reason why that can't be mended, if so."""
    standing = set(living.values())
    names = {option["name"].casefold(): option for option in listed}
    lost = [label for label in dict.fromkeys((*one.options, *sorted(known.values()))) if label not in standing]
    for label in lost:
        taken = names.get(label.casefold())
        if taken is not None and label in one.options:
            return (), (
                f"the option {label} of {one.name} in {entity.title} was removed, and the one that stands for "
                f"{living.get(taken['id'], 'another')} has its name: rename that one in Notion"
            )
    return tuple(label for label in lost if label.casefold() not in names), None


def _removed(entity: Entity, one: Field) -> str:
    if one.kind is Kind.RELATION:
        return (
            f"the relation {one.name} of {entity.title} was removed in Notion, or the database that it points at is "
            "not shared: bring it back, or run `mapable-cdc setup`"
        )
    return f"the property {one.name} of {entity.title} was removed in Notion: bring it back, or run `mapable-cdc setup`"


def _unfit(entity: Entity, one: Field, prop: Mapping[str, Any]) -> str:
    wanted = notion_type(one.kind)
    if prop["type"] == wanted:
        return (
            f"the relation {prop['name']} of {entity.title} points at another database than the one of {one.target}: "
            "change it back in Notion"
        )
    return (
        f"the property {prop['name']} of {entity.title} has the type {prop['type']} in Notion, but {one.name} needs "
        f"{wanted}: change it back there"
    )
