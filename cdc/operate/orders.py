"""What an operator asks for, by HTTP or on the command line: compare this now, decide that. Checked, marked, audited.

Nothing is carried out here: an order marks keys, and reconcile does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from sinks.mapable.rows import Rows
from sinks.mapping.entities import ENTITIES, by_name, by_table, field_of
from sinks.mapping.model import Entity
from sinks.mapping.parsing import Refused
from sinks.mapping.typed import typed
from state import audit, conflicts, links, marking, work
from state.changes import Key, Priority, Reason
from state.conflicts import Conflict
from state.database import Pool
from state.errors import SyncError

BOTH_SIDES: Final = Reason.OURS | Reason.THEIRS
EVERYTHING: Final = BOTH_SIDES | Reason.RESTORE
ALL: Final = "*"
"""The system id of an audit line about every row of an entity."""

ID_LENGTH: Final = 200
CHOICES: Final = ("mapable", "notion", "value")


class Why(Enum):
    """Why an order is declined."""

    INVALID = "invalid"    # it can't be meant so
    UNKNOWN = "unknown"    # there is no such thing
    OFF = "off"            # a setting says no
    MOVED = "moved"        # it is no longer what was looked at


class Declined(SyncError):
    """The order is not followed, and nothing was changed. `conflict` is the one it was about, as it is now."""

    def __init__(self, why: Why, message: str, conflict: Conflict | None = None) -> None:
        super().__init__(message)
        self.why = why
        self.conflict = conflict


class Orders:
    """Takes orders about these entities; while the sync is not enabled, none."""

    def __init__(self, pool: Pool, rows: Rows, entities: Sequence[Entity], *, enabled: bool = True) -> None:
        self._pool = pool
        self._rows = rows
        self._entities = frozenset(entity.name for entity in entities)
        self._enabled = enabled

    async def sync(self, name: str, system_id: str) -> int:
        """Mark one record: both sides are compared, and a page that a person took away is brought back; return 1."""
        check_id(system_id)
        entity = self._entity(name)
        row = (await self._rows.read(entity, {system_id: None}))[system_id].row
        key = Key(entity.name, system_id)
        async with self._pool.connection() as conn, conn.transaction():
            link = (await links.load(conn, entity.table, [system_id])).get(system_id)
            if link is None and not entity.is_due(row):
                raise Declined(Why.UNKNOWN, f"there is no {entity.name} with this id, and no page of one")
            await work.mark(conn, {key: None}, reason=EVERYTHING, priority=Priority.MANUAL)
            await audit.append(
                conn,
                audit.Entry(
                    "sync.requested", key, entity.participant_of(system_id, row),
                    link.page_id if link is not None else None, actor=audit.OPERATOR,
                ),
            )
        return 1

    async def sync_all(self, name: str) -> int:
        """Begin to mark every record of the entity; return how many rows it has. The active process goes on with it."""
        entity = self._entity(name)
        rows = await self._rows.count(entity)
        async with self._pool.connection() as conn, conn.transaction():
            await marking.start(conn, [entity.name], reason=EVERYTHING, priority=Priority.MANUAL)
            await audit.append(
                conn,
                audit.Entry("sync.requested", Key(entity.name, ALL), actor=audit.OPERATOR, detail={"rows": rows}),
            )
        return rows

    async def decide(self, conflict_id: int, version: int, choice: str, value: object = None) -> Conflict:
        """Note a choice on what was seen, and mark the record so that it is carried out; return the conflict then."""
        async with self._pool.connection() as conn:
            seen = await conflicts.one(conn, conflict_id)
        entity = by_table(seen.entity_type) if seen is not None else None
        if seen is None or entity is None:
            raise Declined(Why.UNKNOWN, "there is no such conflict")
        self._check_on(entity)
        chosen = _chosen(entity, seen.field, choice, value)
        row = (await self._rows.read(entity, {seen.system_id: None}))[seen.system_id].row
        key = Key(entity.name, seen.system_id)
        async with self._pool.connection() as conn, conn.transaction():
            # the key before the conflict, as those do who are at work on the record: else each could wait for the other
            await work.mark(conn, {key: None}, reason=BOTH_SIDES, priority=Priority.MANUAL)
            decided = await conflicts.decide(conn, conflict_id, version, choice, chosen)
            if decided is None:
                raise Declined(
                    Why.MOVED, "the conflict is no longer what was decided on: look at it again",
                    await conflicts.one(conn, conflict_id),
                )
            await conflicts.conflict_state(conn, entity.table, seen.system_id)
            await audit.append(
                conn,
                audit.Entry(
                    "conflict.decided", key, entity.participant_of(seen.system_id, row), seen.page_id, (seen.field,),
                    actor=audit.OPERATOR, detail={"conflict": conflict_id, "choice": choice, "value": chosen},
                ),
            )
        return decided

    def _entity(self, name: str) -> Entity:
        try:
            entity = by_name(name)
        except KeyError:
            known = ", ".join(entity.name for entity in ENTITIES)
            raise Declined(Why.UNKNOWN, f"there is no such entity; there are {known}") from None
        self._check_on(entity)
        return entity

    def _check_on(self, entity: Entity) -> None:
        """Refuse what nobody would carry out."""
        if not self._enabled:
            raise Declined(Why.OFF, "the sync is disabled (NOTION_SYNC_ENABLED=false)")
        if entity.name not in self._entities:
            raise Declined(Why.OFF, f"{entity.name} is switched off (NOTION_SYNC_{entity.setting})")


def check_id(system_id: str) -> None:
    """Refuse what is no row's id."""
    if not system_id:
        raise Declined(Why.INVALID, "the id is empty")
    if len(system_id) > ID_LENGTH:
        raise Declined(Why.INVALID, f"an id has {ID_LENGTH} characters at most")
    if not system_id.isprintable():
        raise Declined(Why.INVALID, "an id has no control characters")


def _chosen(entity: Entity, key: str, choice: str, value: object) -> str | bool | list[str] | None:
    if choice not in CHOICES:
        raise Declined(Why.INVALID, f"choice is one of {', '.join(CHOICES)}")
    if choice != "value":
        if value is not None:
            raise Declined(Why.INVALID, 'a value goes with the choice "value" only')
        return None
    try:
        field = field_of(entity, key)
    except KeyError:
        raise Declined(Why.INVALID, "the field is no longer mapped: choose a side") from None
    chosen = typed(field, value)
    if isinstance(chosen, Refused):
        raise Declined(Why.INVALID, chosen.reason)
    return chosen
