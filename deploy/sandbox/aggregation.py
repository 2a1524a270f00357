"""The net effect of what happened to one entity within a window: what Notion tells instead of every single step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from deploy.sandbox.errors import Json
from deploy.sandbox.events import Event

_LIFE: Final = ("created", "deleted", "undeleted")
_UNAGGREGATED: Final = frozenset({"page.locked", "page.unlocked"})


def aggregated(event: Event) -> bool:
    """True for the types that wait for a window; the others are told one by one."""
    return event.entity_type != "comment" and event.kind not in _UNAGGREGATED


def collapsed(events: Sequence[Event]) -> tuple[Event, ...]:
    """Return what is left of the events of one entity, oldest first: at most one of each type, or nothing.

    Created and deleted again: nothing at all happened. Deleted and restored: no word of that.
    """
    life = [event for event in events if event.step in _LIFE]
    others: dict[str, list[Event]] = {}
    for event in events:
        if event.step not in _LIFE:
            others.setdefault(event.kind, []).append(event)
    merged = [one for group in others.values() if (one := _merged(group)) is not None]
    if not life:
        return tuple(merged)
    born, was_alive, alive = life[0].step == "created", life[0].step == "deleted", life[-1].step != "deleted"
    if born:
        return (_by_all(life[0], life), *merged) if alive else ()
    if was_alive == alive:
        return tuple(merged)
    return (_by_all(life[-1], life), *merged) if alive else (*merged, _by_all(life[-1], life))


def _merged(events: Sequence[Event]) -> Event | None:
    """Return the events of one type as one, or None when they cancel out."""
    last = events[-1]
    data = dict(last.data)
    for field, merge in _MERGES.items():
        if field in data:
            data[field] = merge(last.kind, [item for event in events for item in event.data[field]])
            if not data[field]:
                return None
    return replace(_by_all(last, events), data=data)


def _by_all(event: Event, events: Sequence[Event]) -> Event:
    return replace(event, authors=tuple(dict.fromkeys(author for one in events for author in one.authors)))


def _properties(kind: str, listed: Iterable[Any]) -> list[Any]:
    if not kind.endswith("schema_updated"):
        return list(dict.fromkeys(listed))
    net: dict[str, Json] = {}
    for entry in listed:
        earlier = net.get(entry["id"])
        if earlier is None or earlier["action"] != "created":
            net[entry["id"]] = entry
        elif entry["action"] == "deleted":
            del net[entry["id"]]
        else:
            net[entry["id"]] = {**entry, "action": "created"}
    return list(net.values())


def _blocks(kind: str, listed: Iterable[Json]) -> list[Any]:
    blocks = list(listed)
    if kind == "data_source.content_updated":
        # A row can only come or go, by turns: an even number of times is where it was.
        times = Counter(block["id"] for block in blocks)
        blocks = [block for block in blocks if times[block["id"]] % 2]
    return list({block["id"]: block for block in blocks}.values())


def _fields(_kind: str, listed: Iterable[str]) -> list[Any]:
    return list(dict.fromkeys(listed))


_MERGES: Final[dict[str, Callable[[str, list[Any]], list[Any]]]] = {
    "updated_properties": _properties,
    "updated_blocks": _blocks,
    "updated_fields": _fields,
}
