"""MapAble's database, a Notion whose clock the test turns, and what looks at it, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from cdc.operate.marker import Marker
from cdc.watch.adoption import Adoption
from cdc.watch.looking import Looks
from cdc.watch.newcomers import Newcomers
from cdc.watch.strays import Strays
from cdc.watch.sweep import Sweeping
from deploy.sandbox.server import Sandbox
from sinks.mapable.rowmaking import RowMaker
from sinks.mapable.rows import Rows, adapt
from sinks.mapping.entities import ENTITIES, by_name
from sinks.mapping.model import Entity
from sinks.notion.client import NotionClient
from sinks.notion.pacing import Pacer
from sinks.notion.setup import Setup
from sinks.notion.sink import NotionSink
from state import links, looks, settings, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection, Pool, conninfo, open_pool
from state.links import PageState, Settled
from state.merge import Json, observed
from state.migrations import migrate
from state.work import Claim, WorkQueue

SCHEMA: Final = "notion_sync"
ZONE: Final = ZoneInfo("Australia/Sydney")
RISK: Final = by_name("risk")
INSERT: Final = """
insert into public."Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, %(title)s, '', 'LOW', 'falls', '', now())
"""
PARTICIPANT: Final = """
insert into public."User" (id, name, email, role, "updatedAt")
values (%(id)s, %(id)s, %(id)s || '@example.org', 'PARTICIPANT', now())
"""
MORNING: Final = datetime(2026, 3, 5, 10, 0, tzinfo=UTC).timestamp()


@dataclass
class Clock:
    """Notion's clock and the stopwatch of those who look, turned by hand, and together."""

    now_s: float = MORNING

    def __call__(self) -> float:
        return self.now_s

    def turn(self, by_s: float) -> None:
        self.now_s += by_s


