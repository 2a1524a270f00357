"""Rich text: what is written, checked and completed to what is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from deploy.sandbox.checks import as_array, as_bool, as_object, as_text, known_keys, one_of, tagged
from deploy.sandbox.errors import UNDEFINED, Json, NotSimulated, unfit
from deploy.sandbox.ids import canonical_uuid
from deploy.sandbox.limits import EQUATION_UNITS, TEXT_UNITS, URL_UNITS

_FLAGS: Final = ("bold", "italic", "strikethrough", "underline", "code")
_COLOURS: Final = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
_TEXT_COLOURS: Final = frozenset(_COLOURS) | {f"{colour}_background" for colour in _COLOURS}
Namer = Callable[[str, str], str]
"""Returns the shown text of a mention, given its kind and the id."""


def parse(value: Any, path: str, name_of: Namer) -> list[Json]:
    """Return the items in their read form. Items without any text vanish, as they do in Notion."""
    items = [_item(item, f"{path}[{index}]", name_of) for index, item in enumerate(as_array(value, path))]
    return [item for item in items if item["plain_text"] != ""]


def _item(value: Any, path: str, name_of: Namer) -> Json:
    # plain_text and href are accepted because clients send back what they read; they change nothing.
    kind, content = tagged(value, path, ("text", "mention", "equation"), extra=("annotations", "plain_text", "href"))
    content = as_object(content, f"{path}.{kind}")
    annotations = _annotations(value.get("annotations"), f"{path}.annotations")
    if kind == "mention":
        return _mention(content, f"{path}.mention", annotations, name_of)
    if kind == "equation":
        known_keys(content, f"{path}.equation", ("expression",))
        expression = as_text(content.get("expression"), f"{path}.equation.expression", EQUATION_UNITS)
        return _read("equation", {"expression": expression}, annotations, expression, None)
    known_keys(content, f"{path}.text", ("content", "link"))
    if "content" not in content:
        raise unfit(f"{path}.text.content", "defined", UNDEFINED)
    text = as_text(content["content"], f"{path}.text.content", TEXT_UNITS)
    link = content.get("link")
    url = None
    if link is not None:
        url = as_text(as_object(link, f"{path}.text.link").get("url"), f"{path}.text.link.url", URL_UNITS)
        if not url:
            raise unfit(f"{path}.text.link.url", "a valid URL", url)
    return _read("text", {"content": text, "link": {"url": url} if url else None}, annotations, text, url)


def _mention(content: Json, path: str, annotations: Json, name_of: Namer) -> Json:
    kind, target = tagged(content, path, ("user", "page", "date"))
    if kind == "date":
        raise NotSimulated("date mentions in rich text")
    target_id = canonical_uuid(as_object(target, f"{path}.{kind}").get("id"), f"{path}.{kind}.id")
    reference = {"object": "user", "id": target_id} if kind == "user" else {"id": target_id}
    href = f"https://www.notion.so/{target_id.replace('-', '')}" if kind == "page" else None
    return _read("mention", {"type": kind, kind: reference}, annotations, name_of(kind, target_id), href)


def _annotations(value: Any, path: str) -> Json:
    given = {} if value is None else as_object(value, path)
    known_keys(given, path, (*_FLAGS, "color"))
    annotations: Json = {flag: as_bool(given.get(flag, False), f"{path}.{flag}") for flag in _FLAGS}
    annotations["color"] = one_of(given.get("color", "default"), f"{path}.color", _TEXT_COLOURS, "a valid color")
    return annotations


def _read(kind: str, content: Json, annotations: Json, plain_text: str, href: str | None) -> Json:
    return {"type": kind, kind: content, "annotations": annotations, "plain_text": plain_text, "href": href}


def plain(text: str) -> list[Json]:
    """Return unformatted `text` in its read form; a person's text may be longer than a request's."""
    if text == "":
        return []
    annotations: Json = dict.fromkeys(_FLAGS, False)
    annotations["color"] = "default"
    return [_read("text", {"content": text, "link": None}, annotations, text, None)]


def joined(items: Sequence[Json]) -> str:
    """Return the plain text of all items."""
    return "".join(item["plain_text"] for item in items)


def trimmed(items: Sequence[Json]) -> list[Json]:
    """Return the items without white space at the two ends of the whole text."""
    kept = list(items)
    while kept and kept[0]["plain_text"].lstrip() == "":
        kept.pop(0)
    while kept and kept[-1]["plain_text"].rstrip() == "":
        kept.pop()
    if kept:
        kept[0] = _with_text(kept[0], kept[0]["plain_text"].lstrip())
        kept[-1] = _with_text(kept[-1], kept[-1]["plain_text"].rstrip())
    return kept


def _with_text(item: Json, text: str) -> Json:
    if item["type"] != "text":
        return item
    return {**item, "text": {**item["text"], "content": text}, "plain_text": text}
