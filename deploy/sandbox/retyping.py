"""What a schema change does to rows: values of removed properties go, retyped ones are read as text again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deploy.sandbox import dates, options, texts
from deploy.sandbox.errors import Json, NotionError
from deploy.sandbox.limits import EMAIL_UNITS, utf16_units
from deploy.sandbox.values import EMPTY
from deploy.sandbox.workspace import Workspace, same


def retype_rows(workspace: Workspace, source_id: str, old: Mapping[str, Json], author_id: str) -> None:
    """Bring the rows in line with the properties that `source_id` has now; `old` are those it had."""
    source = workspace.store.get("data_source", source_id)
    if source is None:
        return
    now = source["properties"]
    touched = [key for key, prop in old.items() if key not in now or not same(now[key], prop)]
    if not touched:
        return
    grown = {key: {**prop, "config": dict(prop["config"])} for key, prop in now.items()}
    for row in list(workspace.rows(source_id)):
        values = dict(row["properties"])
        for key in touched:
            if key not in values:
                continue
            if key not in now:
                del values[key]
            else:
                values[key] = _converted(workspace, old[key], grown[key], values[key])
        if not same(values, row["properties"]):
            # A schema change is not an edit of the rows: their times and authors stay.
            workspace.store.put("page", row["id"], {**row, "properties": values})
    if not same(grown, now):
        workspace.edit("data_source", source, {"properties": grown}, author_id)


def _converted(workspace: Workspace, old: Json, new: Json, value: Any) -> Any:
    kinds = (old["type"], new["type"])
    if kinds[0] == kinds[1]:
        if kinds[0] in ("select", "status"):
            return value if options.by_id(new["config"]["options"], value or "") else None
        if kinds[0] == "multi_select":
            return [one for one in value if options.by_id(new["config"]["options"], one)]
        return value
    if kinds == ("multi_select", "select"):
        return next((one for one in value if options.by_id(new["config"]["options"], one)), None)
    return _from_text(workspace, new, as_text(old, value))


def as_text(prop: Json, value: Any) -> str:
    """Return a stored value as a person would read it."""
    if value is None or value == []:
        return ""
    match prop["type"]:
        case "title" | "rich_text":
            return texts.joined(value)
        case "number":
            return str(shown_number(value))
        case "select" | "status":
            option = options.by_id(prop["config"]["options"], value)
            return option["name"] if option else ""
        case "multi_select":
            found = (options.by_id(prop["config"]["options"], one) for one in value)
            return ", ".join(option["name"] for option in found if option)
        case "date":
            return str(value["start"])
        case "checkbox":
            return "Yes" if value else "No"
        case "email" | "phone_number" | "url":
            return str(value)
        case _:
            return ""


def shown_number(value: float) -> int | float:
    """Return a double as JavaScript's JSON does: a whole number without `.0`."""
    return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < 1e21 else value


def _from_text(workspace: Workspace, prop: Json, text: str) -> Any:
    match prop["type"]:
        case "rich_text":
            return texts.plain(text)
        case "number":
            try:
                number = float(text)
            except ValueError:
                return None
            return number if math.isfinite(number) else None
        case "select":
            return _option_id(workspace, prop, text)
        case "multi_select":
            found = (_option_id(workspace, prop, part) for part in text.split(","))
            return list(dict.fromkeys(option for option in found if option))
        case "status":
            option = options.find(prop["config"]["options"], text)
            return option["id"] if option else None
        case "checkbox":
            return text.strip().lower() in ("yes", "true")
        case "date":
            try:
                return dates.parse({"start": text}, "", drop_millis=False)
            except NotionError:
                return None
        case "email" | "phone_number" | "url":
            return text if text and utf16_units(text) <= EMAIL_UNITS else None
        case kind:
            return EMPTY.get(kind)


def _option_id(workspace: Workspace, prop: Json, text: str) -> str | None:
    name = text.replace(",", " ").strip()[:100]
    if not name:
        return None
    option = options.find(prop["config"]["options"], name)
    if option is None:
        option = options.made(name, workspace.rng)
        prop["config"]["options"] = [*prop["config"]["options"], option]
    return str(option["id"])
