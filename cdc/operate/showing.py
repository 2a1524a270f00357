"""Values of a record as people read them, on a terminal and on the dashboard. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.entities import by_table, field_of
from sinks.mapping.model import Entity, Field, Kind
from sinks.mapping.wording import shown
from state.changes import Absent
from state.conflicts import Conflict
from state.threeway import Theirs

TEXTS: Final = frozenset({Kind.TITLE, Kind.TEXT, Kind.EMAIL, Kind.SELECT})


@dataclass(frozen=True, slots=True)
class Value:
    """A value to be shown. `said`: the words are ours (empty, ticked); else they are the value itself."""

    text: str
    said: bool


def side_shown(field: Field, value: Theirs, zone: ZoneInfo) -> str:
    """Return one side's value of a field in a few words; of a relation the ids that it points at."""
    if isinstance(value, Absent):
        return "-"
    if field.kind is Kind.RELATION and isinstance(value, list):
        return ", ".join(value) or "empty"
    return shown(field, value, zone)


def value_of(field: Field | None, value: Theirs, zone: ZoneInfo) -> Value:
    """Return a value whole, a long text to its end. Without a field, which is no longer mapped, as it is."""
    if isinstance(value, str) and value and (field is None or field.kind in TEXTS):
        return Value(value, said=False)
    if isinstance(value, list):
        return Value(", ".join(value) or "empty", said=not value)
    if field is None:
        return Value("empty" if value is None else str(value).lower(), said=True)
    return Value(side_shown(field, value, zone), said=value is None or isinstance(value, bool | Absent))


def field_in_conflict(conflict: Conflict) -> tuple[Entity | None, Field | None]:
    """Return what a conflict is about; None for what is no longer mapped."""
    entity = by_table(conflict.entity_type)
    if entity is None:
        return None, None
    try:
        return entity, field_of(entity, conflict.field)
    except KeyError:
        return entity, None
