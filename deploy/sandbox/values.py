"""Property values: what may be written, checked by type and turned into the form that is stored.

Stored forms: rich text as its read items; options, people and relations as ids; dates in their read form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from deploy.sandbox import dates, texts
from deploy.sandbox.checks import as_array, as_bool, as_number, as_object, as_text, known_keys, tagged
from deploy.sandbox.draft import Draft
from deploy.sandbox.errors import UNDEFINED, Invalid, Json, NotFound, NotSimulated, unfit
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.limits import EMAIL_UNITS, PHONE_UNITS, URL_UNITS

READ_ONLY: Final = frozenset(
    {"created_time", "last_edited_time", "created_by", "last_edited_by", "unique_id", "formula", "rollup", "button"}
)
EMPTY: Final[dict[str, Any]] = {
    "title": [], "rich_text": [], "number": None, "select": None, "status": None, "multi_select": [], "date": None,
    "checkbox": False, "email": None, "phone_number": None, "url": None, "people": [], "files": [], "relation": [],
}  # fmt: skip
"""The stored form of an empty property; its keys are the types that can be written."""


def parse_all(draft: Draft, raw: Any, path: str = "body.properties") -> dict[str, Any]:
    """Return the stored forms by property id. Keys may be names or ids."""
    parsed: dict[str, Any] = {}
    for key, value in as_object(raw, path).items():
        prop = draft.prop(key)
        if prop["id"] in parsed:
            raise Invalid(f"body failed validation: {path}.{key} names the property `{prop['name']}` a second time.")
        parsed[prop["id"]] = parse(draft, prop, value, f"{path}.{key}")
    return parsed


def parse(draft: Draft, prop: Json, raw: Any, path: str) -> Any:
    """Return the stored form of one written value."""
    kind: str = prop["type"]
    # A null for a whole property is not a value in Notion: {"date": null} is.
    given = as_object(raw, path)
    if kind in READ_ONLY or kind not in EMPTY:
        raise Invalid(
            "body failed validation. Fix one:\n"
            + "\n".join(f"{path}.{name} should be defined, instead was `undefined`." for name in EMPTY)
        )
    if kind not in given:
        other = given.get("type") or next((name for name in given if name in EMPTY), None)
        if other is not None and other != kind:
            raise Invalid(f"{prop['name']} is expected to be {kind}.")
        known_keys(given, path, (kind, "type", "id", "name"))
        raise unfit(f"{path}.{kind}", "defined", UNDEFINED)
    known_keys(given, path, (kind, "type", "id"))
    if given.get("type", kind) != kind:
        raise Invalid(f"{prop['name']} is expected to be {kind}.")
    return _PARSERS[kind](draft, prop, given[kind], f"{path}.{kind}")


def _rich_text(draft: Draft, _prop: Json, value: Any, path: str) -> list[Json]:
    items = texts.parse(value, path, draft.workspace.name_of)
    return texts.trimmed(items) if draft.workspace.switches.normalise else items


def _number(_draft: Draft, _prop: Json, value: Any, path: str) -> float | None:
    return None if value is None else as_number(value, path)


def _option(draft: Draft, prop: Json, value: Any, path: str) -> str | None:
    if value is None:
        return None
    entry = as_object(value, path)
    known_keys(entry, path, ("id", "name", "color"))
    if "id" not in entry and "name" not in entry:
        raise unfit(f"{path}.name", "defined", UNDEFINED)
    return draft.option_id(prop, entry, path)


def _options(draft: Draft, prop: Json, value: Any, path: str) -> list[str]:
    chosen = [_option(draft, prop, entry, f"{path}[{index}]") for index, entry in enumerate(as_array(value, path))]
    if None in chosen:
        raise unfit(f"{path}[{chosen.index(None)}]", "an object", None)
    return list(dict.fromkeys(option for option in chosen if option is not None))


def _date(draft: Draft, _prop: Json, value: Any, path: str) -> Json | None:
    return dates.parse(value, path, drop_millis=draft.workspace.switches.normalise)


def _checkbox(_draft: Draft, _prop: Json, value: Any, path: str) -> bool:
    return as_bool(value, path)


def _text_of(limit: int) -> Callable[[Draft, Json, Any, str], str | None]:
    def parse_text(_draft: Draft, _prop: Json, value: Any, path: str) -> str | None:
        if value is None:
            return None
        text = as_text(value, path, limit)
        if not text:
            raise unfit(path, "populated", text)
        return text

    return parse_text


def _email(draft: Draft, prop: Json, value: Any, path: str) -> str | None:
    text = _text_of(EMAIL_UNITS)(draft, prop, value, path)
    return text.lower() if text is not None and draft.workspace.switches.normalise else text


def _people(draft: Draft, _prop: Json, value: Any, path: str) -> list[str]:
    people: dict[str, None] = {}
    for index, entry in enumerate(as_array(value, path)):
        person_id = canonical_uuid(as_object(entry, f"{path}[{index}]").get("id"), f"{path}[{index}].id")
        if draft.workspace.store.get("user", person_id) is None:
            raise Invalid(f"Could not find user with ID: {person_id}.")
        people[person_id] = None
    return list(people)


def _relation(draft: Draft, prop: Json, value: Any, path: str) -> list[str]:
    targets: dict[str, None] = {}
    for index, entry in enumerate(as_array(value, path)):
        known_keys(as_object(entry, f"{path}[{index}]"), f"{path}[{index}]", ("id",))
        page_id = canonical_uuid(entry.get("id", UNDEFINED), f"{path}[{index}].id")
        page = draft.workspace.store.get("page", page_id)
        if page is None or not draft.workspace.visible(page):
            raise NotFound("page", page_id)
        if page["parent"].get("data_source_id") != prop["config"]["data_source_id"]:
            raise Invalid(f"Page with ID {page_id} is not in the data source that {prop['name']} relates to.")
        targets[page_id] = None
    return list(targets)


def _files(_draft: Draft, _prop: Json, value: Any, path: str) -> list[Json]:
    files: list[Json] = []
    for index, entry in enumerate(as_array(value, path)):
        here = f"{path}[{index}]"
        if isinstance(entry, dict) and ("file" in entry or "file_upload" in entry):
            raise NotSimulated("files that Notion hosts; external ones are")
        _, content = tagged(entry, here, ("external",), extra=("name",))
        url = as_text(as_object(content, f"{here}.external").get("url"), f"{here}.external.url", URL_UNITS)
        name = as_text(entry.get("name"), f"{here}.name", 100)
        files.append({"name": name, "type": "external", "external": {"url": url}})
    return files


_PARSERS: Final[dict[str, Callable[[Draft, Json, Any, str], Any]]] = {
    "title": _rich_text,
    "rich_text": _rich_text,
    "number": _number,
    "select": _option,
    "status": _option,
    "multi_select": _options,
    "date": _date,
    "checkbox": _checkbox,
    "email": _email,
    "phone_number": _text_of(PHONE_UNITS),
    "url": _text_of(URL_UNITS),
    "people": _people,
    "relation": _relation,
    "files": _files,
}
