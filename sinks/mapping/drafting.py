"""From a page that a person made to the columns of a new row, or the reasons why there can't be one yet.

Reasons are shown to the person, so they are whole sentences; they never tell a value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sinks.mapping.canonical import JsonScalar, decode
from sinks.mapping.entities import columns_of
from sinks.mapping.model import Column, Entity, Field, Kind, Mirror, Owner, Row
from sinks.mapping.parsing import ColumnValue, Refused, check_row, parse

_EMPTY: Final[tuple[JsonScalar, ...]] = (None, "", [])


@dataclass(frozen=True, slots=True)
class Draft:
    """A row to be made: its columns, or why it can't be. `replaced`: what was typed where MapAble will show its own."""

    columns: Mapping[str, ColumnValue]
    reasons: tuple[str, ...]
    replaced: tuple[str, ...]


def draft(
    entity: Entity,
    values: Mapping[str, JsonScalar],
    unreadable: Collection[str],
    defaulted: Collection[str],
    time_zone: ZoneInfo,
) -> Draft:
    """Return the row that the page's shared properties make, by column. Relations are not among them.

    `defaulted` are the columns that the database fills by itself where nothing is given.
    """
    columns: dict[str, ColumnValue] = {}
    reasons: list[str] = []
    nothing: Row = dict.fromkeys(columns_of(entity))
    for field in entity.fields:
        column = _column(field)
        if column is None:
            continue
        value = values.get(field.key)
        if field.key in unreadable:
            reasons.append(f"{field.name} can't be read.")
        elif value in _EMPTY:
            if not field.nullable and column not in defaulted:
                reasons.append(f"{field.name} is missing.")
        else:
            match parse(entity, field, decode(field.kind, value), nothing, time_zone):
                case Refused(reason):
                    reasons.append(reason)
                case parsed:
                    columns[column] = parsed
    reasons += [violation.reason for violation in check_row(entity, {**nothing, **columns})]
    return Draft({} if reasons else columns, tuple(reasons), _replaced(entity, values))


def _column(field: Field) -> str | None:
    """Return the column that the field may be read back to; None: it is MapAble's, or a relation."""
    shared = field.owner is Owner.SHARED and field.kind is not Kind.RELATION
    return field.source.name if shared and isinstance(field.source, Column) else None


def _replaced(entity: Entity, values: Mapping[str, JsonScalar]) -> tuple[str, ...]:
    return tuple(
        field.key
        for field in entity.fields
        if _column(field) is None and field.kind is not Kind.RELATION and not isinstance(field.source, Mirror)
        and values.get(field.key) not in _EMPTY
    )
