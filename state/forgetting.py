"""What is forgotten of Notion when a part of it was made anew, so that it is filled again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from state.database import Connection

# Without a base the field counts as never sent, and the next comparison writes it
FORGET_FIELDS: Final[LiteralString] = """
update "NotionSyncMapping" set base = base - %(fields)s::text[]
where "entityType" = %(entity_type)s and base ?| %(fields)s::text[]
"""


async def forget_fields(conn: Connection, entity_type: str, fields: Sequence[str]) -> int:
    """Forget what both sides agreed on about these fields, in every link of the table; return how many had it."""
    cursor = await conn.execute(FORGET_FIELDS, {"entity_type": entity_type, "fields": list(fields)})
    return cursor.rowcount
