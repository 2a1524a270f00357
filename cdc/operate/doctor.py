"""`mapable-cdc doctor`: everything that can be looked at before the first start, and any time after. Changes nothing.

Each side is looked at whatever became of the other: a database that is down is a finding, and so is Notion.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, LiteralString

import psycopg

from cdc import publishing
from cdc.config import Settings
from cdc.operate.doctor_needs import needs_of
from cdc.operate.doctor_notion import notion_found
from cdc.operate.doctor_publication import publication_found
from cdc.operate.doctor_server import Server, judged, server_of
from cdc.operate.doctor_sidecar import Sidecar, sidecar_found, webhook_judged
from cdc.operate.doctor_slot import LOOK_S, in_the_way, plugin_found, plugin_tried, slot_judged
from cdc.operate.doctor_tables import tables_found
from cdc.operate.findings import Finding, Severity, error, ok, worst_first
from cdc.operate.ownership import Whose, whose
from cdc.refusals import refused
from cdc.replication import slot as slots
from cdc.replication.faults import PGOUTPUT, PLUGIN, PLUGINS
from state.database import Connection, conninfo, readable

STATEMENT_S: Final = 10.0
NOTION_S: Final = 90.0
"""Twenty requests that are each tried a few times end within this, or Notion is as good as down."""
OR_ELSE: Final = f"Only a superuser, or making a slot, tells. Where it is not, `run` takes {PGOUTPUT} instead."
NOW: Final[LiteralString] = "select extract(epoch from clock_timestamp())::float8"


@dataclass(slots=True)
class _Database:
    """What was found on MapAble's side, and what Notion's side is looked at with."""

    findings: list[Finding] = field(default_factory=list)
    known: Sidecar = field(default_factory=Sidecar)
    ahead_s: float | None = None


async def examine(
    settings: Settings, *, try_slot: bool = False, plugin: str | None = None, look_s: float = LOOK_S
) -> tuple[Finding, ...]:
    """Return all that was looked at, the worst first.

    `try_slot` makes a temporary slot for a moment: the one thing here that is seen by others.
    """
    database = await _examined(settings, try_slot=try_slot, plugin=plugin, look_s=look_s)
    findings = [ok("settings", "the settings can be used"), *database.findings]
    if not settings.notion_sync_enabled:
        findings.append(ok("settings.off", "the sync is switched off (NOTION_SYNC_ENABLED=false)"))
    findings += webhook_judged(settings, database.known)
    try:
        async with asyncio.timeout(NOTION_S):
            findings += await notion_found(settings, database.known, database.ahead_s)
    except TimeoutError:
        findings.append(
            error(
                "notion.slow", f"Notion did not answer all questions within {NOTION_S:g} s",
                "Changes wait in the queue meanwhile; nothing is lost.",
                "Look at status.notion.com, and run `mapable-cdc doctor` again.",
            )
        )
    return worst_first(findings)


async def _examined(settings: Settings, *, try_slot: bool, plugin: str | None, look_s: float) -> _Database:
    found = _Database()
    info = conninfo(
        settings.direct.dsn, schema=settings.state_schema, application_name="mapable-cdc doctor",
        statement_timeout_s=STATEMENT_S, read_only=True,
    )
    try:
        conn = await psycopg.AsyncConnection.connect(info, autocommit=True)
    except psycopg.Error as failed:
        unreachable = refused(failed)
        found.findings.append(
            error(
                "database.unreachable", str(unreachable),
                "Nothing works without it. What else may be wrong there could not be looked at.", unreachable.hint,
            )
        )
        return found
    async with conn:
        try:
            await _look(conn, settings, found, try_slot=try_slot, plugin=plugin, look_s=look_s)
        except psycopg.Error as failed:
            found.findings.append(
                error(
                    "database.failed", f"the database failed: {readable(failed)}",
                    "What else may be wrong there could not be looked at.",
                    "Run `mapable-cdc doctor` again; if it stays so, look into the database's log.",
                )
            )
    return found


async def _look(
    conn: Connection, settings: Settings, found: _Database, *, try_slot: bool, plugin: str | None, look_s: float
) -> None:
    asked_s = time.time()
    row = await (await conn.execute(NOW)).fetchone()
    assert row is not None
    found.ahead_s = row[0] - (asked_s + time.time()) / 2
    slot = await slots.inspect(conn, settings.replication_slot)
    tells = plugin_tried if try_slot else plugin_found
    plugin, told = plugin or settings.replication_plugin, None
    if plugin == "auto":
        if slot is not None and slot.plugin in PLUGINS:
            plugin = slot.plugin
        else:
            plugin, told = await _first_usable(conn, tells)
        seen = " as far as can be seen; `doctor --try-slot` makes sure" if slot is None and not try_slot else ""
        found.findings.append(ok("plugin.auto", f"REPLICATION_PLUGIN is auto, which is {plugin} here{seen}"))
    server = await server_of(conn, plugin)
    found.findings += judged(server, slot, connected_pid=conn.info.backend_pid, plugin=plugin)
    owner = await whose(conn, slot, plugin) if slot is not None else Whose.OURS
    found.findings += slot_judged(slot, owner, settings.replication_slot, plugin)
    found.findings.append(told or await tells(conn, server, plugin))
    if plugin == PGOUTPUT:
        found.findings += await publication_found(conn, publishing.wanted(settings))
    if slot is None:
        found.findings += await in_the_way(conn, look_s=look_s)
    found.findings += await _tables(conn, settings, server.role)
    found.known, findings = await sidecar_found(conn, settings.state_schema, settings.direct.dsn)
    found.findings += findings


async def _first_usable(
    conn: Connection, tells: Callable[[Connection, Server, str], Awaitable[Finding]]
) -> tuple[str, Finding | None]:
    """Return the plugin that a first start takes, and what was told of it; where nobody can tell it tries wal2json."""
    server = await server_of(conn, PLUGIN)
    told = await tells(conn, server, PLUGIN)
    allowed = server.allowed is None or PLUGIN in server.listed
    if not allowed or told.severity is Severity.ERROR:
        return PGOUTPUT, None
    return PLUGIN, replace(told, why=OR_ELSE) if told.severity is Severity.WARNING else told


async def _tables(conn: Connection, settings: Settings, role: str) -> Sequence[Finding]:
    needs = needs_of(
        settings.entities, opened=settings.opened, create_rows=settings.notion_create_rows,
        directions=settings.directions,
    )
    return await tables_found(conn, settings.direct.schema, role, needs)
