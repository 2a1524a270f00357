"""So many calls in any stretch of time, and no more. The caller owns the clock."""

from __future__ import annotations

from collections import deque


class Window:
    """At most `limit` calls within any `window_s` seconds."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._taken_s: deque[float] = deque()

    def take(self, now_s: float) -> float:
        """Count a call and return 0, or return in how many seconds the next one may come; that one is not counted."""
        while self._taken_s and self._taken_s[0] <= now_s - self._window_s:
            self._taken_s.popleft()
        if len(self._taken_s) >= self._limit:
            return self._taken_s[0] + self._window_s - now_s
        self._taken_s.append(now_s)
        return 0.0
