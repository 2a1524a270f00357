"""Bodies that name records to decide about: {"ids": [...], "entity": ...}, one of the two, or {"all": true}."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from cdc.operate.orders import ID_LENGTH
from cdc.web import queries
from cdc.web.answers import Refusal
from cdc.web.bodies import raw_body
from cdc.web.queries import MOST


@dataclass(frozen=True, slots=True)
class Selection:
    """What is meant: everything of `entity` and of `ids`; None is no limit."""

    entity: str | None
    ids: Sequence[str] | None


async def selection_of(request: web.Request, names: Collection[str]) -> Selection:
    """Return what the body names; refuses one that is not clear."""
    try:
        body = json.loads(await raw_body(request))
    except (ValueError, RecursionError):
        raise _unclear("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _unclear("the body is an object with ids, entity or all")
    entity, ids, every = body.get("entity"), body.get("ids"), body.get("all")
    if entity is not None and not (isinstance(entity, str) and entity in names):
        raise _unclear(f"entity is one of {', '.join(sorted(names))}")
    if ids is not None and not (isinstance(ids, list) and 0 < len(ids) <= MOST and all(map(_is_id, ids))):
        raise _unclear(f"ids is a list of up to {MOST} ids")
    named = entity is not None or ids is not None
    if not (every is None or every is True) or (every is True) == named:
        raise _unclear("name ids, an entity or both; or all, as true, and nothing else")
    return Selection(entity, ids)


def listing_of(request: web.Request, names: Collection[str]) -> tuple[str | None, int]:
    """Return (entity, limit) of a query: all of it, as far as an answer can hold that."""
    entity = queries.one(request, "entity")
    if entity is not None and entity not in names:
        raise _unclear(f"entity is one of {', '.join(sorted(names))}")
    return entity, queries.limit(request, otherwise=MOST)


def _unclear(should: str) -> Refusal:
    """Return the answer to what does not say what is meant."""
    return Refusal(HTTPStatus.BAD_REQUEST, should)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_LENGTH and value.isprintable()
