"""What can go wrong with a slot or its stream, grouped by what the caller should do.

Nothing here is chained to the error that caused it: libpq quotes parts of a connection string, and a decoding
error of Python carries the bytes it failed on, which are a whole row.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg

from state.errors import FatalError, SyncError, TransientError

PLUGIN: Final = "wal2json"
PGOUTPUT: Final = "pgoutput"
PLUGINS: Final = (PLUGIN, PGOUTPUT)
"""The plugins that we read; the first is the one that is used where nothing else is said."""


class LinkLost(TransientError):
    """The replication connection ended or could not be made: connect again, everything unacknowledged comes again."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SlotBusy(TransientError):
    """Another connection streams from the slot, often our own last one that the server has not given up yet."""


class SlotExists(TransientError):
    """Somebody made the slot in the meantime: look again."""


class SlotBlocked(TransientError):
    """The slot could not be made in time, because of transactions that stay open."""

    def __init__(self, message: str, pids: tuple[int, ...]) -> None:
        super().__init__(message)
        self.pids = pids


class SlotGone(SyncError):
    """The log since our position can't be had any more: make a new slot and compare everything."""


class SlotMissing(SlotGone):
    """There is no slot of that name."""


class SlotLost(SlotGone):
    """The server has removed log that the slot still needed."""


class MalformedFrame(FatalError):
    """A message of the log that we can't read. Holds its length, and never its content."""

    def __init__(self, length: int, writer: str) -> None:
        super().__init__(
            f"a message of {length} bytes is not what {writer} writes",
            f"Let the server, and {PLUGIN} where it is used (2.5 or 2.6), be of a version that this release knows, "
            "then start again.",
        )
        self.length = length


class PluginUnusable(FatalError):
    """The server has not got the plugin, or does not let it be used."""


_HINTS: Final = {
    "42501": (
        "the server does not let this plugin decode its log",
        f"As a superuser run: ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, {PLUGIN}; "
        "then SELECT pg_reload_conf(); (keep what the setting already lists). Or set REPLICATION_PLUGIN=pgoutput.",
    ),
    "58P01": (
        "the output plugin is not installed on the server",
        f"Install {PLUGIN} for the server's major version, on Debian: apt-get install postgresql-NN-{PLUGIN}. "
        "Or set REPLICATION_PLUGIN=pgoutput, which every server has.",
    ),
    "53400": (
        "every replication slot of the server is taken",
        "Raise max_replication_slots, or drop slots that nobody reads (select * from pg_replication_slots).",
    ),
    "22023": (
        "the output plugin refused an option",
        f"Install {PLUGIN} 2.5 or later.",
    ),
    "55000": (
        "the server can't decode its log for this slot",
        "Set wal_level = logical and restart the server; the slot must be a logical one of this very database.",
    ),
    "0A000": (
        "the server can't do logical decoding",
        "Connect to the primary: a standby of this version can't serve a logical slot.",
    ),
}


def from_server(error: psycopg.Error, what: str) -> SyncError:
    """Return our error for one with which the server answered a replication command."""
    state = error.sqlstate
    if state == "55006":
        # the words differ by language, the number of the server's process does not
        reader = re.search(r"\d+$", (error.diag.message_primary or "").rstrip(".)"))
        who = f" (server process {reader[0]})" if reader is not None else ""
        return SlotBusy(f"{what}: the slot is in use by another connection{who}")
    if state == "42704":
        return SlotMissing(f"{what}: there is no such slot")
    if state == "42710":
        return SlotExists(f"{what}: the slot exists already")
    if state in _HINTS:
        message, hint = _HINTS[state]
        return FatalError(f"{what}: {message}", hint)
    return lost(what, state)


def from_making(error: psycopg.Error, what: str) -> SyncError:
    """Return the same for one with which the server refused to make a slot."""
    refusal = from_server(error, what)
    if isinstance(refusal, FatalError) and error.sqlstate in ("42501", "58P01"):
        return PluginUnusable(str(refusal), refusal.hint)
    return refusal


def lost(what: str, sqlstate: str | None) -> LinkLost:
    """Return the error of a connection that ended, for the reason the server gave if it gave one."""
    reason = f"the server ended it with {sqlstate}" if sqlstate else "the server closed it without a word"
    return LinkLost(f"{what}: {reason}", sqlstate)


def from_connect(error: psycopg.Error) -> SyncError:
    """Return our error for a connection that could not be made.

    libpq gives no code here, only a text. What follows FATAL is the server's own sentence, which names roles and
    databases at most; everything before it may quote the connection string and is dropped.
    """
    if isinstance(error, psycopg.ProgrammingError):
        return FatalError("the connection string can't be read", "Write it as postgresql://user:password@host:port/name.")
    _, said, sentence = str(error).partition("FATAL:")
    if "walsender" in sentence or "WAL sender" in sentence:
        return FatalError(
            "the role may not open a replication connection",
            "As a superuser run: ALTER ROLE <role of the connection string> REPLICATION;",
        )
    reason = sentence.strip().partition("\n")[0] if said else "the server does not answer"
    return LinkLost(f"replication connection refused: {reason}")
