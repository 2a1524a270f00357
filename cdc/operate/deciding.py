"""What was set aside until a person decides about it: how that is found, and how it is decided about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from state.database import Connection

T = TypeVar("T")

Find = Callable[..., Awaitable[Sequence[T]]]
"""Takes (connection, entity=, ids=, limit=) and returns what of that waits."""

Decide = Callable[[Connection, Sequence[T], str], Awaitable[Sequence[T]]]
"""Takes (connection, what is decided about, who decides) and returns what of that still waited."""
