"""What is forgotten of Notion when a part of it was made anew, so that it is filled again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg.types.json import Jsonb

from state.database import Connection
from state.merge import Json

# Agreed on as empty, and not unknown: what a page shows without ever having been agreed on could be a person's.
# A page that was only found, never written by us, stays one (see state.schemas)
EMPTY_FIELDS: Final[LiteralString] = """
update "NotionSyncMapping" set base = base || %(empty)s
where "entityType" = %(entity_type)s and jsonb_path_exists(base, '$.*.sent')
"""


async def empty_fields(conn: Connection, entity_type: str, empty: Mapping[str, Json]) -> int:
    """Note that these fields show their empty value on every page of the table; return how many there are."""
    agreed = {field: {"sent": value, "got": value} for field, value in empty.items()}
    cursor = await conn.execute(EMPTY_FIELDS, {"entity_type": entity_type, "empty": Jsonb(agreed)})
    return cursor.rowcount
