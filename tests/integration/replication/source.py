"""A database to stream from: tables of the test's own, a slot, and what came through it as decoded events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg

from cdc.replication import making
from cdc.replication import slot as slots
from cdc.replication.faults import PGOUTPUT
from cdc.replication.frames import XLogData
from cdc.replication.plugins import Reading, reading
from cdc.replication.port import Begin, Commit, Decoder, Event, LogicalMessage, RowChange, Truncate
from cdc.replication.stream import ReplicationStream
from state.changes import Lsn
from tests.plugins import PLUGIN

WAIT_S = 30.0
NEVER_S = 3600.0

_marks = count()


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one commit brought: its end, and the events before it."""

    commit: Commit
    events: tuple[Event, ...] = ()

    @property
    def rows(self) -> tuple[RowChange, ...]:
        """Its row changes only."""
        return tuple(event for event in self.events if isinstance(event, RowChange))


@dataclass(slots=True)
class Source:
    """A database with an open administrator's connection."""

    dsn: str = field(repr=False)
    conn: psycopg.AsyncConnection[Any]
    slot: str = field(default_factory=lambda: f"test_{secrets.token_hex(6)}")
    plugin: str = PLUGIN
    decoders: dict[ReplicationStream, Decoder] = field(default_factory=dict, repr=False)

    async def run(self, *statements: str) -> None:
        """Run each statement in a transaction of its own; one string with several is one transaction."""
        for statement in statements:
            await self.conn.execute(statement.encode())

    async def value(self, query: str) -> Any:
        """Return the first column of the first row."""
        row = await (await self.conn.execute(query.encode())).fetchone()
        return row[0] if row else None

    async def create_slot(self) -> Lsn:
        """Make the slot: what is committed from now on is in the stream."""
        published = f"select exists (select from pg_publication where pubname = '{self.slot}')"  # noqa: S608
        if self.plugin == PGOUTPUT and not await self.value(published):
            # tables that are made later, too
            await self.run(f'create publication "{self.slot}" for all tables')
        return await making.create(self.dsn, self.slot, WAIT_S, self.plugin)

    def reading(self, tables: Mapping[str, Sequence[str]]) -> Reading:
        """Return what decodes these columns of these tables, and what the plugin is asked for."""
        listed = {name: frozenset(columns) for name, columns in tables.items()}
        return reading(self.plugin, listed, "public", self.slot)

    async def state(self) -> slots.SlotState:
        """Return the slot's state; it must be there."""
        found = await slots.inspect(self.conn, self.slot)
        assert found is not None
        return found

    def stream(self, *tables: str, **settings: Any) -> ReplicationStream:
        """Return a stream of the slot for `tables`, not entered yet."""
        asked = self.reading(dict.fromkeys(tables or ("listed",), ())).options
        return ReplicationStream(self.dsn, self.slot, asked, **settings)

    async def read(self, stream: ReplicationStream, tables: Mapping[str, Sequence[str]]) -> list[Transaction]:
        """Return every transaction that was committed before this call and not read from `stream` yet."""
        mark = f"mark {next(_marks)}"
        await self.conn.execute("select pg_logical_emit_message(true, 'mapable_cdc', %s)", (mark,))
        # one for a stream: pgoutput says once what a table looks like
        decoder = self.decoders.setdefault(stream, self.reading(tables).decoder)
        seen: list[Transaction] = []
        inner: list[Event] = []
        async with asyncio.timeout(WAIT_S):
            while True:
                # one at a time: what follows the mark stays for the next call
                for frame in await stream.read(limit=1):
                    event = decoder.decode(frame.payload) if isinstance(frame, XLogData) else None
                    match event:
                        case None | Begin():
                            pass
                        case Commit():
                            if any(isinstance(e, LogicalMessage) and e.content == mark for e in inner):
                                return seen
                            seen.append(Transaction(event, tuple(inner)))
                            inner.clear()
                        case Truncate(table, also):
                            inner += [Truncate(each) for each in (table, *also)]
                        case _:
                            inner.append(event)

    async def fill(self, rows: int) -> None:
        """Insert so many rows of half a kilobyte, in one transaction."""
        query = "insert into listed select 'k' || n, repeat('x', 500) from generate_series(1, %s) n"
        await self.conn.execute(query, (rows,))

    async def acknowledged(self, lsn: Lsn) -> None:
        """Return when the server says that everything before `lsn` has been acknowledged."""
        async with asyncio.timeout(WAIT_S):
            while ((await self.state()).confirmed_flush_lsn or 0) < lsn:
                pass

    async def until(self, query: str) -> None:
        """Return when `query` says true; every look is a round trip to the server."""
        async with asyncio.timeout(WAIT_S):
            while not await self.value(query):
                pass


async def read_for_ever(stream: ReplicationStream) -> None:
    """Read until the stream ends, which is an error."""
    while True:
        await stream.read()
