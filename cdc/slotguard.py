"""The slot's guard: there is one to read from, nothing was missed between it and what is stored, and it fills no disk.

Whatever is wrong with a slot heals in one way: everything is compared, and what is equal is left alone. A slot that is
made anew has seen none of the rows' changes before it: every row and link is marked. One that stands further than we
ever told it to was moved by somebody else, or the sidecar is older than it was (a restored backup of the schema): then
what was agreed may be old, too, and the pages are swept before the rows are marked.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cdc.app import Parts
from cdc.operate import marker
from cdc.replication import making
from cdc.replication import slot as slots
from cdc.replication.making import Tell
from cdc.replication.pressure import Pressure, pressure
from cdc.replication.slot import SlotState
from sinks.mapping.entities import ENTITIES
from state import audit, looks, stamps, streamed, work
from state.changes import Key, Lsn
from state.database import Connection
from state.errors import FatalError

SLOT_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 5.0
AHEAD: Final = "slot.ahead"

log = structlog.get_logger(__name__)


class SlotGuard:
    """Looks after one slot, for the process that is active."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._slot = parts.settings.replication_slot
        self._pressure = Pressure.NONE
        self.acknowledged = Lsn(0)
        """How far this process told the slot to go; a server that crashed forgets what was noted of that."""

    async def ensure(self, tell: Tell) -> None:
        """Make the slot when it is missing or lost, and then mark everything: changes before it were not seen.

        What has to be marked is noted before the slot is made, so that dying in between forgets nothing. `tell` is
        called while open transactions keep the slot from being made.
        """
        async with self._parts.pool.connection() as conn:
            found = await slots.inspect(conn, self._slot)
            if found is not None and not found.is_ours(conn.info.dbname):
                raise FatalError(
                    f"the slot {found.name} belongs to somebody else (plugin {found.plugin}, another database or both)",
                    "Set REPLICATION_SLOT to a name of its own, or drop that slot if nobody needs it.",
                )
            if found is not None and not found.lost:
                if await marker.due(conn):
                    await self._begin(conn, found.confirmed_flush_lsn)
                    await self._mark_all()
                return
            await self._prepare(conn)
            if found is not None:
                log.error("slot.lost", slot=self._slot, hint="Raise max_slot_wal_keep_size.")
                await slots.drop(conn, self._slot)
        self.acknowledged = Lsn(0)
        begins_at = await making.create(self._parts.settings.direct.dsn, self._slot, SLOT_TIMEOUT_S, tell=tell)
        log.info("slot.created", slot=self._slot)
        async with self._parts.pool.connection() as conn:
            await self._begin(conn, begins_at)
        await self._mark_all()

    async def close_gap(self) -> None:
        """Compare everything when the slot stands further than we told it to; call while nobody else can move it."""
        async with self._parts.pool.connection() as conn:
            found = await slots.inspect(conn, self._slot)
            known = max(await streamed.known(conn, self._slot), self.acknowledged)
            if found is None or found.confirmed_flush_lsn is None or found.confirmed_flush_lsn <= known:
                return
            missed_bytes = found.confirmed_flush_lsn - known if known else None
            log.error(
                AHEAD, slot=self._slot, missed_bytes=missed_bytes,
                hint="Find out who else moves this slot, or who restored the sidecar. Everything is compared.",
            )
            async with conn.transaction():
                # what happened in between was not seen: when a row was changed is not known any more
                await stamps.forget(conn, [entity.name for entity in ENTITIES])
                # a sweep marks every row once the pages were looked at
                await looks.request(conn, [entity.name for entity in self._parts.settings.entities])
                await work.save_position(conn, self._slot, found.confirmed_flush_lsn)
                await audit.append(
                    conn, audit.Entry(AHEAD, Key("slot", self._slot), detail={"missedBytes": missed_bytes})
                )

    async def watch(self) -> None:
        """Say when the log that is kept for the slot becomes too much, and when that is over. Never returns."""
        await self._warn_of_unbounded_log()
        while True:
            async with self._parts.pool.connection() as conn:
                found = await slots.inspect(conn, self._slot)
            if found is not None:
                self._tell_pressure(found)
            await asyncio.sleep(LOOK_S)

    async def _prepare(self, conn: Connection) -> None:
        async with conn.transaction():
            await marker.set_due(conn, is_due=True)
            # what happened since the last slot was not seen: when a row was changed is not known any more
            await stamps.forget(conn, [entity.name for entity in ENTITIES])
            await streamed.forget(conn, self._slot)

    async def _begin(self, conn: Connection, lsn: Lsn | None) -> None:
        if lsn is not None:
            await work.save_position(conn, self._slot, lsn)

    async def _mark_all(self) -> None:
        await self._parts.marker.start(self._parts.settings.entities)
        async with self._parts.pool.connection() as conn:
            await marker.set_due(conn, is_due=False)

    async def _warn_of_unbounded_log(self) -> None:
        async with self._parts.pool.connection() as conn:
            row = await (await conn.execute("show max_slot_wal_keep_size")).fetchone()
        if row is not None and row[0] == "-1":
            log.warning(
                "slot.unbounded",
                hint="Set max_slot_wal_keep_size: without it a stopped sync lets the log fill the database's disk.",
            )

    def _tell_pressure(self, found: SlotState) -> None:
        now, before = pressure(found), self._pressure
        if now is before:
            return
        self._pressure = now
        facts = {
            "slot": self._slot, "wal_status": found.wal_status, "retained_bytes": found.retained_bytes,
            "safe_wal_bytes": found.safe_wal_bytes,
        }
        match now:
            case Pressure.NONE:
                log.info("slot.relieved", **facts)
            case Pressure.WARNING:
                log.warning("slot.filling", **facts)
            case Pressure.ALARM:
                log.error(
                    "slot.nearly_lost", **facts,
                    hint="Look at /readyz for why the stream does not keep up, and raise max_slot_wal_keep_size.",
                )
