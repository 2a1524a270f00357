"""Composition: which concrete parts make the product. The one module that names them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import psycopg
import structlog

from cdc.config import Settings
from cdc.leadership import Leadership, Office
from cdc.metrics import Metrics
from cdc.operate.explaining import Explaining
from cdc.operate.marker import Marker
from cdc.reconcile.absorbing import Absorber
from cdc.reconcile.acting import Acting
from cdc.reconcile.effects import Effects
from cdc.reconcile.facts import Gatherer
from cdc.reconcile.fanout import Fanout
from cdc.reconcile.holding import Holding
from cdc.reconcile.leaving import Leaving
from cdc.reconcile.loop import Reconciler
from cdc.reconcile.meeting import Meeting
from cdc.reconcile.reading import Reader
from cdc.reconcile.returning import Returning
from cdc.reconcile.settling import Settling
from cdc.refusals import refused
from cdc.watch.adoption import Adoption
from cdc.watch.looking import Looks
from cdc.watch.newcomers import Newcomers
from cdc.watch.pausing import Paused
from cdc.watch.polling import Polling
from cdc.watch.schema import SchemaWatch
from cdc.watch.strays import Strays
from cdc.watch.sweep import Sweeping
from sinks.base import SinkUnavailable
from sinks.mapable.rowmaking import RowMaker
from sinks.mapable.rows import Rows, adapt
from sinks.mapable.writeback import WriteBack
from sinks.mapping.entities import ENTITIES
from sinks.notion.client import NotionClient
from sinks.notion.comments import NotionComments
from sinks.notion.pacing import Pacer
from sinks.notion.schemas import Schemas
from sinks.notion.sink import NotionSink
from state import schemas
from state.changes import Priority
from state.database import Connection, Pool, conninfo, open_pool
from state.errors import FatalError, TransientError
from state.explanations import explain
from state.migrations import migrate
from state.settings import BOT, DataSource, RequestLedger, data_sources, put
from state.work import WorkQueue

log = structlog.get_logger(__name__)
LEASE_S = 120.0
STATE_STATEMENT_S = 30.0
SOURCE_STATEMENT_S = 5.0
WINDOW_S = 60.0
STORE_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What every command works with."""

    settings: Settings
    pool: Pool          # the sidecar
    rows: Rows          # MapAble's tables, read only
    queue: WorkQueue
    pacer: Pacer
    client: NotionClient
    marker: Marker
    metrics: Metrics
    office: Office

    def leadership(self) -> Leadership:
        settings = self.settings
        return Leadership(
            settings.direct.dsn, f"{settings.state_schema} {settings.replication_slot}", self.office, self.pool
        )


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Parts]:
    """Open the pools, bring the sidecar up to date and build the parts."""
    metrics, office = Metrics(), Office()
    # a pooler can serve neither the lock nor session settings: the direct URL, where there is one, is for everything
    database = settings.direct
    async with AsyncExitStack() as stack:
        state_info = conninfo(
            database.dsn, schema=settings.state_schema, application_name=office.session("state"),
            statement_timeout_s=STATE_STATEMENT_S,
        )
        try:
            async with await psycopg.AsyncConnection.connect(state_info, autocommit=True) as conn:
                await migrate(conn, settings.state_schema)
        except psycopg.OperationalError as error:
            raise refused(error) from None

        async def admitted(conn: Connection) -> None:
            await adapt(conn)
            await office.admit(conn)

        pool = await stack.enter_async_context(
            open_pool(state_info, name="state", max_size=12, configure=admitted)
        )
        source_info = conninfo(
            database.dsn, schema=settings.state_schema, application_name=office.session("source"),
            statement_timeout_s=SOURCE_STATEMENT_S, read_only=True,
        )
        source_pool = await stack.enter_async_context(
            open_pool(source_info, name="source", max_size=4, configure=adapt)
        )
        rows = Rows(source_pool, database.schema)
        pacer = Pacer(
            settings.notion_requests_per_minute, window_s=WINDOW_S, ledger=RequestLedger(pool, WINDOW_S),
            observer=metrics.waited,
        )
        metrics.gauges.pace(pacer)
        await pacer.open()
        client = NotionClient(
            settings.notion_api_key.get_secret_value(), base_url=settings.notion_base_url, pacer=pacer,
            timeout_s=settings.notion_request_timeout_seconds, observer=metrics.request, assured=office.assured,
        )
        stack.push_async_callback(client.close)
        yield Parts(
            settings, pool, rows, WorkQueue(pool, lease_s=LEASE_S), pacer, client,
            Marker(pool, rows, settings.entities), metrics, office,
        )


async def sink_of(parts: Parts, *, remembers: bool = True) -> NotionSink:
    """Return the sink over the databases that setup stored; raises FatalError when one is missing.

    One that does not remember the options it meets changes nothing in the sidecar.
    """

    async def learn(source: DataSource, field: str, option_id: str, label: str) -> None:
        if remembers:
            async with parts.pool.connection() as conn:
                await schemas.learn(conn, source, field, option_id, label)

    async with parts.pool.connection() as conn:
        sources = await data_sources(conn)
    missing = [entity.title for entity in parts.settings.entities if entity.name not in sources]
    if missing:
        raise FatalError(
            f"no Notion database is known for {', '.join(missing)}",
            "Run `mapable-cdc setup PAGE` with the id or URL of a page that is shared with the connection.",
        )
    return NotionSink(parts.client, sources, parts.settings.zone, learn=learn)


