"""Dropping the replication slot and the publication that it read: this sync's own and no other program's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

from cdc import publishing
from cdc.config import Settings
from cdc.operate.ownership import WHY_THEIRS, Whose, whose
from cdc.refusals import refused
from cdc.replication import slot as slots
from cdc.replication.faults import SlotBusy
from state.database import conninfo
from state.errors import FatalError

STATEMENT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was there and is gone now."""

    slot: bool
    publication: bool | None    # None: it is there, and not this role's to drop, or lists more than is mapped


async def drop_slot(settings: Settings) -> Dropped:
    """Drop the slot and its publication; raises FatalError while the slot is in use, or when it is not ours."""
    info = conninfo(
        settings.direct.dsn, schema=settings.state_schema, application_name="mapable-cdc",
        statement_timeout_s=STATEMENT_S,
    )
    try:
        conn = await psycopg.AsyncConnection.connect(info, autocommit=True)
    except psycopg.OperationalError as error:
        raise refused(error) from None
    async with conn:
        found = await slots.inspect(conn, settings.replication_slot)
        if found is not None and await whose(conn, found, settings.replication_plugin) is Whose.THEIRS:
            raise FatalError(
                f"the slot {found.name} belongs to somebody else ({WHY_THEIRS}), so it is not dropped",
                "Set REPLICATION_SLOT to the name of this program's slot.",
            )
        try:
            dropped = await slots.drop(conn, settings.replication_slot)
        except SlotBusy:
            raise FatalError(
                f"the slot {settings.replication_slot} is in use: a `mapable-cdc run` streams from it",
                "Stop that process first (or start it with NOTION_SYNC_ENABLED=false: it then drops the slot itself).",
            ) from None
        return Dropped(dropped, await publishing.drop(conn, settings))
