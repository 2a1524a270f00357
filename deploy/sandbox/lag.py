"""Query lag: for a while, queries see rows as they were before their latest change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.sandbox.errors import Json
from deploy.sandbox.store import Change
from deploy.sandbox.switches import Switches


@dataclass(frozen=True, slots=True)
class _Hidden:
    before: Json | None
    until_s: float
    until_query: int


class QueryLag:
    """Remembers the earlier versions of rows that queries still show. Kept in memory: a restart catches up."""

    def __init__(self, switches: Switches, monotonic: Callable[[], float]) -> None:
        self._switches = switches
        self._monotonic = monotonic
        self._hidden: dict[str, deque[_Hidden]] = {}
        self._queries = 0

    def notice(self, change: Change) -> None:
        """Hide a change of a row for as long as the switches say."""
        lag_s, lag_queries = self._switches.query_lag_s, self._switches.query_lag_queries
        if change.kind != "page" or (lag_s <= 0 and lag_queries <= 0):
            return
        hidden = _Hidden(change.before, self._monotonic() + lag_s, self._queries + lag_queries)
        self._hidden.setdefault(change.object_id, deque()).append(hidden)

    def count_query(self) -> None:
        """A query was answered."""
        self._queries += 1

    def rows(self, source_id: str, current: Iterator[Json]) -> Iterator[Json]:
        """Yield the rows of a data source the way a query sees them now."""
        if not self._hidden:
            yield from current
            return
        seen: dict[str, Json | None] = {page_id: self._version(page_id) for page_id in list(self._hidden)}
        stale = {page_id for page_id in seen if page_id in self._hidden}
        for row in current:
            if row["id"] not in stale:
                yield row
        for page_id in stale:
            row_before = seen[page_id]
            if row_before is not None and row_before["parent"].get("data_source_id") == source_id:
                yield row_before

    def _version(self, page_id: str) -> Json | None:
        changes = self._hidden[page_id]
        now_s = self._monotonic()
        while changes and changes[0].until_s <= now_s and changes[0].until_query <= self._queries:
            changes.popleft()
        if changes:
            return changes[0].before
        del self._hidden[page_id]
        return None
