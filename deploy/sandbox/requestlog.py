"""The log of API requests: what came, what was answered, which fault was applied."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 100_000
"""Older requests are forgotten, but still counted by `total`."""


@dataclass(slots=True)
class Request:
    """One request to the API. `status` stays None while it is under way and when nothing was answered."""

    at_s: float
    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    body: Any = None
    status: int | None = None
    fault: str | None = None
    request_id: str = ""
    object_id: str | None = None
    """The page, database or data source that the answer is about, also when the answer was lost."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class RequestLog:
    """The requests since the last clear, oldest first."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque(maxlen=KEPT)
        self.total = 0

    def add(self, request: Request) -> None:
        """Append one."""
        self._requests.append(request)
        self.total += 1

    def clear(self) -> None:
        """Forget all."""
        self._requests.clear()
        self.total = 0

    def __iter__(self) -> Iterator[Request]:
        return iter(tuple(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    def select(
        self, method: str | None = None, path: str | None = None, status: int | None = None
    ) -> tuple[Request, ...]:
        """Return those that match; `path` is a regular expression for the whole path."""
        pattern = re.compile(path) if path is not None else None
        return tuple(
            request
            for request in self._requests
            if (method is None or request.method == method)
            and (pattern is None or pattern.fullmatch(request.path))
            and (status is None or request.status == status)
        )

    def count(self, method: str | None = None, path: str | None = None, status: int | None = None) -> int:
        """Return how many match."""
        return len(self.select(method, path, status))
