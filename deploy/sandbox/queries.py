"""Queries of a data source: filter, sorts, cursor, result cap."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from deploy.sandbox import dates, filters, rendering
from deploy.sandbox.checks import as_array, as_bool, as_object, as_page_size, known_keys, one_of
from deploy.sandbox.cursors import Cursors
from deploy.sandbox.draft import lookup
from deploy.sandbox.errors import Invalid, Json, NotSimulated
from deploy.sandbox.lag import QueryLag
from deploy.sandbox.retyping import as_text
from deploy.sandbox.workspace import Workspace

_CAPPED = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}


def run(
    workspace: Workspace,
    cursors: Cursors,
    lag: QueryLag,
    source: Json,
    body: Json,
    only: frozenset[str] | None,
    version: str,
) -> Json:
    """Answer one query."""
    known_keys(
        body,
        "body",
        ("filter", "sorts", "page_size", "start_cursor", "is_archived", "result_type", "in_trash", "archived"),
    )
    for key in ("in_trash", "archived"):
        if body.get(key):
            raise NotSimulated(f"{key} in queries: rows in the trash never appear")
    if body.get("result_type", "page") != "page":
        raise NotSimulated("result_type other than page")
    size = as_page_size(body.get("page_size"))
    archived = as_bool(body.get("is_archived", False), "body.is_archived")
    matches = filters.compiled(workspace, source, body["filter"]) if body.get("filter") is not None else None
    sorts = [sort_key(source, sort, index) for index, sort in enumerate(as_array(body.get("sorts", []), "body.sorts"))]
    listing = f"query/{source['id']}"
    place = cursors.open(listing, body.get("start_cursor")) or {
        "next": None,
        "from": 0,
        "order": workspace.rng.getrandbits(32) if workspace.switches.shuffle_unsorted else None,
    }
    rows = [
        row
        for row in lag.rows(source["id"], workspace.rows(source["id"]))
        if not row["in_trash"]
        and row["is_archived"] == archived
        and (matches is None or matches(row))
        # The data source is visible, or there would be no query; a row may still be taken away by itself.
        and row["shared"] is not False
    ]
    lag.count_query()
    if place["order"] is not None:
        rows.sort(key=lambda row: _shuffled(place["order"], row["id"]))
    for by_value, reverse in reversed(sorts):
        _sort(rows, by_value, reverse)
    return _page(workspace, cursors, listing, place, rows, size, only, version)


def _page(
    workspace: Workspace,
    cursors: Cursors,
    listing: str,
    place: Json,
    rows: list[Json],
    size: int,
    only: frozenset[str] | None,
    version: str,
) -> Json:
    cap = int(workspace.switches.query_result_cap)
    capped = len(rows) > cap
    # The cursor names the next row, so rows that come and go before it shift nothing; its position is the fallback.
    start = int(place["from"])
    if place["next"] is not None:
        start = next((index for index, row in enumerate(rows) if row["id"] == place["next"]), start)
    given = int(place.get("given", 0))
    if workspace.switches.short_pages:
        size = workspace.rng.randint(1, size)
    end = min(start + size, start + max(0, cap - given), len(rows))
    given += max(0, end - start)
    more = end < len(rows) and given < cap
    cursor = None
    if more:
        cursor = cursors.seal(listing, {"next": rows[end]["id"], "from": end, "order": place["order"], "given": given})
    return {
        "object": "list",
        "results": [rendering.page(workspace, row, version, only) for row in rows[start:end]],
        "next_cursor": cursor,
        "has_more": more,
        "type": "page_or_data_source",
        "page_or_data_source": {},
        "request_status": _CAPPED if capped else {"type": "complete"},
    }


def _shuffled(order: int, page_id: str) -> int:
    return zlib.crc32(page_id.encode(), order)


SortKey = Callable[[Json], Any]


def _sort(rows: list[Json], key: SortKey, reverse: bool) -> None:
    """Sort in place and stably; rows without a value come last in both directions."""
    empty = [row for row in rows if key(row) is None]
    full = sorted((row for row in rows if key(row) is not None), key=key, reverse=reverse)
    rows[:] = [*full, *empty]


def sort_key(source: Json, raw: Any, index: int) -> tuple[SortKey, bool]:
    """Return the key of one sort and whether it is reversed; refuses what the data source does not have."""
    path = f"body.sorts[{index}]"
    given = as_object(raw, path)
    known_keys(given, path, ("property", "timestamp", "direction"))
    reverse = one_of(given.get("direction"), f"{path}.direction", ("ascending", "descending")) == "descending"
    if "timestamp" in given:
        field = filters.TIMESTAMPS[one_of(given["timestamp"], f"{path}.timestamp", filters.TIMESTAMPS)]
        return (lambda row: row[field] // 60), reverse
    key = given.get("property")
    prop = lookup(source, key) if isinstance(key, str) else None
    if prop is None:
        raise Invalid(f"Could not find sort property with name or id: {key}")
    return _value_key(prop), reverse


def _value_key(prop: Json) -> SortKey:
    kind, property_id = prop["type"], prop["id"]
    if kind in filters.TIMESTAMPS:
        return lambda row: row[filters.TIMESTAMPS[kind]] // 60
    if kind == "number":
        return lambda row: row["properties"].get(property_id)
    if kind == "unique_id":
        return lambda row: row.get("number")
    if kind == "checkbox":
        return lambda row: row["properties"].get(property_id, False)
    if kind in ("select", "status"):
        # Options sort in the order of the schema, not of the alphabet.
        order = {option["id"]: place for place, option in enumerate(prop["config"]["options"])}
        return lambda row: order.get(row["properties"].get(property_id))
    if kind == "date":
        return lambda row: dates.instant(value["start"]) if (value := row["properties"].get(property_id)) else None
    return lambda row: as_text(prop, row["properties"].get(property_id)).casefold() or None
