"""What an event from Notion makes dirty: the record of its page, a page that nobody knows yet, or nothing.

Events are hints. One that is left out here, because only our own bot took part in it, is still seen by the poll: whose
edit it was is never a reason to believe that nothing changed, only a reason not to hurry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sinks.mapping.entities import by_table
from state import inbox, settings, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection
from state.inbox import Event, KnownAs

TOLERANCE: Final = timedelta(seconds=5)
"""Notion's clock and the database's may differ by so much."""

SCHEMA_KINDS: Final = frozenset({"data_source.schema_updated", "database.schema_updated"})


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event. `marked` is the key that is dirty now, if any."""

    new: bool
    marked: Key | None = None


async def take(conn: Connection, event: Event) -> Taken:
    """Keep the event and mark what it is about, once; in the caller's transaction."""
    if not await inbox.receive(conn, event):
        return Taken(new=False)
    if event.kind in SCHEMA_KINDS:
        await settings.put(
            conn, settings.SCHEMA_DUE, {"event": event.event_id, "entity_id": event.entity_id, "kind": event.kind}
        )
    if event.entity_type != "page" or not event.kind.startswith("page."):
        return Taken(new=True)
    key = await _key_of(conn, event)
    if key is not None:
        await work.mark(conn, {key: None}, reason=Reason.THEIRS, priority=Priority.LIVE)
    return Taken(new=True, marked=key)


async def _key_of(conn: Connection, event: Event) -> Key | None:
    bot = await settings.get(conn, settings.BOT)
    bot_id = bot["id"] if bot is not None else None
    known = await inbox.known_as(conn, PageId(event.entity_id))
    if known is None:
        return await _stray(conn, event, bot_id)
    entity = by_table(known.entity_type)
    return None if entity is None or is_echo(event, known, bot_id) else Key(entity.name, known.system_id)


async def _stray(conn: Connection, event: Event, bot_id: str | None) -> Key | None:
    """A page that no record is linked to matters only where it is a row of one of the seven databases."""
    if event.only_by(bot_id):
        return None
    around = event.data_source_id or event.parent_id
    ours = around is None or await inbox.is_ours(conn, around)
    return strays.key_of(PageId(event.entity_id)) if ours else None


def is_echo(event: Event, known: KnownAs, bot_id: str | None) -> bool:
    """Whether the event tells only of our own write: the one on its way, or the last one, which we know better."""
    if not event.only_by(bot_id):
        return False
    written = known.written_at is not None and event.happened_at <= known.written_at + TOLERANCE
    return known.being_written or written
