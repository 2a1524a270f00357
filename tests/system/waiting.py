"""Waiting for facts: a condition is asked again whenever something may have moved, until a deadline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg

from deploy.sandbox.server import Sandbox

LOOK_AGAIN_S = 0.1
DATABASES = (
    "Participants", "NDIS Plans", "Care Plans", "Incidents", "Complaints", "Risks", "Payment Transactions",
)
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def until(sandbox: Sandbox, holds: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    """Return when `holds` is true; asked after every move of the sandbox, and every moment."""
    async with asyncio.timeout(timeout_s):
        while not await holds():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await sandbox.next_move()


async def quiet(sandbox: Sandbox, db: Connection, timeout_s: float = 60.0) -> None:
    """Return when nothing waits in the queue and no marking is under way."""

    async def holds() -> bool:
        row = await (
            await db.execute(
                "select (select count(*) from notion_sync.work) + (select count(*) from notion_sync.marking)"
            )
        ).fetchone()
        return row is not None and row[0] == 0

    await until(sandbox, holds, timeout_s)


async def scalar(db: Connection, query: str) -> Any:
    """Return the one value of a query."""
    row = await (await db.execute(query.encode())).fetchone()
    return row[0] if row is not None else None


def pages_by_system_id(sandbox: Sandbox, database: str) -> Counter[str]:
    """Return how many live pages carry each System ID."""
    return Counter(row["properties"]["System ID"] for row in sandbox.people.rows(database))


def duplicates(sandbox: Sandbox) -> dict[str, list[str]]:
    """Return the System IDs that more than one live page of a database carries."""
    found = {
        database: [system_id for system_id, count in pages_by_system_id(sandbox, database).items() if count > 1]
        for database in DATABASES
    }
    return {database: ids for database, ids in found.items() if ids}
