"""Listings: read to their end, and of a data source by a timestamp, through queries that each end at 10,000 rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sinks.base import EntityUnavailable

PAGE_SIZE: Final = 100
MINUTE: Final = timedelta(minutes=1)

Ask = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Sends one request with this body, or query, and returns the answer."""
Pages = Sequence[Mapping[str, Any]]


class Crowded(EntityUnavailable):
    """More pages share one minute than a query returns."""


async def oldest_first(ask: Ask) -> AsyncIterator[Pages]:
    """Return every page by its creation, in batches; raises rather than stop short.

    Where a query ends at its cap, the next one starts at the time of the last page seen. Times are floored to the
    minute, so the pages of that minute come twice.
    """
    name = "created_time"
    bound: str | None = None
    while True:
        conditions = [{"timestamp": name, name: {"on_or_after": bound}}] if bound is not None else []
        last_at: str | None = None
        capped = False
        async for pages, incomplete in _query(ask, name, "ascending", conditions):
            capped = capped or incomplete
            last_at = pages[-1].get(name) if pages else last_at
            yield pages
        if not capped:
            return
        if last_at is None or last_at == bound:
            raise Crowded("more pages were made in one minute than a query returns")
        bound = last_at


async def newest_edits_first(ask: Ask, since: str | None) -> AsyncIterator[Pages]:
    """Return the pages edited at or after `since` (None: ever), in batches; raises rather than stop short.

    The newest edit first: a page that is edited while we turn the leaves goes to where we have been, and what we have
    not read yet moves towards us. The other way round, it could pass by unread.
    """
    name = "last_edited_time"
    bound: str | None = None
    while True:
        conditions = [{"timestamp": name, name: {"on_or_after": since}}] if since is not None else []
        if bound is not None:
            conditions.append({"timestamp": name, name: {"before": bound}})
        last_at: str | None = None
        capped = False
        async for pages, incomplete in _query(ask, name, "descending", conditions):
            capped = capped or incomplete
            last_at = pages[-1].get(name) if pages else last_at
            yield pages
        if not capped:
            return
        # the whole minute again, whether Notion compares what it shows or what it knows
        after = (datetime.fromisoformat(last_at) + MINUTE).isoformat() if last_at is not None else None
        if after is None or after == bound:
            raise Crowded("more pages were edited in one minute than a query returns")
        bound = after


async def _query(
    ask: Ask, timestamp: str, direction: str, conditions: Sequence[Mapping[str, Any]]
) -> AsyncIterator[tuple[Pages, bool]]:
    """Return the results of one query, and whether Notion said that they end at its cap."""
    body: dict[str, Any] = {"sorts": [{"timestamp": timestamp, "direction": direction}]}
    if conditions:
        body["filter"] = {"and": list(conditions)}
    async for answer in listed(lambda more: ask({**body, **more})):
        status = answer.get("request_status")
        yield answer.get("results") or [], isinstance(status, dict) and status.get("type") == "incomplete"


async def listed(ask: Ask) -> AsyncIterator[Mapping[str, Any]]:
    """Return the answers of a listing, one after the other to its end; `ask` is given what to send with each."""
    cursor: str | None = None
    while True:
        answer = await ask({"page_size": PAGE_SIZE} | ({"start_cursor": cursor} if cursor is not None else {}))
        yield answer
        cursor = answer.get("next_cursor")
        if not answer.get("has_more") or cursor is None:
            return
