"""What a look at pages leads to: marks for those that are not as agreed, and for those that belong to no row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdc.watch.comparing import as_agreed, facts_of
from cdc.watch.mirrors import astray
from sinks.base import Page
from sinks.mapping.entities import by_table
from sinks.mapping.model import Entity
from state import looks, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection
from state.links import BACK, PageState
from state.looks import Linked


@dataclass(frozen=True, slots=True)
class Noticed:
    """What was marked."""

    differing: frozenset[Key] = frozenset()
    unknown: frozenset[PageId] = frozenset()

    def __or__(self, other: Noticed) -> Noticed:
        return Noticed(self.differing | other.differing, self.unknown | other.unknown)


async def notice(
    conn: Connection, entity: Entity, pages: Sequence[Page], *, priority: Priority, again: bool = False
) -> Noticed:
    """Mark, in the caller's transaction, what these pages of the entity's database call for.

    `again`: strays that did not change are judged once more, for what changed on our side.
    """
    known = await looks.linked(conn, [page.page_id for page in pages])
    differing = frozenset(
        key_of_link(link)
        for page in pages
        if (link := known.get(page.page_id)) is not None and not _as_it_should_be(entity, link, page)
    )
    own = [page for page in pages if (link := known.get(page.page_id)) is not None and link.state == PageState.LIVE]
    differing |= await astray(conn, entity, own)
    strangers = [page for page in pages if page.page_id not in known]
    unknown = await _unknown(conn, entity, strangers, again=again) if strangers else frozenset()
    keys: Mapping[Key, int | None] = dict.fromkeys([*differing, *map(strays.key_of, unknown)], None)
    await work.mark(conn, keys, reason=Reason.THEIRS, priority=priority)
    return Noticed(differing, unknown)


def key_of_link(link: Linked) -> Key:
    """Return the key of the row that the page belongs to."""
    entity = by_table(link.entity_type)
    return Key(entity.name if entity is not None else link.entity_type, link.system_id)


def _as_it_should_be(entity: Entity, link: Linked, page: Page) -> bool:
    if link.state == PageState.TRASHED and link.because == BACK:
        return True    # a person's by now, and that was written down
    # a page that is here again, or that lives among another entity's, is looked at whatever it shows
    return (
        link.state == PageState.LIVE
        and link.entity_type == entity.table
        and as_agreed(link.expected, page, link.pushing)
    )


async def _unknown(
    conn: Connection, entity: Entity, pages: Sequence[Page], *, again: bool
) -> frozenset[PageId]:
    """Return those of the pages without a row that have to be judged."""
    ids = [page.system_id for page in pages if page.system_id is not None]
    # ours to be, and in the queue already: the link is stored when the answer was observed
    being_made = await looks.being_made(conn, entity.table, ids)
    # asked again, and after that: what was being made may be linked by now
    linked = await looks.linked(conn, [page.page_id for page in pages])
    judged = await strays.load(conn, [page.page_id for page in pages])
    unchanged = {
        page_id for page_id, stray in judged.items()
        if not again and stray.resolved_at is None
        and any(page.page_id == page_id and facts_of(page) == stray.facts for page in pages)
    }
    return frozenset(
        page.page_id
        for page in pages
        if page.system_id not in being_made and page.page_id not in linked and page.page_id not in unchanged
    )
