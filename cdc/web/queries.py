"""Query strings, checked: one value or none, a number within limits."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc.operate.orders import ID_LENGTH
from cdc.web.answers import Refusal

MOST: Final = 1_000
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def one(request: web.Request, name: str) -> str | None:
    """Return the parameter's value; None when it is not there."""
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is given {len(values)} times: one is expected")
    return values[0] if values else None


def text(request: web.Request, name: str) -> str | None:
    """Return the parameter's value as an id or a name: not empty, not long, and printable."""
    value = one(request, name)
    if value is not None and not (0 < len(value) <= ID_LENGTH and value.isprintable()):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, f"{name}: 1 to {ID_LENGTH} characters without control characters are expected"
        )
    return value


def number(request: web.Request, name: str, *, least: int = 0, most: int = 10**18) -> int | None:
    """Return the parameter's value as a number."""
    value = one(request, name)
    if value is None:
        return None
    if _NUMBER.fullmatch(value) is None or not least <= int(value) <= most:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: a number from {least} to {most} is expected")
    return int(value)


def limit(request: web.Request, otherwise: int = 100) -> int:
    """Return how many are asked for."""
    found = number(request, "limit", least=1, most=MOST)
    return otherwise if found is None else found
