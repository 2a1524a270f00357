"""What pages show of other rows: names seen (as digests), and relations that wait for their target's page."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final, LiteralString

from state.changes import Key
from state.database import Connection

SEED: Final[LiteralString] = """
insert into lookup_seen (kind, system_id, digest)
select kind, system_id, digest
from unnest(%(kinds)s::text[], %(ids)s::text[], %(digests)s::bytea[]) as s (kind, system_id, digest)
order by kind, system_id
on conflict (kind, system_id) do nothing
"""

SEEN: Final[LiteralString] = """
select s.kind, s.system_id, s.digest
from lookup_seen s
join unnest(%(kinds)s::text[], %(ids)s::text[]) as k (kind, system_id) using (kind, system_id)
"""

# A name is on all pages that show one, or they are marked, only where its bare digest is remembered. Behind UNSURE, or
# with nothing behind it, pages may show another one: the next time that its key is looked at, all of them are marked
UNSURE: Final = b"?"

SPREAD: Final[LiteralString] = """
insert into lookup_seen (kind, system_id, digest) values (%(kind)s, %(system_id)s, %(spread)s)
on conflict (kind, system_id) do update set digest = excluded.digest
"""

DOUBT: Final[LiteralString] = """
update lookup_seen s set digest = %(unsure)s
from (
    select kind, system_id from lookup_seen
    join unnest(%(kinds)s::text[], %(ids)s::text[]) as k (kind, system_id) using (kind, system_id)
    order by kind, system_id
    for update
) as doubted
where (s.kind, s.system_id) = (doubted.kind, doubted.system_id)
"""

REMEMBER: Final[LiteralString] = """
update lookup_seen set digest = %(digest)s
where kind = %(kind)s and system_id = %(system_id)s and digest = %(spread)s
"""

# Both the child that finds no page and the target that gets one take this lock around look and write, so that the
# child is either seen waiting or sees the page.
LOCK_TARGET: Final[LiteralString] = (
    "select pg_advisory_xact_lock(hashtextextended('mapable-cdc relation ' || %(entity)s || ' ' || %(system_id)s, 0))"
)

WAIT_FOR: Final[LiteralString] = """
insert into pending_relation (target_entity, target_id, entity, system_id)
values (%(target_entity)s, %(target_id)s, %(entity)s, %(system_id)s)
on conflict do nothing
"""

AWAITED: Final[LiteralString] = """
select distinct p.target_entity, p.target_id
from pending_relation p
join unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, system_id)
    on p.target_entity = k.entity and p.target_id = k.system_id
"""

ARRIVED: Final[LiteralString] = """
select distinct p.target_entity, p.target_id
from pending_relation p
join unnest(%(entities)s::text[], %(tables)s::text[]) as e (entity, entity_type) on e.entity = p.target_entity
join "NotionSyncMapping" m
    on m."entityType" = e.entity_type and m."systemId" = p.target_id and m."pageState" = 'live'
"""

TAKE_WAITING: Final[LiteralString] = """
delete from pending_relation where target_entity = %(entity)s and target_id = %(system_id)s
returning entity, system_id
"""

# Skips what somebody who delivers a target is just taking: to wait for it, with the child's work row in hand, would be
# to wait for one who needs that work row
STOP_WAITING: Final[LiteralString] = """
delete from pending_relation p
using (
    select target_entity, target_id, entity, system_id
    from pending_relation
    where entity = %(entity)s and system_id = %(system_id)s
    for update skip locked
) as own
where (p.target_entity, p.target_id, p.entity, p.system_id)
    = (own.target_entity, own.target_id, own.entity, own.system_id)
"""


def digest(shown: str | None) -> bytes:
    """Return what is remembered of a shown name: enough to see it change, not enough to read it."""
    return hashlib.sha256(b"\0" if shown is None else b"\1" + shown.encode("utf-8", "surrogatepass")).digest()


async def seed(conn: Connection, shown: Mapping[Key, bytes]) -> Mapping[Key, bytes]:
    """Remember names that are about to be shown, where none is remembered; return what is remembered of all of them."""
    if not shown:
        return {}
    arguments = {
        "kinds": [key.entity for key in shown],
        "ids": [key.system_id for key in shown],
        "digests": list(shown.values()),
    }
    await conn.execute(SEED, arguments)
    cursor = await conn.execute(SEEN, arguments)
    return {Key(row[0], row[1]): bytes(row[2]) for row in await cursor.fetchall()}


def is_shown(remembered: bytes, value: bytes) -> bool:
    """Whether this is the name that pages show, or that they are being marked for."""
    return remembered in (value, UNSURE + value)


async def spread(conn: Connection, key: Key, value: bytes) -> None:
    """Note that dependents are about to be marked for this name."""
    await conn.execute(SPREAD, {"kind": key.entity, "system_id": key.system_id, "spread": UNSURE + value})


async def doubt(conn: Connection, keys: Collection[Key]) -> None:
    """Note that another name than the one remembered is about to be shown: none counts as unchanged any more."""
    arguments = {"kinds": [key.entity for key in keys], "ids": [key.system_id for key in keys], "unsure": UNSURE}
    await conn.execute(DOUBT, arguments)


async def remember(conn: Connection, key: Key, value: bytes) -> None:
    """Remember the name that dependents were marked for, unless another one was shown meanwhile."""
    arguments = {"kind": key.entity, "system_id": key.system_id, "digest": value, "spread": UNSURE + value}
    await conn.execute(REMEMBER, arguments)


async def lock_targets(conn: Connection, targets: Iterable[Key]) -> None:
    """Serialise with everybody who waits for, or delivers, the pages of `targets`; until the transaction ends."""
    for target in sorted(targets):
        await conn.execute(LOCK_TARGET, {"entity": target.entity, "system_id": target.system_id})


async def wait_for(conn: Connection, key: Key, targets: Iterable[Key]) -> None:
    """Record that `key` is to be marked again when one of `targets` gets a page; replaces what it waited for before."""
    await conn.execute(STOP_WAITING, {"entity": key.entity, "system_id": key.system_id})
    for target in sorted(targets):
        await conn.execute(
            WAIT_FOR,
            {
                "target_entity": target.entity, "target_id": target.system_id,
                "entity": key.entity, "system_id": key.system_id,
            },
        )


async def awaited(conn: Connection, targets: Iterable[Key]) -> tuple[Key, ...]:
    """Return those of `targets` whose page somebody waits for."""
    keys = sorted(targets)
    if not keys:
        return ()
    cursor = await conn.execute(
        AWAITED, {"entities": [key.entity for key in keys], "ids": [key.system_id for key in keys]}
    )
    return tuple(Key(row[0], row[1]) for row in await cursor.fetchall())


async def arrived(conn: Connection, tables: Mapping[str, str]) -> tuple[Key, ...]:
    """Return what is waited for although its page stands. `tables`: the table of each entity."""
    cursor = await conn.execute(ARRIVED, {"entities": list(tables), "tables": list(tables.values())})
    return tuple(Key(row[0], row[1]) for row in await cursor.fetchall())


async def take_waiting(conn: Connection, target: Key) -> tuple[Key, ...]:
    """Return, and stop recording, the keys that wait for the page of `target`."""
    cursor = await conn.execute(TAKE_WAITING, {"entity": target.entity, "system_id": target.system_id})
    return tuple(Key(row[0], row[1]) for row in await cursor.fetchall())
