"""What a browser sent with a form: texts by name, each once."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from cdc.web.answers import Refusal
from cdc.web.bodies import raw_body

FIELDS: Final = 50


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form."""

    fields: MultiDictProxy[str]

    def text(self, name: str) -> str | None:
        """Return the field's text; None when it is not there."""
        values = self.fields.getall(name, [])
        if len(values) > 1:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is given {len(values)} times: one is expected")
        return values[0] if values else None

    def number(self, name: str) -> int:
        """Return the field's number, not negative."""
        value = self.text(name) or ""
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: a number is expected")
        return int(value)


async def form_of(request: web.Request) -> Form:
    """Return what was sent; refuses what no form of ours sends."""
    raw = await raw_body(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a form is expected")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the form can't be read") from None
    return Form(MultiDictProxy(MultiDict(pairs)))
