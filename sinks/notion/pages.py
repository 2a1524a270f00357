"""A page of an entity as Notion answers it, and the properties to send for one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sinks.base import Page
from sinks.mapping.canonical import decode, encode
from sinks.mapping.model import Entity, Field, Kind, Mirror
from sinks.notion.options import id_of, label_of
from sinks.notion.properties import Invalid, Unread, from_items, read_value, write_value
from state.changes import Absent, PageId
from state.merge import Json
from state.settings import DataSource
from state.threeway import Unknown

SYSTEM_ID = "systemId"


@dataclass(frozen=True, slots=True)
class Met:
    """An option that a page shows and that was not known: what it stands for."""

    field: str
    option_id: str
    label: str


def written(entity: Entity) -> Sequence[Field]:
    """Return the fields we write: all but the other side of a dual relation, which Notion keeps."""
    return [field for field in entity.fields if not isinstance(field.source, Mirror)]


def paused(entity: Entity, source: DataSource) -> frozenset[str]:
    """Return the fields that are neither written nor read now."""
    keys = (field.key for field in written(entity))
    return frozenset(key for key in keys if key in source.paused or key not in source.properties)


def properties_of(entity: Entity, source: DataSource, values: Mapping[str, Json]) -> dict[str, Any]:
    """Return the properties to send for `values`, by property id; paused fields are left out."""
    out = paused(entity, source)
    return {
        source.properties[field.key]: _property(field, source, values[field.key])
        for field in written(entity)
        if field.key in values and field.key not in out
    }


def page_of(entity: Entity, source: DataSource, answer: Mapping[str, Any], time_zone: ZoneInfo) -> Page:
    """Return the page; what it shows in paused fields is not told."""
    page = bare(answer)
    values: dict[str, Json] = {}
    unknown: dict[str, Unknown] = {}
    for field, prop in _shown(entity, source, answer):
        match read_value(field, prop, time_zone, labels=source.options.get(field.key, {})):
            case Absent():
                pass
            case Unread():
                unknown[field.key] = Unknown.UNREAD
            case Invalid():
                unknown[field.key] = Unknown.INVALID
            case value:
                values[field.key] = encode(field.kind, value)
    system_id = values.get(SYSTEM_ID)
    return replace(
        page, system_id=system_id if isinstance(system_id, str) else None, values=values, unknown=unknown,
        mirrored=_mirrored(entity, source, answer, time_zone),
    )


def bare(answer: Mapping[str, Any]) -> Page:
    """Return a page without its properties: those of a database that is not ours are nobody's business."""
    parent = answer.get("parent") or {}
    edited_by = (answer.get("last_edited_by") or {}).get("id")
    return Page(
        page_id=PageId(str(answer["id"])),
        data_source_id=parent.get("data_source_id"),
        system_id=None,
        values={},
        in_trash=bool(answer.get("in_trash")),
        edited_at=_instant(answer.get("last_edited_time")),
        edited_by=edited_by if isinstance(edited_by, str) else None,
        request_id=answer.get("request_id"),
        created_by=(answer.get("created_by") or {}).get("id"),
        archived=bool(answer.get("is_archived")),
    )


def completed(page: Page, field: Field, items: Sequence[Mapping[str, object]], time_zone: ZoneInfo) -> Page:
    """Return the page with a field that had not been read to its end, from all of its items."""
    unknown = {key: why for key, why in page.unknown.items() if key != field.key}
    match read_value(field, from_items(field, items), time_zone, complete=True):
        case Absent() | Unread() | Invalid():
            return replace(page, unknown={**unknown, field.key: Unknown.INVALID})
        case value:
            return replace(page, unknown=unknown, values={**page.values, field.key: encode(field.kind, value)})


def options_met(entity: Entity, source: DataSource, answer: Mapping[str, Any]) -> list[Met]:
    """Return the options that the page shows, that are not known, and that stand for a label of ours."""
    met = []
    for field, prop in _shown(entity, source, answer):
        option = prop.get("select") if field.kind is Kind.SELECT and prop is not None else None
        known = source.options.get(field.key, {})
        if isinstance(option, Mapping) and option.get("name") and str(option.get("id")) not in known:
            label = label_of(field, str(option["name"]), set(known.values()))
            if label is not None:
                met.append(Met(field.key, str(option["id"]), label))
    return met


def knowing(source: DataSource, met: Met) -> DataSource:
    """Return what is known of the data source together with this option; what is known already stays."""
    known = source.options.get(met.field, {})
    if met.option_id in known or met.label in known.values():
        return source
    return replace(source, options={**source.options, met.field: {**known, met.option_id: met.label}})


def _property(field: Field, source: DataSource, value: Json) -> dict[str, object]:
    option_id = None
    if field.kind is Kind.SELECT and isinstance(value, str):
        option_id = id_of(value, source.options.get(field.key, {}))
    known = {str(value): option_id} if option_id is not None else {}
    return write_value(field, decode(field.kind, value), known)


def _shown(
    entity: Entity, source: DataSource, answer: Mapping[str, Any]
) -> list[tuple[Field, Mapping[str, Any] | None]]:
    """Return the fields that are in use with the properties in which the page shows them."""
    by_id = _by_id(answer)
    out = paused(entity, source)
    return [(field, by_id.get(source.properties[field.key])) for field in written(entity) if field.key not in out]


def _mirrored(
    entity: Entity, source: DataSource, answer: Mapping[str, Any], time_zone: ZoneInfo
) -> dict[str, frozenset[PageId]]:
    """Return what mirrors show; one that is longer than what was read of it tells nothing."""
    by_id = _by_id(answer)
    found = {}
    for field in entity.fields:
        if isinstance(field.source, Mirror) and field.key in source.properties:
            shown = read_value(field, by_id.get(source.properties[field.key]), time_zone)
            if isinstance(shown, tuple):
                found[field.key] = frozenset(map(PageId, shown))
    return found


def _by_id(answer: Mapping[str, Any]) -> dict[Any, Mapping[str, Any]]:
    return {prop.get("id"): prop for prop in (answer.get("properties") or {}).values()}


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
