"""The slot's guard: there is one to read from, nothing was missed between it and what is stored, and it fills no disk.

Whatever is wrong with a slot heals in one way: everything is compared, and what is equal is left alone. A slot that is
made anew has seen none of the rows' changes before it: every row and link is marked. One that stands further than we
ever told it to was moved by somebody else, or the sidecar is older than it was (a restored backup of the schema): then
what was agreed may be old, too, and the pages are swept before the rows are marked. One whose publication is another
than it began with may have missed rows, or can't be read any more: it is made anew.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cdc import publishing
from cdc.app import Parts
from cdc.operate import marker
from cdc.operate.ownership import WHY_THEIRS, Whose, whose
from cdc.replication import making, publication
from cdc.replication import slot as slots
from cdc.replication.faults import PGOUTPUT, PLUGINS, PluginUnusable
from cdc.replication.making import Tell
from cdc.replication.pressure import Pressure, pressure
from cdc.replication.slot import SlotState
from sinks.mapping.entities import ENTITIES
from state import audit, looks, stamps, streamed
from state import settings as facts
from state.changes import Key, Lsn
from state.database import Connection
from state.errors import FatalError, TransientError

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
        self._reads: str | None = None      # the version of the publication, while that must not change
        self.acknowledged = Lsn(0)
        """How far this process told the slot to go; a server that crashed forgets what was noted of that."""

    async def ensure(self, tell: Tell) -> str:
        """Return the plugin of the slot, which is made when it is missing or lost.

        Then everything is marked: changes before it were not seen. What has to be marked is noted before the slot is
        made, so that dying in between forgets nothing. `tell` is called while open transactions keep the slot from
        being made.
        """
        self._reads = None
        async with self._parts.pool.connection() as conn:
            found = await slots.inspect(conn, self._slot)
            if found is not None:
                plugin = await self._checked(conn, found)
                version = await self._published(conn, plugin)
                changed = version is not None and version != await facts.get(conn, publishing.VERSION)
                if not found.lost and not changed:
                    if await marker.due(conn):
                        await self._begin(conn, found.confirmed_flush_lsn)
                        await self._mark_all()
                    self._reads = version
                    return plugin
            await self._prepare(conn)
            if found is not None:
                if found.lost:
                    log.error("slot.lost", slot=self._slot, hint="Raise max_slot_wal_keep_size.")
                else:
                    log.warning("publication.changed", slot=self._slot)
                await slots.drop(conn, self._slot)
        self.acknowledged = Lsn(0)
        plugin, version, begins_at = await self._made(tell)
        log.info("slot.created", slot=self._slot, plugin=plugin)
        async with self._parts.pool.connection() as conn:
            await self._begin(conn, begins_at)
            await facts.put(conn, publishing.VERSION, version)
        await self._mark_all()
        self._reads = version
        return plugin

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
                await streamed.save(conn, self._slot, found.confirmed_flush_lsn)
                await audit.append(
                    conn, audit.Entry(AHEAD, Key("slot", self._slot), detail={"missedBytes": missed_bytes})
                )

    async def watch(self) -> None:
        """Say when the log that is kept for the slot becomes too much, and when that is over. Never returns."""
        await self._warn_of_unbounded_log()
        while True:
            async with self._parts.pool.connection() as conn:
                found = await slots.inspect(conn, self._slot)
                await self._check_publication(conn)
            if found is not None:
                self._tell_pressure(found)
            await asyncio.sleep(LOOK_S)

    async def _checked(self, conn: Connection, found: SlotState) -> str:
        """Return the plugin of a slot that is ours and as it is set; raises FatalError for any other."""
        setting = self._parts.settings.replication_plugin
        plugin = found.plugin or ""
        match await whose(conn, found, setting):
            case Whose.OURS:
                return plugin
            case Whose.OTHERWISE:
                raise FatalError(
                    f"the slot {found.name} decodes with {plugin}, but REPLICATION_PLUGIN is {setting}",
                    f"Run `mapable-cdc uninstall`, which drops the slot: the next `run` makes one for {setting} and "
                    f"compares everything. Or set REPLICATION_PLUGIN={plugin} again.",
                )
            case Whose.THEIRS:
                raise FatalError(
                    f"the slot {found.name} belongs to somebody else (plugin {plugin}; {WHY_THEIRS})",
                    "Set REPLICATION_SLOT to a name of its own, or drop that slot if nobody needs it.",
                )

    async def _made(self, tell: Tell) -> tuple[str, str | None, Lsn]:
        """Make the slot; return its plugin, the version of the publication that it reads, and where it begins."""
        settings = self._parts.settings
        plugins = PLUGINS if settings.replication_plugin == "auto" else (settings.replication_plugin,)
        for plugin in plugins:
            # first: a slot can't read a log in which its publication is not there yet
            async with self._parts.pool.connection() as conn:
                version = await self._published(conn, plugin)
            try:
                return plugin, version, await making.create(
                    settings.direct.dsn, self._slot, SLOT_TIMEOUT_S, plugin, tell=tell
                )
            except PluginUnusable as refusal:
                if plugin == plugins[-1]:
                    raise
                log.warning("plugin.unusable", plugin=plugin, why=str(refusal), instead=plugins[-1])
        raise AssertionError("no plugin is left to try")

    async def _published(self, conn: Connection, plugin: str) -> str | None:
        """Return the version of the publication, made or completed; None with a plugin that needs none."""
        if plugin != PGOUTPUT:
            return None
        known = await facts.get(conn, publishing.VERSION)
        return await publication.ensure(conn, publishing.wanted(self._parts.settings), known)

    async def _check_publication(self, conn: Connection) -> None:
        """Raise TransientError when the publication has changed since the stream began: all starts over with it."""
        if self._reads is None:
            return
        wanted = publishing.wanted(self._parts.settings)
        found = await publication.look(conn, wanted)
        if found.version != self._reads or publication.amiss(wanted, found):
            raise TransientError(f"the publication {wanted.name} has changed")

    async def _prepare(self, conn: Connection) -> None:
        async with conn.transaction():
            await marker.set_due(conn, is_due=True)
            # what happened since the last slot was not seen: when a row was changed is not known any more
            await stamps.forget(conn, [entity.name for entity in ENTITIES])
            await streamed.forget(conn, self._slot)

    async def _begin(self, conn: Connection, lsn: Lsn | None) -> None:
        if lsn is not None:
            await streamed.save(conn, self._slot, lsn)

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
