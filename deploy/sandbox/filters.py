"""Filters of queries, compiled to one predicate over a row; everything is checked before a row is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from deploy.sandbox import dates, options, texts
from deploy.sandbox.checks import as_array, as_number, as_object, as_text, known_keys, one_of
from deploy.sandbox.draft import lookup
from deploy.sandbox.errors import UNDEFINED, Invalid, Json, NotSimulated, unfit
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.values import EMPTY
from deploy.sandbox.workspace import Workspace

Predicate = Callable[[Json], bool]
TIMESTAMPS: Final = {"created_time": "created_s", "last_edited_time": "edited_s"}
_AUTHORS: Final = {"created_by": "created_by", "last_edited_by": "edited_by"}
_TEXTS: Final = frozenset({"title", "rich_text", "url", "email", "phone_number"})
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "equals": lambda found, wanted: bool(found == wanted),
    "does_not_equal": lambda found, wanted: bool(found != wanted),
    "greater_than": lambda found, wanted: bool(found > wanted),
    "less_than": lambda found, wanted: bool(found < wanted),
    "greater_than_or_equal_to": lambda found, wanted: bool(found >= wanted),
    "less_than_or_equal_to": lambda found, wanted: bool(found <= wanted),
}
_TEXT_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "equals": lambda found, wanted: found == wanted,
    "does_not_equal": lambda found, wanted: found != wanted,
    "contains": lambda found, wanted: wanted.casefold() in found.casefold(),
    "does_not_contain": lambda found, wanted: wanted.casefold() not in found.casefold(),
    "starts_with": lambda found, wanted: found.casefold().startswith(wanted.casefold()),
    "ends_with": lambda found, wanted: found.casefold().endswith(wanted.casefold()),
}
_PERIODS: Final = ("this_week", "past_week", "past_month", "past_year", "next_week", "next_month", "next_year")


def compiled(workspace: Workspace, source: Json, raw: Any, path: str = "body.filter", depth: int = 0) -> Predicate:
    """Return the predicate of a filter; and/or nest two levels deep."""
    given = as_object(raw, path)
    for word, combine in (("and", all), ("or", any)):
        if word in given:
            known_keys(given, path, (word,))
            if depth >= 2:
                raise unfit(f"{path}.{word}", "nested at most two levels deep", given[word])
            parts = [
                compiled(workspace, source, part, f"{path}.{word}[{index}]", depth + 1)
                for index, part in enumerate(as_array(given[word], f"{path}.{word}"))
            ]
            return _combined(combine, parts)
    if "timestamp" in given:
        return _timestamp(workspace, given, path)
    if "property" not in given:
        raise unfit(f"{path}.property", "defined", UNDEFINED)
    key = as_text(given["property"], f"{path}.property", 2000)
    prop = lookup(source, key)
    if prop is None:
        raise Invalid(f"Could not find property with name or id: {key}")
    kind = prop["type"]
    known_keys(given, path, ("property", "type", *_condition_keys(kind), *EMPTY, *TIMESTAMPS, *_AUTHORS, "unique_id"))
    name = next((name for name in _condition_keys(kind) if name in given), None)
    if name is None:
        found = next((other for other in given if other not in ("property", "type")), "nothing")
        raise Invalid(f"database property {kind} does not match filter {found}")
    operator, wanted = _single(given[name], f"{path}.{name}")
    return _property(workspace, prop, operator, wanted, f"{path}.{name}")


def _combined(combine: Callable[[Any], bool], parts: list[Predicate]) -> Predicate:
    return lambda row: combine(part(row) for part in parts)


def _condition_keys(kind: str) -> tuple[str, ...]:
    if kind in TIMESTAMPS:
        return (kind, "date")
    if kind in _AUTHORS:
        return (kind, "people")
    return (kind, "rich_text") if kind in _TEXTS else (kind,)


def _single(raw: Any, path: str) -> tuple[str, Any]:
    given = as_object(raw, path)
    if len(given) != 1:
        raise Invalid(f"body failed validation: {path} should have exactly one condition.")
    return next(iter(given.items()))


def _timestamp(workspace: Workspace, given: Json, path: str) -> Predicate:
    name = one_of(given["timestamp"], f"{path}.timestamp", TIMESTAMPS)
    known_keys(given, path, ("timestamp", "type", name))
    operator, wanted = _single(given.get(name, UNDEFINED), f"{path}.{name}")
    holds = _date_condition(workspace, operator, wanted, f"{path}.{name}")
    field = TIMESTAMPS[name]
    return lambda row: holds(dates.shown_minute(row[field]))


def _property(workspace: Workspace, prop: Json, operator: str, wanted: Any, path: str) -> Predicate:
    kind, property_id = prop["type"], prop["id"]
    here = f"{path}.{operator}"
    if operator in ("is_empty", "is_not_empty") and kind not in ("checkbox", "unique_id", *TIMESTAMPS, *_AUTHORS):
        if wanted is not True:
            raise unfit(here, "`true`", wanted)
        empty = operator == "is_empty"
        return lambda row: (row["properties"].get(property_id) in (None, [])) == empty
    if kind in _TEXTS:
        return _text(kind, property_id, operator, wanted, here)
    if kind in TIMESTAMPS:
        holds, field = _date_condition(workspace, operator, wanted, path), TIMESTAMPS[kind]
        return lambda row: holds(dates.shown_minute(row[field]))
    if kind == "date":
        in_date = _date_condition(workspace, operator, wanted, path)
        return lambda row: (value := row["properties"].get(property_id)) is not None and in_date(value["start"])
    if kind in ("number", "unique_id"):
        return _number(kind, property_id, operator, as_number(wanted, here), here)
    if kind == "checkbox":
        if operator not in ("equals", "does_not_equal"):
            raise _unknown(path, operator)
        if not isinstance(wanted, bool):
            raise unfit(here, "a boolean", wanted)
        expected = wanted == (operator == "equals")
        return lambda row: row["properties"].get(property_id, False) == expected
    if kind in ("select", "status", "multi_select"):
        return _option(prop, operator, wanted, path)
    if kind in ("people", "relation", *_AUTHORS):
        return _reference(workspace, kind, property_id, operator, wanted, path)
    raise NotSimulated(f"filters on {kind}")


def _text(kind: str, property_id: str, operator: str, wanted: Any, path: str) -> Predicate:
    test = _TEXT_OPERATORS.get(operator)
    if test is None:
        raise _unknown(path.rpartition(".")[0], operator)
    text = as_text(wanted, path, 2000)
    if kind in ("title", "rich_text"):
        return lambda row: test(texts.joined(row["properties"].get(property_id, ())), text)
    return lambda row: test(row["properties"].get(property_id) or "", text)


def _number(kind: str, property_id: str, operator: str, wanted: float, path: str) -> Predicate:
    test = _COMPARISONS.get(operator)
    if test is None:
        raise _unknown(path.rpartition(".")[0], operator)

    def holds(row: Json) -> bool:
        found = row.get("number") if kind == "unique_id" else row["properties"].get(property_id)
        return operator == "does_not_equal" if found is None else test(found, wanted)

    return holds


def _option(prop: Json, operator: str, wanted: Any, path: str) -> Predicate:
    several = prop["type"] == "multi_select"
    positive, negative = ("contains", "does_not_contain") if several else ("equals", "does_not_equal")
    if operator not in (positive, negative):
        raise _unknown(path, operator)
    names = wanted if isinstance(wanted, list) else [wanted]
    known = prop["config"]["options"]
    chosen = [options.find(known, as_text(name, f"{path}.{operator}", 2000)) for name in names]
    option_ids = {option["id"] for option in chosen if option}

    def holds(row: Json) -> bool:
        found = row["properties"].get(prop["id"])
        matches = bool(option_ids & set(found or ())) if several else found in option_ids
        return matches == (operator == positive)

    return holds


def _reference(workspace: Workspace, kind: str, property_id: str, operator: str, wanted: Any, path: str) -> Predicate:
    if operator not in ("contains", "does_not_contain"):
        raise _unknown(path, operator)
    me = wanted == "me" and kind != "relation"
    target = workspace.bot_id if me else canonical_uuid(wanted, f"{path}.{operator}")
    expected = operator == "contains"
    if kind in _AUTHORS:
        field = _AUTHORS[kind]
        return lambda row: (row[field] == target) == expected
    return lambda row: (target in row["properties"].get(property_id, ())) == expected


def _date_condition(workspace: Workspace, operator: str, wanted: Any, path: str) -> Callable[[str], bool]:
    """Return a test of a read form. A whole-day bound compares days in UTC, a moment compares milliseconds."""
    now = datetime.fromtimestamp(workspace.clock(), UTC)
    if operator in _PERIODS:
        start, end = dates.window_of(operator, now)
        return lambda found: start <= dates.instant(found) < end
    compare = {
        "equals": _COMPARISONS["equals"],
        "before": _COMPARISONS["less_than"],
        "after": _COMPARISONS["greater_than"],
        "on_or_before": _COMPARISONS["less_than_or_equal_to"],
        "on_or_after": _COMPARISONS["greater_than_or_equal_to"],
    }.get(operator)
    if compare is None:
        raise _unknown(path, operator)
    bound, whole_day = dates.parse_bound(wanted, f"{path}.{operator}", now)
    if whole_day:
        return lambda found: compare(dates.instant(found).astimezone(UTC).date(), bound.date())
    return lambda found: compare(dates.instant(found), bound)


def _unknown(path: str, operator: str) -> Invalid:
    return unfit(f"{path}.{operator}", "not present", UNDEFINED)
