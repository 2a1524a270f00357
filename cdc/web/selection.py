"""Bodies that name records to decide about: {"ids": [...], "entity": ...}, one of the two, or {"all": true}."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cdc.orders import ID_LENGTH
from cdc.web.answers import Refusal
from cdc.web.bodies import raw_body, require_json

MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Selection:
    """What is meant: everything of `entity` and of `ids`; None is no limit."""

    entity: str | None
    ids: Sequence[str] | None


async def selection_of(request: web.Request, names: Collection[str]) -> Selection:
    """Return what the body names; raises Refusal unless it says so clearly."""
    raw = await raw_body(request)
    require_json(request)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise _unclear("the body is not JSON in UTF-8") from None
    if not isinstance(body, dict):
        raise _unclear("the body is an object with ids, entity or all")
    entity, ids, every = body.get("entity"), body.get("ids"), body.get("all")
    if entity is not None and not (isinstance(entity, str) and entity in names):
        raise _unclear(f"entity is one of {', '.join(sorted(names))}")
    if ids is not None and not (isinstance(ids, list) and 0 < len(ids) <= MOST and all(map(_is_id, ids))):
        raise _unclear(f"ids is a list of up to {MOST} ids, each of 1 to {ID_LENGTH} characters")
    named = entity is not None or ids is not None
    if not (every is None or every is True) or (every is True) == named:
        raise _unclear("name ids, an entity or both; or all, as true, and nothing else")
    return Selection(entity, ids)


def _unclear(reason: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, reason)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_LENGTH and value.isprintable()
