"""Notion's limits: sizes of one request, counted in UTF-16 units, and the fixed window of the request rate."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

PAYLOAD_BYTES: Final = 500_000
ARRAY_ITEMS: Final = 100
TEXT_UNITS: Final = 2000
URL_UNITS: Final = 2000
EMAIL_UNITS: Final = 200
PHONE_UNITS: Final = 200
EQUATION_UNITS: Final = 1000
OPTION_NAME_UNITS: Final = 100
PAGE_SIZE: Final = 100
REFERENCES_SHOWN: Final = 25
"""Items of a relation or people property in a page; the rest comes from the property endpoint."""


def utf16_units(text: str) -> int:
    """Return the length of `text` as JavaScript counts it: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class RateWindow:
    """A budget of requests per fixed window. Any pace inside; requests that were refused do not count."""

    def __init__(self, limit: int, window_s: float, monotonic: Callable[[], float], rng: random.Random) -> None:
        self.limit = limit
        self.window_s = window_s
        self._monotonic = monotonic
        # A random phase: a client can't know when the window turns.
        self._phase_s = rng.random() * window_s
        self._window = -1
        self._used = 0

    @property
    def used(self) -> int:
        """Requests counted in the current window."""
        self._turn()
        return self._used

    def take(self) -> float | None:
        """Count one request and return None, or return the seconds until the window turns when it is full."""
        if self.limit <= 0:
            return None
        elapsed_s = self._turn()
        if self._used >= self.limit:
            return self.window_s - elapsed_s
        self._used += 1
        return None

    def _turn(self) -> float:
        window, elapsed_s = divmod(self._monotonic() + self._phase_s, self.window_s)
        if int(window) != self._window:
            self._window = int(window)
            self._used = 0
        return elapsed_s


def whole_seconds(seconds: float) -> int:
    """Return what Retry-After says: rounded up, at least one."""
    return max(1, math.ceil(seconds))
