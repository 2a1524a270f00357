"""Conflicts: fields that both sides changed and that a person has to decide, one at a time per field.

    open --decide--> deciding --close--> resolved          open, deciding --close--> converged (the sides became equal)
           a side moved since: put_open, back to open

`version` counts what a reviewer may have seen: to decide is compare-and-set on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from state.changes import Absent
from state.database import Connection
from state.merge import Json

COLUMNS: Final[LiteralString] = """
    id, "entityType" as entity_type, "systemId" as system_id, page_id, field, base, mapable, notion, mapable_at,
    notion_at, notion_by, rule, status, choice, value, version, opened_at, closed_at, closed_by
"""

LISTED: Final[LiteralString] = f"""
select {COLUMNS}
from conflict
where status = any (%(statuses)s) and id > %(after)s
order by id
limit %(limit)s
"""  # noqa: S608 - made of constants, as the others here

ONE: Final[LiteralString] = f"select {COLUMNS} from conflict where id = %(id)s"  # noqa: S608

OPEN_OF: Final[LiteralString] = f"""
select {COLUMNS}
from conflict
where "entityType" = %(entity_type)s and "systemId" = any (%(ids)s) and status in ('open', 'deciding')
order by id
"""  # noqa: S608

COUNT: Final[LiteralString] = "select count(*) from conflict where status in ('open', 'deciding')"

WAITING: Final[LiteralString] = """
select count(*), coalesce(extract(epoch from clock_timestamp() - min(opened_at)), 0)::float8
from conflict where status in ('open', 'deciding')
"""

KEPT: Final[LiteralString] = """
    (c.version > %(seen)s and (c.mapable, c.notion) is not distinct from (excluded.mapable, excluded.notion))"""

# What a reviewer saw is other than what stands here now only if a value changed: seen again, the version stays
PUT_OPEN: Final[LiteralString] = f"""
insert into conflict as c (
    "entityType", "systemId", page_id, field, base, mapable, notion, mapable_at, notion_at, notion_by, rule)
values (
    %(entity_type)s, %(system_id)s, %(page_id)s, %(field)s, %(base)s, %(mapable)s, %(notion)s, %(mapable_at)s,
    %(notion_at)s, %(notion_by)s, %(rule)s)
on conflict ("entityType", "systemId", field) where status in ('open', 'deciding') do update set
    page_id = excluded.page_id,
    base = excluded.base,
    mapable = excluded.mapable,
    notion = excluded.notion,
    -- a side that stands still keeps the time and author that were known of it
    mapable_at = case when c.mapable is distinct from excluded.mapable then excluded.mapable_at
        else coalesce(excluded.mapable_at, c.mapable_at) end,
    notion_at = case when c.notion is distinct from excluded.notion then excluded.notion_at
        else coalesce(excluded.notion_at, c.notion_at) end,
    notion_by = case when c.notion is distinct from excluded.notion then excluded.notion_by
        else coalesce(excluded.notion_by, c.notion_by) end,
    rule = excluded.rule,
    -- a decision that came after the look is on these very values, as long as neither side has moved
    status = case when {KEPT} then c.status else 'open' end,
    choice = case when {KEPT} then c.choice end,
    value = case when {KEPT} then c.value end,
    version = c.version + case
        when (c.base, c.mapable, c.notion) is distinct from (excluded.base, excluded.mapable, excluded.notion) then 1
        else 0
    end
returning {COLUMNS}
"""  # noqa: S608

DECIDE: Final[LiteralString] = f"""
update conflict set status = 'deciding', choice = %(choice)s, value = %(value)s, version = version + 1
where id = %(id)s and version = %(version)s and status = 'open'
returning {COLUMNS}
"""  # noqa: S608

CLOSE: Final[LiteralString] = """
update conflict set status = %(status)s, closed_at = clock_timestamp(), closed_by = %(by)s
where id = %(id)s and status in ('open', 'deciding')
"""

CLOSE_OF: Final[LiteralString] = f"""
update conflict set status = %(status)s, closed_at = clock_timestamp(), closed_by = %(by)s
where "entityType" = %(entity_type)s and "systemId" = %(system_id)s and status in ('open', 'deciding')
returning {COLUMNS}
"""  # noqa: S608

CONFLICT_STATE: Final[LiteralString] = """
update "NotionSyncMapping" m set "conflictState" = found.state
from (
    select case
        when bool_or(status in ('open', 'deciding')) then 'pending'
        when count(*) > 0 then 'resolved'
        else 'none'
    end as state
    from conflict
    where "entityType" = %(entity_type)s and "systemId" = %(system_id)s
) as found
where m."entityType" = %(entity_type)s and m."systemId" = %(system_id)s and m."conflictState" <> found.state
"""

UNDECIDED: Final = ("open", "deciding")
CLOSED: Final = ("resolved", "converged")


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field of one record. Values are canonical JSON; a `base` of None may also mean that there is none."""

    id: int
    entity_type: str
    system_id: str
    page_id: str
    field: str
    base: Json
    mapable: Json
    notion: Json
    mapable_at: datetime | None
    notion_at: datetime | None
    notion_by: str | None
    rule: str
    status: str
    choice: str | None
    value: Json              # only of the choice "value"
    version: int
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None


