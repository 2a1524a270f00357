"""One answer for all who ask at about the same time: it is made once, not once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Keeps the last answer of `make`. `now_s` is any clock that only goes forward."""

    def __init__(self, make: Callable[[], Awaitable[T]], now_s: Callable[[], float]) -> None:
        self._make = make
        self._now_s = now_s
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def younger_than(self, age_s: float) -> T:
        """Return an answer that was begun at most so long before this call; with 0 nothing that is told is older."""
        since_s = self._now_s() - age_s
        # whoever comes while it is made waits for it, instead of having it made once more
        async with self._lock:
            if self._kept is None or self._kept[0] < since_s:
                began_s = self._now_s()
                self._kept = (began_s, await self._make())
            return self._kept[1]

    def has(self, age_s: float) -> bool:
        """Whether `younger_than` would answer at once."""
        return self._kept is not None and self._kept[0] >= self._now_s() - age_s

    def forget(self, age_s: float) -> None:
        """Let go of an answer that is older."""
        if not self.has(age_s):
            self._kept = None
