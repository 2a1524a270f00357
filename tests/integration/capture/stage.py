"""MapAble's database with a slot and the real capture on it: what is committed, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

from cdc.capture import Capture
from cdc.gathering import Gathering, tables
from cdc.replication.plugins import reading
from cdc.replication.stream import ReplicationStream
from sinks.mapping.entities import ENTITIES, by_name, columns_of
from state import stamps
from state.database import Pool
from state.stamps import Stamp
from tests.integration.replication.source import Source

SENTINEL: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('{id}', '', '', 'LOW', '', '', now())
"""

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Read by SQL and not by our decoder: when the last of the commits since the last look was
SPY: Final = "select pg_create_logical_replication_slot('spy', 'test_decoding', temporary => true)"
COMMITTED: Final = r"""
with said as materialized (
    select xid::text as xid, data
    from pg_logical_slot_get_changes('spy', null, null, 'include-timestamp', '1', 'skip-empty-xacts', '1')
)
select max(substring(data from '\(at (.*)\)$')::timestamptz)
from said
where data like 'COMMIT %' and xid in (select xid from said where data like 'table public.%')
"""

_sentinels = count()


@dataclass(slots=True)
class Stage:
    """The source, and a pool of connections to the sidecar in it."""

    source: Source
    pool: Pool

    async def spy(self) -> None:
        """Note commits from now on."""
        await self.source.value(SPY)

    async def run(self, *statements: str) -> datetime:
        """Run each statement in a transaction of its own; return when the last one was committed."""
        await self.source.run(*statements)
        return await self.committed()

    async def committed(self) -> datetime:
        """Return when the last change of the application was committed."""
        moment = await self.source.value(COMMITTED)
        assert isinstance(moment, datetime)
        return moment

    @asynccontextmanager
    async def capturing(self, *, per_column: bool = False, dsn: str | None = None) -> AsyncIterator[asyncio.Task[None]]:
        """Capture until the end of the block, as the active process does; a commit is let go at once."""
        listed = tables(ENTITIES)
        decoder, options = reading(self.source.plugin, listed, "public", self.source.slot)
        gathering = Gathering(decoder, ENTITIES)
        async with ReplicationStream(dsn or self.source.dsn, self.source.slot, options) as stream:
            capture = Capture(self.pool, self.source.slot, gathering, on_marked=lambda: None, per_column=per_column)
            task = asyncio.create_task(capture.run(stream), name="capture")
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def captured(self) -> None:
        """Return when all that was committed before this call is marked."""
        sentinel = f"sentinel-{next(_sentinels)}"
        await self.source.run(SENTINEL.format(id=sentinel))
        await self.source.until(f"select exists (select from notion_sync.work where system_id = '{sentinel}')")  # noqa: S608

    async def capture(self, *statements: str, per_column: bool = False) -> datetime:
        """Run the statements and capture all that is not captured yet; return when the last one was committed."""
        await self.source.run(*statements)
        when = await self.committed() if statements else EVER
        async with self.capturing(per_column=per_column):
            await self.captured()
        return when

    async def stamps(self, entity: str, *ids: str) -> Mapping[str, Stamp]:
        """Return what is known of these rows."""
        async with self.pool.connection() as conn:
            return await stamps.load(conn, entity, columns_of(by_name(entity)), ids)

    async def stamp(self, entity: str, system_id: str) -> Stamp:
        """Return what is known of a row, of which something is."""
        return (await self.stamps(entity, system_id))[system_id]

    async def forget_marks(self) -> None:
        """Empty the queue."""
        await self.source.run("delete from notion_sync.work")

    async def everything(self) -> list[str]:
        """Return all stamps of rows that are no sentinels."""
        found = await self.source.value(
            "select array_agg(s::text order by entity, system_id) from notion_sync.row_stamp s"
            " where system_id not like 'sentinel%'"
        )
        assert isinstance(found, list)
        return found
