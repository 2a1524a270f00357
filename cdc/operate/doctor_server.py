"""`doctor`, the server: what logical decoding needs of it and of our role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from cdc.operate.findings import RELOAD, Finding, error, ok
from cdc.operate.spelled import name, names, spelled
from cdc.replication.faults import PLUGIN
from cdc.replication.slot import SlotState
from state.database import Connection

OLDEST: Final = 15
KEEP: Final = "10GB"

# pg_settings leaves out what the role may not see, where current_setting would fail
SERVER: Final[LiteralString] = """
select current_setting('server_version_num')::int as version_number,
       current_setting('wal_level') as wal_level,
       (select setting from pg_settings where name = 'output_plugin_libraries') as allowed,
       current_user::text as role,
       role.rolsuper as superuser,
       role.rolsuper or role.rolreplication or exists (
           select from pg_auth_members m join pg_roles hosted on hosted.oid = m.roleid
           where m.member = role.oid and hosted.rolname = 'rds_replication'
       ) as replicates,
       current_setting('max_replication_slots')::int as max_slots,
       (select count(*) from pg_replication_slots)::int as slots,
       current_setting('max_wal_senders')::int as max_senders,
       (select count(*) from pg_stat_replication)::int as senders,
       (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as keep_mb,
       exists (select from pg_replication_slots where plugin = %(plugin)s) as plugin_in_use,
       pg_is_in_recovery() as in_recovery,
       current_setting('server_encoding') as encoding,
       pg_backend_pid() as pid,
       current_database()::text as database
from pg_roles role
where role.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself and of our role. `allowed`: None on minors that have no such list."""

    version_number: int
    wal_level: str
    allowed: str | None
    role: str
    superuser: bool
    replicates: bool
    max_slots: int
    slots: int
    max_senders: int
    senders: int
    keep_mb: int | None
    plugin_in_use: bool
    in_recovery: bool
    encoding: str
    pid: int
    database: str

    @property
    def version(self) -> str:
        return f"{self.version_number // 10_000}.{self.version_number % 10_000}"

    @property
    def listed(self) -> tuple[str, ...]:
        """The plugins that `allowed` names."""
        return tuple(each.strip().strip('"') for each in (self.allowed or "").split(",") if each.strip())


async def server_of(conn: Connection, plugin: str = PLUGIN) -> Server:
    """Return what the server says."""
    async with conn.cursor(row_factory=class_row(Server)) as cursor:
        await cursor.execute(SERVER, {"plugin": plugin})
        found = await cursor.fetchone()
    assert found is not None
    return found


def judged(
    server: Server, slot: SlotState | None, *, connected_pid: int, plugin: str = PLUGIN
) -> Iterator[Finding]:
    """Yield what the server lacks, and what of it is well. `connected_pid`: the process as the connection knows it."""
    yield from _kind(server, connected_pid)
    yield from _decoding(server, plugin)
    yield from _room(server, slot)
    if server.replicates:
        yield ok("role.replication", f"the role {server.role} may replicate")
    else:
        yield error(
            "role.replication", f"the role {server.role} has no REPLICATION right",
            "Without it the log can't be read.",
            "As a superuser run the SQL below (on Amazon RDS: grant rds_replication to the role).",
            spelled("alter role {} replication", name(server.role)),
        )


def _kind(server: Server, connected_pid: int) -> Iterator[Finding]:
    if server.version_number < OLDEST * 10_000:
        yield error(
            "server.version", f"the server is Postgres {server.version}",
            f"The sync needs {OLDEST} or newer: its sidecar notes in an unlogged sequence how far the log was read.",
            "Upgrade the server.",
        )
    else:
        yield ok("server.version", f"Postgres {server.version}")
    if server.in_recovery:
        yield error(
            "server.recovery", "the server is a standby, or still recovers",
            "Nothing can be written there, neither the sidecar nor people's edits.",
            "Let DATABASE_URL (DATABASE_DIRECT_URL, where it is set) name the primary.",
        )
    if server.encoding != "UTF8":
        yield error(
            "database.encoding", f"the database's encoding is {server.encoding}",
            "The log comes in the database's encoding and is read as UTF-8: names would be spoilt, or not read at all.",
            "Copy the application into a database with encoding UTF8 (pg_dump, create database … encoding 'UTF8').",
        )
    if connected_pid != server.pid:
        yield error(
            "database.pooler", "a connection pooler stands between this program and the server",
            "It can serve neither the replication stream nor the lock that keeps a second process from working.",
            "Set DATABASE_DIRECT_URL to the database's own URL.",
        )


def _decoding(server: Server, plugin: str) -> Iterator[Finding]:
    if server.wal_level != "logical":
        yield error(
            "server.wal_level", f"wal_level is {server.wal_level}",
            "The log then lacks what changes are read from.",
            "As a superuser run the SQL below, then restart the server (hosted: set logical replication on in its "
            "parameters).", "alter system set wal_level = logical",
        )
    else:
        yield ok("server.wal_level", "wal_level is logical")
    if server.keep_mb == -1:
        yield error(
            "server.unbounded", "max_slot_wal_keep_size is -1: what a slot keeps has no bound",
            "While the sync is stopped the server keeps its log, until the application's disk is full.",
            "As a superuser run the SQL below; the size has to fit the disk. A slot that needed more is made anew, and "
            "everything compared.", f"alter system set max_slot_wal_keep_size = '{KEEP}'", RELOAD,
        )
    elif server.keep_mb is not None:
        yield ok("server.unbounded", f"a slot keeps at most {server.keep_mb} MB of the log")
    if server.allowed is None:
        return
    listed = server.listed
    if plugin in listed:
        yield ok("plugin.allowed", f"output_plugin_libraries lists {plugin}")
        return
    yield error(
        "plugin.allowed", f"output_plugin_libraries does not list {plugin}",
        "Minors of Postgres since August 2026 refuse plugins that are not listed, also for slots that exist already.",
        "As a superuser run the SQL below. Older minors don't know the setting and must not have it in their files.",
        spelled("alter system set output_plugin_libraries = {}", names([*listed, plugin])), RELOAD,
    )


def _room(server: Server, slot: SlotState | None) -> Iterator[Finding]:
    if slot is None and server.slots >= server.max_slots:
        yield error(
            "server.slots", f"all {server.max_slots} replication slots of the server are taken",
            "The sync needs one.",
            "Drop one that nobody reads (select * from pg_replication_slots), or raise max_replication_slots with the "
            "SQL below and restart the server.",
            f"alter system set max_replication_slots = {server.max_slots + 4}",
        )
    elif slot is None:
        yield ok("server.slots", f"{server.max_slots - server.slots} replication slots are free")
    if (slot is None or not slot.active) and server.senders >= server.max_senders:
        yield error(
            "server.senders", f"all {server.max_senders} senders of the log (max_wal_senders) are in use",
            "The sync needs one to stream from its slot.",
            "Run the SQL below and restart the server.",
            f"alter system set max_wal_senders = {server.max_senders + 4}",
        )
