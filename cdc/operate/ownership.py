"""Whose slot one is: this sync's or another program's. One answer for whoever reads a slot, drops one or tells of it.

Subscriptions and other programs read with pgoutput, too: one of theirs must not be taken for ours, whatever its name. A
slot of wal2json is ours by its name where wal2json is set; any other has to be known to the sidecar.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, LiteralString

import psycopg

from cdc.operate import marker
from cdc.replication.faults import PGOUTPUT, PLUGINS
from cdc.replication.slot import SlotState
from state.database import Connection

# By what the server calls it: a pooler may have another name for it
HERE: Final[LiteralString] = "select current_database() = %(database)s"
# Read, or about to be: everything is noted as due before a slot is made
KNOWN: Final[LiteralString] = """
select exists (select from stream_position where slot = %(slot)s)
    or exists (select from setting where name = %(due)s and value = 'true')
"""
WHY_THEIRS: Final = "of another plugin or database, or unknown to this sync's schema"
"""Why a slot is somebody else's, in words."""


class Whose(Enum):
    """OTHERWISE: this sync's, made with another plugin than is set now."""

    OURS = "ours"
    OTHERWISE = "otherwise"
    THEIRS = "theirs"


async def whose(conn: Connection, found: SlotState, setting: str) -> Whose:
    """Return whose slot it is where REPLICATION_PLUGIN is `setting`; `conn` has the sidecar for its search path."""
    row = await (await conn.execute(HERE, {"database": found.database})).fetchone()
    if found.plugin not in PLUGINS or row != (True,):
        return Whose.THEIRS
    as_set = setting in (found.plugin, "auto")
    if not (as_set and found.plugin != PGOUTPUT) and not await _known(conn, found.name):
        return Whose.THEIRS
    return Whose.OURS if as_set else Whose.OTHERWISE


async def _known(conn: Connection, slot: str) -> bool:
    """Whether the sidecar knows the slot; one that is not there, or another role's, knows none."""
    try:
        row = await (await conn.execute(KNOWN, {"slot": slot, "due": marker.DUE})).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return False
    return row is not None and bool(row[0])