def adoption_of(parts: Parts, sink: NotionSink) -> Adoption:
    """Return what links the pages that stand already; one for all that look at pages."""
    return Adoption(parts.pool, sink, _directions(parts))


def looks_of(parts: Parts, sink: NotionSink) -> Looks:
    """Return what looks for edits that nobody told of."""
    return Looks(parts.pool, sink, observer=parts.metrics.looked)


def polling_of(parts: Parts, sink: NotionSink, adoption: Adoption, looks: Looks) -> Polling:
    """Return what looks for edits every so often."""
    return Polling(looks, adoption, parts.settings.entities, every_s=parts.settings.notion_poll_seconds)


def sweeping_of(parts: Parts, sink: NotionSink, adoption: Adoption) -> Sweeping:
    """Return what compares every page now and then."""
    return Sweeping(
        parts.pool, sink, adoption, parts.marker, parts.settings.entities,
        every_s=parts.settings.notion_sweep_seconds, observer=parts.metrics.swept,
    )


def strays_of(parts: Parts, sink: NotionSink) -> Strays:
    """Return what judges the pages that no row is linked to."""
    settings = parts.settings
    newcomers = Newcomers(
        parts.pool, sink, RowMaker(settings.direct.schema), explain,
        time_zone=settings.zone, directions=_directions(parts), grace_s=settings.notion_revert_grace_seconds,
    )
    return Strays(
        parts.pool, parts.queue, sink, parts.rows, newcomers, settings.entities,
        create_rows=settings.notion_create_rows, directions=_directions(parts),
    )


def _directions(parts: Parts) -> dict[str, str]:
    return {entity.name: parts.settings.direction_of(entity) for entity in ENTITIES}


def schema_watch_of(parts: Parts, sink: NotionSink) -> SchemaWatch:
    """Return what watches the databases, and knows which entities are paused."""
    return SchemaWatch(parts.pool, Schemas(parts.client), sink, parts.settings.entities, Paused())


def reconciler_of(
    parts: Parts,
    sink: NotionSink,
    schema: SchemaWatch,
    adoption: Adoption | None = None,
    looks: Looks | None = None,
) -> Reconciler:
    """Return the loop that works the queue off."""
    settings = parts.settings
    reader = reader_of(parts, sink)
    effects = Effects(
        parts.pool, parts.queue, sink, reader, Settling(parts.pool, sink, reader, time_zone=settings.zone),
        lookup_window_s=settings.notion_create_lookup_seconds,
    )
    leaving = Leaving(parts.pool, parts.queue, sink, Holding(parts.pool, parts.rows))
    gatherer = Gatherer(
        parts.pool, sink, strategy=settings.notion_conflict_strategy, opened=settings.opened, time_zone=settings.zone
    )
    absorber = Absorber(
        parts.pool, reader, WriteBack(settings.direct.schema), time_zone=settings.zone,
        grace_s=settings.notion_revert_grace_seconds, observer=parts.metrics.wrote_back,
    )
    meeting = Meeting(
        parts.pool, sink, gatherer, absorber, leaving, schema,
        always_read=settings.notion_conflict_strategy == "manual-review",
    )
    entities = {entity.name: entity for entity in settings.entities}
    returning = Returning(
        parts.pool, schema, entities, sink_down=lambda: parts.pacer.breaker.open, observer=parts.metrics.key
    )
    return Reconciler(
        parts.pool, parts.queue, reader,
        Acting(parts.queue, reader, effects, leaving, meeting, schema, returning, sink), returning,
        Fanout(parts.pool, parts.rows, settings.entities), strays_of(parts, sink),
        adoption or adoption_of(parts, sink), meeting, looks or looks_of(parts, sink), schema.paused, entities,
        observer=parts.metrics.key,
    )


def explaining_of(parts: Parts) -> Explaining:
    """Return the loop that writes comments."""
    return Explaining(parts.pool, NotionComments(parts.client))


def reader_of(parts: Parts, sink: NotionSink | None, *, remembers: bool = True) -> Reader:
    """Return what reads batches of keys; one that does not remember the names it sees changes nothing."""
    settings = parts.settings
    return Reader(
        parts.pool, parts.rows, time_zone=settings.zone,
        directions={entity.name: settings.direction_of(entity) for entity in ENTITIES},
        enabled=frozenset(entity.name for entity in settings.entities), opened=settings.opened,
        paused=sink.paused if sink is not None else lambda _: frozenset(), remembers=remembers,
    )


async def check_token(parts: Parts) -> None:
    """Ask Notion who we are; a token it refuses is a person's matter, an outage is not."""
    try:
        async with parts.client.turn(Priority.LIVE):
            me = await parts.client.request("GET", "users/me")
    except SinkUnavailable as error:
        raise FatalError(
            str(error), "Set NOTION_API_KEY to the token of a connection that may read, update and insert content."
        ) from None
    except TransientError as error:
        log.warning("notion.unreachable", why=str(error))
        return
    while True:
        try:
            async with parts.pool.connection() as conn:
                # who we are to Notion: what only we wrote is an echo
                await put(conn, BOT, {"id": me.get("id")})
            return
        except psycopg.OperationalError as error:
            # it was there a moment ago, and a start that ends over that would be a person's matter
            log.warning("bot.not_stored", why=type(error).__name__)
            await asyncio.sleep(STORE_AGAIN_S)
