"""What pgoutput's publication has to list, from the settings, and taking it away again."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from cdc.config import Settings
from cdc.gathering import tables
from cdc.replication import publication
from cdc.replication.publication import Wanted
from sinks.mapping.entities import ENTITIES
from state.database import Connection, readable
from state.errors import FatalError

VERSION: Final = "publication_version"
"""The setting that tells which version of the publication the slot has read from its beginning."""
DROP: Final[LiteralString] = "drop publication {}"
REMAINS: Final = (
    "What remains: the publication {0}, which is not this role's or lists more than is mapped; its owner drops it "
    'with: drop publication "{0}"'
)


def wanted(settings: Settings) -> Wanted:
    """Return it: every mapped table may be listed, so that an entity can be switched on without the tables' owner."""
    return Wanted(
        settings.replication_slot, settings.direct.schema, tables(ENTITIES), frozenset(tables(settings.entities))
    )


async def drop(conn: Connection, settings: Settings) -> bool | None:
    """Drop the publication and return True; False when there is none, None when it is not this role's, or not ours.

    Call when the slot is gone, which can't be read without it.
    """
    what = wanted(settings)
    found = await publication.look(conn, what)
    if found.publication is None:
        return False
    if not found.publication.ours or publication.foreign(what, found):
        return None
    try:
        await conn.execute(sql.SQL(DROP).format(sql.Identifier(what.name)))
    except psycopg.errors.UndefinedObject:
        return False  # somebody else dropped it between our look and our drop
    except psycopg.Error as failed:
        raise FatalError(
            f"the slot is dropped, but its publication {what.name} is not: {readable(failed)}",
            "Run this again; if it stays so, drop the publication by hand.",
        ) from None
    return True
