"""`doctor`, the slot: how it stands, whether it could be made, and who stands in the way of that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from cdc.operate.doctor_server import Server
from cdc.operate.findings import Finding, error, ok, warning
from cdc.operate.ownership import WHY_THEIRS, Whose
from cdc.replication.faults import PGOUTPUT, PLUGIN
from cdc.replication.slot import SlotState
from state.database import Connection

LOOK_S: Final = 1.0
"""Transactions that are there in two looks this far apart are in the way of a slot; shorter ones end by themselves."""

# Whoever has written holds an exclusive lock on its own number, and a slot waits for each of them, in any database
WRITERS: Final[LiteralString] = """
select lock.pid, lock.transactionid::text, activity.xact_start
from pg_locks lock
left join pg_stat_activity activity on activity.pid = lock.pid
where lock.locktype = 'transactionid' and lock.mode = 'ExclusiveLock' and lock.granted
  and lock.pid is not null and lock.pid <> pg_backend_pid()
order by activity.xact_start nulls last, lock.pid
"""
PREPARED: Final[LiteralString] = "select count(*), min(prepared) from pg_prepared_xacts"
# For its session only, and dropped with it; the one way to learn of a plugin that a plain role has
TRY: Final[LiteralString] = "select pg_create_logical_replication_slot(%(name)s, %(plugin)s, true)"


@dataclass(frozen=True, slots=True)
class Writer:
    """A transaction that has written and is still open. `since` is hidden from some roles."""

    pid: int
    transaction: str
    since: datetime | None


def slot_judged(slot: SlotState | None, owner: Whose, slot_name: str, plugin: str = PLUGIN) -> Iterator[Finding]:
    if slot is None:
        yield ok("slot.state", f"there is no slot {slot_name} yet: the first `mapable-cdc run` makes it")
        return
    if owner is Whose.OTHERWISE:
        yield error(
            "slot.plugin", f"the slot {slot_name} decodes with {slot.plugin}, but REPLICATION_PLUGIN is {plugin}",
            "A slot keeps the plugin that it was made with.",
            "`mapable-cdc uninstall` drops the slot: the next `run` makes one and compares everything. Or set "
            f"REPLICATION_PLUGIN={slot.plugin}; or REPLICATION_SLOT to a name of its own.",
        )
        return
    if owner is Whose.THEIRS:
        yield error(
            "slot.foreign", f"the slot {slot_name} belongs to somebody else (plugin {slot.plugin}; {WHY_THEIRS})",
            "The sync never takes another program's slot.",
            "Set REPLICATION_SLOT to a name of its own, or drop that slot if nobody needs it.",
        )
        return
    kept = f"it keeps {_size(slot.retained_bytes)} of the log"
    if slot.lost:
        yield warning(
            "slot.lost", f"the slot {slot_name} is lost: the server removed log that it still needed",
            "Nothing can be read from it again. The next `mapable-cdc run` makes a new one and compares everything.",
            "Start `mapable-cdc run`, and look why it stood still; max_slot_wal_keep_size may be raised.",
        )
    elif slot.wal_status in {"extended", "unreserved"}:
        yield warning(
            "slot.retained", f"the slot {slot_name} is {'read' if slot.active else 'not read'}, and {kept}",
            "That is more than the server keeps by itself: the sync stands still or is far behind.",
            "Start `mapable-cdc run`, or see in `mapable-cdc status` what it waits for; to stop for good, "
            "`mapable-cdc uninstall`.",
        )
    else:
        yield ok("slot.state", f"the slot {slot_name} is {'being read' if slot.active else 'not read now'}; {kept}")


async def plugin_found(conn: Connection, server: Server, plugin: str = PLUGIN) -> Finding:
    """Return whether the plugin is installed, as far as that can be told with nothing changed."""
    if plugin == PGOUTPUT:
        return ok("plugin.installed", f"{plugin} comes with the server")
    if server.plugin_in_use:
        return ok("plugin.installed", f"{plugin} is installed: a slot uses it")
    if not server.superuser:
        return warning(
            "plugin.installed", f"whether {plugin} is installed can't be told by the role {server.role}",
            "Only a superuser, or making a slot, tells. Without the plugin `run` stops at its first start.",
            "`mapable-cdc doctor --try-slot` makes a temporary slot for a moment and tells.",
        )
    try:
        await conn.execute(sql.SQL("load {}").format(sql.Literal(plugin)))
    except psycopg.Error as failed:
        return _refused(failed, plugin)
    return ok("plugin.installed", f"{plugin} is installed")


async def plugin_tried(conn: Connection, server: Server, plugin: str = PLUGIN) -> Finding:
    """Return the same by making a temporary slot; it goes when the connection is closed."""
    try:
        await conn.execute(TRY, {"name": f"mapable_cdc_doctor_{server.pid}", "plugin": plugin})
    except psycopg.errors.QueryCanceled:
        return ok("plugin.installed", f"{plugin} is installed (the slot itself waits for open transactions)")
    except psycopg.Error as failed:
        return _refused(failed, plugin)
    return ok("plugin.installed", f"{plugin} is installed: a temporary slot could be made")


def _refused(failed: psycopg.Error, plugin: str) -> Finding:
    if isinstance(failed, psycopg.errors.UndefinedFile):
        return error(
            "plugin.installed", f"{plugin} is not installed on the server",
            "It is what turns the log into changes.",
            f"Install it for the server's major version, on Debian: apt-get install postgresql-NN-{PLUGIN}.",
        )
    return error(
        "plugin.installed", f"{plugin} can't be used: {type(failed).__name__} (SQLSTATE {failed.sqlstate})",
        "It is what turns the log into changes.", "See to what else is found about the server and the role, first.",
    )


async def in_the_way(conn: Connection, *, look_s: float = LOOK_S) -> Sequence[Finding]:
    """Return the open transactions that making a slot would wait for."""
    first = await _writers(conn)
    if first:
        await asyncio.sleep(look_s)
    again = {(writer.pid, writer.transaction) for writer in await _writers(conn)} if first else set()
    findings = []
    staying = [writer for writer in first if (writer.pid, writer.transaction) in again]
    if staying:
        listed = "; ".join(f"process {each.pid} since {_time(each.since)}" for each in staying[:10])
        findings.append(
            warning(
                "slot.blocked", f"{len(staying)} transactions that have written stay open: {listed}",
                "Making the slot waits for each of them, in whatever database it is.",
                "Have them end, or end one yourself: select pg_terminate_backend(<process>);",
            )
        )
    row = await (await conn.execute(PREPARED)).fetchone()
    if row is not None and row[0]:
        findings.append(
            warning(
                "slot.prepared", f"{row[0]} prepared transactions are open, the oldest since {_time(row[1])}",
                "Making the slot waits for each of them, and they outlive a restart.",
                "Look at select * from pg_prepared_xacts; then commit prepared or rollback prepared each of them.",
            )
        )
    return findings


async def _writers(conn: Connection) -> list[Writer]:
    rows: list[Any] = await (await conn.execute(WRITERS)).fetchall()
    return [Writer(*row) for row in rows]


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "a time that is hidden"


def _size(size_bytes: int | None) -> str:
    return f"{(size_bytes or 0) / 1024**2:.0f} MB"
