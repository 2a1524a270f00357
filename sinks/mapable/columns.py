"""Which of MapAble's columns are written: what the role needs the right to, and nothing else is ever written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sinks.mapping.model import Column, Entity, Kind, Owner

AUTHOR: Final[Mapping[str, str]] = {"incident": "reportedBy", "risk": "identifiedBy"}
"""Required columns that no property shows: who it was."""

BLANK: Final[Mapping[str, tuple[str, ...]]] = {"risk": ("description",)}
"""Required columns that no property shows, and about which the page says nothing."""


def writable(entity: Entity, opened: Collection[str] = ()) -> tuple[str, ...]:
    """Return the columns that an edit in Notion may change, and the one that tells when a row was changed.

    `opened` are the fields that the operator made two-way.
    """
    shared = [
        field.source.name
        for field in entity.fields
        if isinstance(field.source, Column) and field.kind is not Kind.RELATION
        if field.owner is Owner.SHARED or field.key in opened
    ]
    return _with(shared, entity.updated_column) if shared else ()


def insertable(entity: Entity) -> tuple[str, ...]:
    """Return the columns of a row that is made from a page."""
    also = (*BLANK.get(entity.name, ()), AUTHOR.get(entity.name), entity.updated_column)
    return _with(("id", *writable(entity)), entity.participant_column, *also)


def _with(columns: Collection[str], *more: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*columns, *(column for column in more if column is not None))))
