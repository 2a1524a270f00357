"""`mapable-cdc setup` around `sinks.notion.setup`: one at a time, and what was made again is filled again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, LiteralString

import psycopg
import structlog

from cdc import cluster, publishing
from cdc.app import Parts
from cdc.replication import publication
from cdc.replication.faults import PGOUTPUT
from sinks.mapping.canonical import empty
from sinks.mapping.entities import field_of
from sinks.mapping.model import Entity
from sinks.notion import views
from sinks.notion.setup import Done, Setup
from state import forgetting, marking
from state import settings as facts
from state.database import Connection
from state.errors import FatalError

# Two of them at once would make fourteen databases. A session's lock: a killed setup lets go of it
LOCK: Final[LiteralString] = "select pg_advisory_lock(hashtextextended('mapable-cdc setup ' || %(schema)s, 0))"
UNLOCK: Final[LiteralString] = "select pg_advisory_unlock(hashtextextended('mapable-cdc setup ' || %(schema)s, 0))"
PATIENCE: Final[LiteralString] = "set lock_timeout = '2s'"

log = structlog.get_logger(__name__)


async def set_up(parts: Parts, parent_page_id: str | None, progress: Callable[[Done], None]) -> tuple[Done, ...]:
    """Make or complete the databases; raises FatalError when a person must act first."""
    settings = parts.settings
    await cluster.ours(parts.pool, settings.direct.dsn)
    async with parts.pool.connection() as conn, _alone(conn, settings.state_schema):
        if settings.replication_plugin == PGOUTPUT and settings.notion_sync_enabled:
            # told now, and not at the first `run`
            await publication.ensure(conn, publishing.wanted(settings))
        done = await Setup(
            parts.client, conn, settings.entities, configured=settings.databases, parent_page_id=parent_page_id,
            progress=progress, made_again=_fill_again,
        ).run()
        for item in done:
            await views.make(parts.client, conn, item.source)
        # what was paused for want of a property may go on
        await facts.put(conn, facts.SCHEMA_DUE, True)
        return done


@asynccontextmanager
async def _alone(conn: Connection, schema: str) -> AsyncIterator[None]:
    await conn.execute(PATIENCE)
    try:
        await conn.execute(LOCK, {"schema": schema})
    except psycopg.errors.LockNotAvailable:
        raise FatalError("another setup is running", "Wait until it has ended, then run setup again.") from None
    try:
        yield
    finally:
        await conn.execute(UNLOCK, {"schema": schema})


async def _fill_again(conn: Connection, entity: Entity, fields: Sequence[str]) -> None:
    """See to it that every page gets the values that went with a removed property."""
    nothing = {key: empty(field_of(entity, key).kind) for key in fields}
    try:
        links = await forgetting.empty_fields(conn, entity.name, entity.table, nothing)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise FatalError("the work queue is too busy for a property that was made again", "Run setup again.") from None
    await marking.start(conn, [entity.name])
    log.info("properties.made_again", entity=entity.name, fields=sorted(fields), links=links)