async def listed(
    conn: Connection, statuses: Sequence[str] = UNDECIDED, *, limit: int = 100, after: int = 0
) -> tuple[Conflict, ...]:
    """Return the conflicts in these states whose id is above `after`, the oldest first."""
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(LISTED, {"statuses": list(statuses), "limit": limit, "after": after})
        return tuple(await cursor.fetchall())


async def one(conn: Connection, conflict_id: int) -> Conflict | None:
    """Return one conflict, whatever its state."""
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(ONE, {"id": conflict_id})
        return await cursor.fetchone()


async def open_of(conn: Connection, entity_type: str, ids: Sequence[str]) -> Mapping[str, tuple[Conflict, ...]]:
    """Return what is open or being decided of these records, by system id; records without any are left out."""
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(OPEN_OF, {"entity_type": entity_type, "ids": list(ids)})
        found: dict[str, tuple[Conflict, ...]] = {}
        for conflict in await cursor.fetchall():
            found[conflict.system_id] = (*found.get(conflict.system_id, ()), conflict)
        return found


async def count(conn: Connection) -> int:
    """Return how many are open or being decided."""
    row = await (await conn.execute(COUNT)).fetchone()
    return int(row[0]) if row is not None else 0


async def waiting(conn: Connection) -> tuple[int, float]:
    """Return how many are open or being decided, and the age of the oldest in seconds."""
    row = await (await conn.execute(WAITING)).fetchone()
    return (int(row[0]), float(row[1])) if row is not None else (0, 0.0)


async def put_open(
    conn: Connection,
    *,
    entity_type: str,
    system_id: str,
    page_id: str,
    field: str,
    base: Json | Absent,
    mapable: Json,
    notion: Json,
    mapable_at: datetime | None,
    notion_at: datetime | None,
    notion_by: str | None,
    rule: str,
    seen: int = 0,
) -> Conflict:
    """Open the field's conflict, or bring the open one up to date.

    A decision that was under way is void then; unless it came after the look, which knew version `seen`.
    """
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(
            PUT_OPEN,
            {
                "entity_type": entity_type, "system_id": system_id, "page_id": page_id, "field": field,
                "base": None if isinstance(base, Absent) else Jsonb(base), "mapable": Jsonb(mapable),
                "notion": Jsonb(notion), "mapable_at": mapable_at, "notion_at": notion_at, "notion_by": notion_by,
                "rule": rule, "seen": seen,
            },
        )
        opened = await cursor.fetchone()
    assert opened is not None
    return opened


async def decide(
    conn: Connection, conflict_id: int, version: int, choice: str, value: Json = None
) -> Conflict | None:
    """Note a person's choice on what they saw; None when it is no longer that: not open, or of another version."""
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(
            DECIDE,
            {
                "id": conflict_id, "version": version, "choice": choice,
                "value": Jsonb(value) if choice == "value" else None,
            },
        )
        return await cursor.fetchone()


async def close(conn: Connection, conflict_id: int, status: str, by: str) -> bool:
    """Close it as "resolved" (somebody chose) or "converged" (the sides are equal); False when it was closed before."""
    return (await conn.execute(CLOSE, {"id": conflict_id, "status": status, "by": by})).rowcount == 1


async def close_of(
    conn: Connection, entity_type: str, system_id: str, status: str, by: str
) -> tuple[Conflict, ...]:
    """Close whatever is open of a record, and bring its "conflictState" up to date; return what was closed."""
    async with conn.cursor(row_factory=class_row(Conflict)) as cursor:
        await cursor.execute(
            CLOSE_OF, {"entity_type": entity_type, "system_id": system_id, "status": status, "by": by}
        )
        closed = tuple(await cursor.fetchall())
    if closed:
        await conflict_state(conn, entity_type, system_id)
    return closed


async def conflict_state(conn: Connection, entity_type: str, system_id: str) -> None:
    """Bring "conflictState" of the link up to date: pending, else resolved if there ever was a conflict, else none."""
    await conn.execute(CONFLICT_STATE, {"entity_type": entity_type, "system_id": system_id})