@dataclass
class Stage:
    """One workspace, one sidecar in MapAble's database, and the looks between them."""

    sandbox: Sandbox
    clock: Clock
    pool: Pool
    conn: Connection
    sink: NotionSink
    looks: Looks
    sweeping: Sweeping
    queue: WorkQueue
    rows: Rows
    bot: str
    told: list[tuple[str, str]]
    """(page, text) of every explanation."""
    read: list[int] = field(default_factory=list)
    """How many pages each look read."""

    async def link(self, system_id: str, entity: Entity = RISK, **values: Json) -> PageId:
        """Make the page of a row as the program does, and agree on it."""
        sent: dict[str, Json] = {"systemId": system_id, **values}
        if entity is RISK:
            sent = {"title": system_id, "category": "falls", **sent}
        async with self.sink.turn(Priority.LIVE):
            page = await self.sink.create(entity, sent)
        settled = Settled(
            page.page_id, self.sink.database_of(entity), "both", observed({}, sent, page.values), {}, True, 1.0,
            page.edited_at,
        )
        await links.settle(self.conn, entity.table, system_id, settled)
        return page.page_id

    async def state(self, system_id: str, state: PageState, entity: Entity = RISK) -> None:
        """Move a link to another state."""
        await links.set_state(self.conn, entity.table, system_id, state)

    async def look(self, entity: Entity = RISK) -> set[Key]:
        """Look once, and return what is marked by then; the queue is empty afterwards."""
        await self.looks.edited(entity, Priority.MANUAL)
        return await self.marked()

    async def marked(self) -> set[Key]:
        """Empty the queue and return the keys that were in it, which were all marked for theirs."""
        cursor = await self.conn.execute("delete from work returning entity, system_id, reasons")
        found = await cursor.fetchall()
        assert all(row[2] & 2 for row in found)
        return {Key(row[0], row[1]) for row in found}

    async def claim(self, page_id: str) -> Claim:
        """Mark a page and claim its key, which has to be due at once."""
        await work.mark(self.conn, {strays.key_of(PageId(page_id)): None}, reason=Reason.THEIRS, priority=Priority.LIVE)
        claims = await self.queue.claim(limit=10, lowest=Priority.BACKFILL)
        (claim,) = [claim for claim in claims if claim.system_id == page_id]
        return claim

    async def judge(self, page_id: str, *create_rows: str, grace_s: float = 0.0) -> set[Key]:
        """Judge a page as often as it asks for at once, and return what else is marked by then."""
        judging = self.judging(*create_rows, grace_s=grace_s)
        await judging.work(await self.claim(page_id))
        again = await self.queue.claim(limit=10, lowest=Priority.BACKFILL)
        for claim in again:
            if claim.entity == strays.KIND:
                await judging.work(claim)
        return await self.marked() - {strays.key_of(PageId(page_id))}

    def judging(self, *create_rows: str, grace_s: float = 0.0) -> Strays:
        """Return what judges pages."""
        return Strays(
            self.pool, self.queue, self.sink, self.rows, self.newcomers(grace_s), ENTITIES,
            create_rows=create_rows, directions={},
        )

    def newcomers(self, grace_s: float = 0.0) -> Newcomers:
        """Return what makes rows of pages."""
        return Newcomers(
            self.pool, self.sink, RowMaker("public"), self._explain, time_zone=ZONE, directions={}, grace_s=grace_s
        )

    async def _explain(
        self, _: Connection, __: Key, page_id: PageId, ___: str, ____: str, text: str, /,
        *, participant_id: str | None = None,
    ) -> bool:
        self.told.append((page_id, text))
        return True

    async def insert(self, system_id: str, title: str = "Ramp") -> None:
        """Insert a risk as MapAble does."""
        await self.run(INSERT, id=system_id, title=title)

    async def participant(self, system_id: str) -> PageId:
        """Insert a participant and link its page."""
        await self.run(PARTICIPANT, id=system_id)
        return await self.link(system_id, by_name("participant"), name=system_id)

    async def until(self, entity: Entity = RISK) -> datetime | None:
        """Return the time up to which edits were seen."""
        return await looks.edited_until(self.conn, entity.name, self.sink.database_of(entity))

    async def strays(self) -> dict[str, strays.Stray]:
        """Return the pages that wait for a person, by id."""
        return {stray.page_id: stray for stray in await strays.still_open(self.conn)}

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """Return the audit lines of an action."""
        async with self.conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("select * from audit_log where action = %s order by id", (action,))
            return await cursor.fetchall()

    async def run(self, statement: str, **arguments: object) -> None:
        """Run a statement as MapAble does."""
        await self.conn.execute(statement.encode(), arguments or None)

    async def row(self, table: str, where: Mapping[str, object]) -> dict[str, Any] | None:
        """Return the one row of MapAble's table that matches, or None."""
        conditions = " and ".join(f'"{name}" = %({name})s' for name in where) or "true"
        async with self.conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f'select * from public."{table}" where {conditions}'.encode(), dict(where))  # noqa: S608
            found = await cursor.fetchall()
        assert len(found) <= 1, f"{len(found)} rows"
        return found[0] if found else None


@asynccontextmanager
async def staged(dsn: str) -> AsyncIterator[Stage]:
    """Set up a workspace and give the stage."""
    info = conninfo(dsn, schema=SCHEMA, application_name="looking tests", statement_timeout_s=10)
    clock = Clock()
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=5, clock=clock) as sandbox,
        open_pool(info, name="test", max_size=4) as pool,
        open_pool(info, name="source", max_size=2, configure=adapt) as source,
        pool.connection() as conn,
    ):
        await migrate(conn, SCHEMA)
        client = NotionClient(sandbox.token, base_url=sandbox.url, pacer=Pacer(0))
        try:
            await Setup(
                client, conn, ENTITIES, configured={}, parent_page_id=sandbox.parent_page_id,
                made_again=_nothing, settle_s=0.0,
            ).run()
            bot = str((await client.request("GET", "users/me"))["id"])
            await settings.put(conn, settings.BOT, {"id": bot})
            sink = NotionSink(client, await settings.data_sources(conn), ZONE)
            read: list[int] = []
            watching = Looks(pool, sink, stopwatch=clock, observer=lambda _, pages, __: read.append(pages))
            rows = Rows(source, "public")
            sweeping = Sweeping(
                pool, sink, Adoption(pool, sink, {}), Marker(pool, rows, ENTITIES), ENTITIES, every_s=3600
            )
            queue = WorkQueue(pool, lease_s=60)
            yield Stage(sandbox, clock, pool, conn, sink, watching, sweeping, queue, rows, bot, [], read)
        finally:
            await client.close()


async def _nothing(*_: object) -> None:
    return
