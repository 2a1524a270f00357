"""Bodies that name records to decide about: {"ids": [...], "entity": ...}, one of the two, or {"all": true}."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from cdc.web.bodies import raw_body

MOST: Final = 1000


class Unreadable(Exception):
    """The body does not say what is meant; the text tells what it should say."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is meant: everything of `entity` and of `ids`; None is no limit."""

    entity: str | None
    ids: Sequence[str] | None


async def selection_of(request: web.Request, names: Collection[str]) -> Selection:
    """Return what the body names; raises Unreadable."""
    try:
        body = json.loads(await raw_body(request))
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Unreadable("the body is an object with ids, entity or all")
    entity, ids, every = body.get("entity"), body.get("ids"), body.get("all")
    if entity is not None and not (isinstance(entity, str) and entity in names):
        raise Unreadable(f"entity is one of {', '.join(sorted(names))}")
    if ids is not None and not (isinstance(ids, list) and 0 < len(ids) <= MOST and all(map(_is_id, ids))):
        raise Unreadable(f"ids is a list of up to {MOST} ids")
    named = entity is not None or ids is not None
    if not (every is None or every is True) or (every is True) == named:
        raise Unreadable("name ids, an entity or both; or all, as true, and nothing else")
    return Selection(entity, ids)


def listing_of(request: web.Request, names: Collection[str]) -> tuple[str | None, int]:
    """Return (entity, limit) of a query; raises Unreadable."""
    entity = request.query.get("entity")
    if entity is not None and entity not in names:
        raise Unreadable(f"entity is one of {', '.join(sorted(names))}")
    limit = request.query.get("limit", str(MOST))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 9 and 0 < int(limit) <= MOST):
        raise Unreadable(f"limit is a number up to {MOST}")
    return entity, int(limit)


def refused(error: Unreadable) -> web.Response:
    """Return the answer to such a body."""
    return web.json_response({"error": "bad_request", "reason": str(error)}, status=400)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
