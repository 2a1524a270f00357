"""What is forgotten of Notion when a part of it was made anew, so that it is filled again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg.types.json import Jsonb

from state.database import Connection
from state.merge import Json

# A key in hand was read before: stored by its worker, it would still hold what is to be forgotten. Whoever has a row of
# the queue locked is waited for, and nobody claims until the transaction ends
ALONE: Final[LiteralString] = "lock table work in exclusive mode"
TAKE_BACK: Final[LiteralString] = """
update work set fence = null, due_at = greatest(clock_timestamp(), not_before), attempts = greatest(attempts - 1, 0)
where entity = %(entity)s and fence is not null
"""

# Agreed on as empty, and not unknown: what a page shows without ever having been agreed on could be a person's.
# A page that was only found, never written by us, stays one (see state.schemas)
EMPTY_FIELDS: Final[LiteralString] = """
update "NotionSyncMapping" set base = base || %(empty)s
where "entityType" = %(entity_type)s and jsonb_path_exists(base, '$.*.sent')
"""

# What is on its way in a create that nobody saw answered stands there no more either
UNSENT: Final[LiteralString] = """
update "NotionSyncMapping" set pushing = pushing - %(fields)s::text[]
where "entityType" = %(entity_type)s and "pageState" = 'intended' and pushing is not null
"""


async def empty_fields(conn: Connection, entity: str, entity_type: str, empty: Mapping[str, Json]) -> int:
    """Note that these fields show their empty value on every page of the entity; return how many there are.

    In the caller's transaction, until whose end nothing of the queue moves. Whoever has a key of it in hand loses that.
    """
    await conn.execute(ALONE)
    await conn.execute(TAKE_BACK, {"entity": entity})
    agreed = {field: {"sent": value, "got": value} for field, value in empty.items()}
    cursor = await conn.execute(EMPTY_FIELDS, {"entity_type": entity_type, "empty": Jsonb(agreed)})
    await conn.execute(UNSENT, {"entity_type": entity_type, "fields": list(empty)})
    return cursor.rowcount
