"""What the sync needs of MapAble's tables, worked out from the mapping and the settings. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sinks.mapable.columns import insertable, writable
from sinks.mapping.entities import columns_of
from sinks.mapping.model import Column, Derived, Entity, Field, Kind, Lookup, LookupVia, Mirror

TEXT: Final = "text"
CHOICE: Final = "text or an enum"
NUMBER: Final = "a number"
MOMENT: Final = "a timestamp"
YES_NO: Final = "boolean"
LIST: Final = "json"
ANY: Final = "anything"

OF_KIND: Final[Mapping[Kind, str]] = {
    Kind.MONEY: NUMBER, Kind.DAY: MOMENT, Kind.MOMENT: MOMENT, Kind.CHECKBOX: YES_NO, Kind.SELECT: CHOICE,
}
"""The type that a column of each kind of field has; text where nothing is said."""
OF_MADE_FROM: Final[Mapping[str, str]] = {
    "goals": LIST, "role": CHOICE, "incidentType": CHOICE, "occurredAt": MOMENT,
}
"""The types of columns that fields are made from."""

PEOPLE: Final = "User"
WORKERS: Final = "Worker"


@dataclass(slots=True)
class Needs:
    """What is needed of one table: its columns with their types, and what the role has to be able to do with them."""

    table: str
    columns: dict[str, str] = field(default_factory=dict)
    update: set[str] = field(default_factory=set)
    insert: set[str] = field(default_factory=set)
    followed: dict[str, None] = field(default_factory=dict)
    """Foreign keys through which pages show people's names."""
    written_only: set[str] = field(default_factory=set)
    """Columns whose values are never read."""


def needs_of(
    entities: Iterable[Entity],
    *,
    opened: Collection[tuple[str, str]],
    create_rows: Collection[str],
    directions: Mapping[str, str],
) -> Mapping[str, Needs]:
    """Return what is needed, by table. `entities` are those that are switched on."""
    found: dict[str, Needs] = {}
    for entity in entities:
        needs = found.setdefault(entity.table, Needs(entity.table))
        for one in entity.fields:
            _add(needs, one)
        for column in columns_of(entity):
            needs.columns.setdefault(column, OF_MADE_FROM.get(column, ANY))
        if directions.get(entity.name, "both") != "to_notion":
            _add_writes(needs, entity, opened, makes_rows=entity.name in create_rows)
        for one in entity.fields:
            if isinstance(one.source, Lookup):
                needs.followed[one.source.column] = None
                _add_looked_up(found, one.source.via)
    return found


def _add(needs: Needs, one: Field) -> None:
    match one.source:
        case Column(column, fallback, unless):
            needs.columns.setdefault(column, OF_KIND.get(one.kind, TEXT))
            if fallback is not None:
                needs.columns.setdefault(fallback, TEXT)
            if unless is not None:
                needs.columns.setdefault(unless[0], CHOICE)
        case Derived(made_from):
            for column in made_from:
                needs.columns.setdefault(column, OF_MADE_FROM.get(column, ANY))
        case Lookup(column):
            needs.columns.setdefault(column, TEXT)
        case Mirror():
            pass


def _add_writes(needs: Needs, entity: Entity, opened: Collection[tuple[str, str]], *, makes_rows: bool) -> None:
    needs.update |= set(writable(entity, {key for name, key in opened if name == entity.name}))
    if makes_rows:
        needs.insert |= set(insertable(entity))
    for column in (needs.update | needs.insert) - set(needs.columns):
        needs.columns[column] = MOMENT if column == entity.updated_column else ANY
        needs.written_only.add(column)


def _add_looked_up(found: dict[str, Needs], via: LookupVia) -> None:
    people = found.setdefault(PEOPLE, Needs(PEOPLE))
    for column in ("id", "name", "email"):
        people.columns.setdefault(column, TEXT)
    if via is LookupVia.WORKER:
        workers = found.setdefault(WORKERS, Needs(WORKERS))
        workers.columns |= {"id": TEXT, "userId": TEXT}
        workers.followed["userId"] = None
