"""The other side of a dual relation: an edit there changes pages that nobody tells of.

Notion keeps both sides in step, and need not say that the page on our side was edited: neither by an event nor by its
time. So the side that is only shown is compared with what was agreed on the side that is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from sinks.base import Page
from sinks.mapping.entities import by_name
from sinks.mapping.model import Entity, Mirror
from state import looks
from state.changes import Absent, Key
from state.database import Connection
from state.looks import Linked
from state.merge import Json


async def astray(conn: Connection, entity: Entity, pages: Sequence[Page]) -> frozenset[Key]:
    """Return the records whose pages must point elsewhere than was agreed, as these pages show."""
    found: set[Key] = set()
    for declared in entity.fields:
        if not isinstance(declared.source, Mirror):
            continue
        other, field = by_name(declared.source.entity), declared.source.field
        shown = {page.page_id: page.mirrored[declared.key] for page in pages if declared.key in page.mirrored}
        if not shown:
            continue
        linked = await looks.pointing(conn, other.table, field, shown)
        found |= {
            Key(other.name, link.system_id)
            for link in linked
            for page_id, pointing in shown.items()
            if (link.page_id in pointing) not in _expected(link, field, page_id)
        }
    return frozenset(found)


def _expected(link: Linked, field: str, page_id: str) -> frozenset[bool]:
    """Return whether the link's page points at that page: as was agreed, and as is on its way there."""
    pair = link.expected.get(field)
    agreed: Json | Absent = [] if pair is None else pair.sent if isinstance(pair.got, Absent) else pair.got
    values = [agreed, *([link.pushing[field]] if field in link.pushing else [])]
    return frozenset(isinstance(value, list) and page_id in value for value in values)
