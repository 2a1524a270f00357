"""How far the log was taken in: what tells a slot that only we moved from one that somebody else moved, too.

With marks the position is stored in their transaction. Where nothing is marked nothing may be written to the log, since
our own commits would come back and feed themselves: the position is then noted, before it is acknowledged, in an
unlogged sequence. A server that crashes forgets that, and everything is compared once more than it had to be.
"""

from __future__ import annotations

from typing import Final, LiteralString

from state.changes import Lsn
from state.database import Connection

# Held until the transaction ends: two processes that both take themselves for the active one go one after the other
POSITION: Final[LiteralString] = """
select (position - '0/0')::int8 from stream_position where slot = %(slot)s for update
"""

SAVE: Final[LiteralString] = """
insert into stream_position as p (slot, position) values (%(slot)s, '0/0'::pg_lsn + %(lsn)s::numeric)
on conflict (slot) do update
-- greatest(): a late writer may replay work; moving back would hide that it had been done
set position = greatest(p.position, excluded.position)
"""

FORGET: Final[LiteralString] = "delete from stream_position where slot = %(slot)s"

NOTE: Final[LiteralString] = "select setval('acknowledged', greatest(last_value, %(lsn)s)) from acknowledged"
FORGET_NOTE: Final[LiteralString] = "select setval('acknowledged', 0)"

# Without a stored position the slot is none that this sidecar knows, whatever was noted of another one
KNOWN: Final[LiteralString] = """
select greatest((p.position - '0/0')::int8, a.last_value)
from stream_position p cross join acknowledged a
where p.slot = %(slot)s
"""


async def position(conn: Connection, slot: str) -> Lsn:
    """Return how far the log is in the queue, and keep others from moving it until the transaction ends."""
    row = await (await conn.execute(POSITION, {"slot": slot})).fetchone()
    return Lsn(row[0] if row is not None else 0)


async def save(conn: Connection, slot: str, lsn: Lsn) -> None:
    """Store how far the log is in the queue. Never moves backwards."""
    await conn.execute(SAVE, {"slot": slot, "lsn": lsn})


async def note(conn: Connection, lsn: Lsn) -> None:
    """Note that the log up to `lsn` is about to be acknowledged, though nothing in it was marked. Never moves back."""
    await conn.execute(NOTE, {"lsn": lsn})


async def known(conn: Connection, slot: str) -> Lsn:
    """Return how far the slot may stand by our own doing; 0 when nothing is known of it."""
    row = await (await conn.execute(KNOWN, {"slot": slot})).fetchone()
    return Lsn(row[0] if row is not None else 0)


async def forget(conn: Connection, slot: str) -> None:
    """Forget how far the log was read: a slot that is made anew may be of another log."""
    await conn.execute(FORGET, {"slot": slot})
    await conn.execute(FORGET_NOTE)
