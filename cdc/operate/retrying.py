"""Parked work that nobody looks after is tried again now and then, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from state import parking
from state.database import Pool

AFTER_S: Final = 86_400.0
LIMIT: Final = 100
LOOK_S: Final = 10.0

log = structlog.get_logger(__name__)


class Retrying:
    """Marks what was parked a day ago. What is still wrong is parked anew, for another day."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self, on_marked: Callable[[], None]) -> None:
        """Look every so often, until cancelled."""
        while True:
            async with self._pool.connection() as conn, conn.transaction():
                marked = await parking.try_again(conn, after_s=AFTER_S, limit=LIMIT)
            if marked:
                log.info("parked.tried_again", keys=marked)
                on_marked()
            await asyncio.sleep(LOOK_S)
