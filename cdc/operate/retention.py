"""Forgets what is too old, at the start and once a day: audit lines, closed conflicts, the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from state import inbox, retention
from state.database import Connection, Pool

DAY_S: Final = 86_400.0
log = structlog.get_logger(__name__)
Prune = Callable[[Connection, int], Awaitable[int]]


class Retention:
    """Keeps what has to be kept and no more."""

    def __init__(self, pool: Pool, *, audit_days: int) -> None:
        self._pool = pool
        self._prunes: tuple[tuple[str, Prune, int], ...] = (
            ("audit", retention.prune_audit, audit_days),
            ("conflicts", retention.prune_conflicts, audit_days),
            ("inbox", inbox.prune, inbox.KEPT_DAYS),
        )

    async def run(self) -> None:
        """Return never: forget now, and again each day."""
        while True:
            await self.once()
            await asyncio.sleep(DAY_S)

    async def once(self) -> None:
        """Forget all that is too old now."""
        for what, prune, days in self._prunes:
            forgotten = 0
            while pruned := await self._step(prune, days):
                forgotten += pruned
            if forgotten:
                log.info("records.forgotten", what=what, records=forgotten, older_than_days=days)

    async def _step(self, prune: Prune, days: int) -> int:
        async with self._pool.connection() as conn:
            return await prune(conn, days)
