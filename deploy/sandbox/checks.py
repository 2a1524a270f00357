"""Checks of request bodies: each takes a value and its path, and answers with the value or Notion's error."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from deploy.sandbox.errors import UNDEFINED, Invalid, Json, unfit
from deploy.sandbox.limits import ARRAY_ITEMS, URL_UNITS, utf16_units


def known_keys(value: Json, path: str, allowed: Collection[str]) -> None:
    """Refuse keys that Notion does not know."""
    for key, found in value.items():
        if key not in allowed:
            raise unfit(f"{path}.{key}", "not present", found)


def as_object(value: Any, path: str) -> Json:
    """Return a JSON object."""
    if value is UNDEFINED:
        raise unfit(path, "defined", UNDEFINED)
    if not isinstance(value, dict):
        raise unfit(path, "an object", value)
    return value


def as_array(value: Any, path: str, limit: int = ARRAY_ITEMS) -> list[Any]:
    """Return an array of at most `limit` items."""
    if not isinstance(value, list):
        raise unfit(path, "an array", value)
    if len(value) > limit:
        raise unfit(f"{path}.length", f"≤ `{limit}`", len(value))
    return value


def as_text(value: Any, path: str, limit: int) -> str:
    """Return a string of at most `limit` UTF-16 units."""
    if not isinstance(value, str):
        raise unfit(path, "a string", value)
    if (units := utf16_units(value)) > limit:
        raise unfit(f"{path}.length", f"≤ `{limit}`", units)
    return value


def one_of(value: Any, path: str, allowed: Collection[str], rule: str | None = None) -> str:
    """Return a string that is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise unfit(path, rule or " or ".join(f'`"{name}"`' for name in allowed), value)
    return value


def as_bool(value: Any, path: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise unfit(path, "a boolean", value)
    return value


def as_number(value: Any, path: str) -> float:
    """Return a double, like every number in Notion; what does not fit one is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unfit(path, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise unfit(path, "a number", None)
    return number


def as_page_size(value: Any, path: str = "body.page_size") -> int:
    """Return 1 to 100; absent means 100."""
    if value is None:
        return 100
    if isinstance(value, bool) or not isinstance(value, int):
        raise unfit(path, "a number", value)
    if value < 1:
        raise unfit(path, "≥ `1`", value)
    if value > 100:
        raise unfit(path, "≤ `100`", value)
    return value


def query_page_size(value: str | None) -> int:
    """Return the page size of a URL's query."""
    if value is None:
        return 100
    if not value.lstrip("-").isdecimal():
        raise Invalid("query failed validation: query.page_size should be a number.")
    return as_page_size(int(value), "query.page_size")


def tagged(value: Any, path: str, kinds: Collection[str], extra: Collection[str] = ()) -> tuple[str, Any]:
    """Return (kind, content) of an object such as {"type": "text", "text": {…}}, where type may be left out."""
    found = as_object(value, path)
    kind = found.get("type")
    if kind is None:
        kind = next((name for name in kinds if name in found), None)
        if kind is None:
            raise Invalid(
                "body failed validation. Fix one:\n"
                + "\n".join(f"{path}.{name} should be defined, instead was `undefined`." for name in kinds)
            )
    if kind not in kinds:
        raise unfit(f"{path}.type", "one of " + ", ".join(f'`"{name}"`' for name in kinds), kind)
    known_keys(found, path, {kind, "type", *extra})
    if kind not in found:
        raise unfit(f"{path}.{kind}", "defined", UNDEFINED)
    return kind, found[kind]


def icon_or_cover(value: Any, path: str) -> Json | None:
    """Return an icon or a cover as it will be read back."""
    if value is None:
        return None
    kind, content = tagged(value, path, ("emoji", "external"))
    if kind == "emoji":
        return {"type": "emoji", "emoji": as_text(content, f"{path}.emoji", 20)}
    url = as_text(as_object(content, f"{path}.external").get("url"), f"{path}.external.url", URL_UNITS)
    return {"type": "external", "external": {"url": url}}
