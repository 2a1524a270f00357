"""Writing people's edits to MapAble's rows: compare-and-set per column, in the caller's transaction.

The caller owns the transaction, so that the row, the new base and the audit line commit together. Rows and foreign keys
are never deleted or moved from here: only named columns of one row are updated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from sinks.mapable.rows import translated
from sinks.mapping.model import Entity, Row
from sinks.mapping.parsing import ColumnValue
from state.database import Connection

MESSAGE_PREFIX: Final = "mapable_cdc"
WRITE_BACK: Final = "write-back"
# First in the transaction: capture knows by it that these changes are ours, and takes no time from them
ANNOUNCE: Final[LiteralString] = "select pg_logical_emit_message(true, %(prefix)s, %(content)s)"
LOCK_WAIT: Final[LiteralString] = "select set_config('lock_timeout', %(wait)s, true)"
LOCK_WAIT_MS: Final = 500

REFUSALS: Final = (
    psycopg.errors.IntegrityError,
    psycopg.errors.DataError,
    psycopg.errors.ProgramLimitExceeded,   # a text too long for the index that keeps it unique
    psycopg.errors.RaiseException,         # a trigger of MapAble's own
)
"""What the database says of values that it will not take however often they come."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of each column: written, found changed meanwhile (look again), or refused, with why."""

    done: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    missing: bool = False    # the row is gone


class WriteBack:
    """Updates of mapped columns in one source schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    async def write(
        self, conn: Connection, entity: Entity, system_id: str, seen: Row, changes: Mapping[str, ColumnValue]
    ) -> Written:
        """Write `changes` (by column) to the row where it still holds what was `seen`.

        Call first in a transaction: the row is locked before anything of the sidecar. Raises SourceBusy when MapAble
        holds the row, SourceChanged when a column is not there or may not be written.
        """
        try:
            await conn.execute(ANNOUNCE, {"prefix": MESSAGE_PREFIX, "content": WRITE_BACK})
            await conn.execute(LOCK_WAIT, {"wait": f"{LOCK_WAIT_MS}ms"})
            now = await self._locked(conn, entity, system_id, tuple(changes))
            if now is None:
                return Written(missing=True)
            stale = tuple(column for column in changes if now[column] != seen[column])
            fresh = {column: value for column, value in changes.items() if column not in stale}
            refused = await self._update(conn, entity, system_id, fresh)
        except psycopg.Error as error:
            raise translated(error, entity.table) from None
        return Written(tuple(column for column in fresh if column not in refused), stale, refused)

    async def _locked(
        self, conn: Connection, entity: Entity, system_id: str, columns: Sequence[str]
    ) -> Mapping[str, object] | None:
        query = sql.SQL("select {columns} from {table} where id = %(id)s for no key update").format(
            columns=_names(columns), table=sql.Identifier(self._schema, entity.table)
        )
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, {"id": system_id})
            return await cursor.fetchone()

    async def _update(
        self, conn: Connection, entity: Entity, system_id: str, changes: Mapping[str, ColumnValue]
    ) -> dict[str, str]:
        """Write all at once; should the database refuse, one by one, so that a failing value fails its field only."""
        if not changes:
            return {}
        reason = await self._attempt(conn, entity, system_id, changes)
        if reason is None:
            return {}
        if len(changes) == 1:
            return dict.fromkeys(changes, reason)
        refused: dict[str, str] = {}
        for column, value in changes.items():
            refused |= await self._update(conn, entity, system_id, {column: value})
        return refused

    async def _attempt(
        self, conn: Connection, entity: Entity, system_id: str, changes: Mapping[str, ColumnValue]
    ) -> str | None:
        """Return None when written, else why the database refuses the values."""
        assignments = [
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(f"v{number}"))
            for number, column in enumerate(changes)
        ]
        if entity.updated_column is not None:
            # set by the application, not by a trigger: an unchanged one would make the row look untouched
            now = sql.SQL("{} = (clock_timestamp() at time zone 'UTC')")
            moved = now.format(sql.Identifier(entity.updated_column))
            assignments.append(moved)
        query = sql.SQL("update {table} set {assignments} where id = %(id)s").format(
            table=sql.Identifier(self._schema, entity.table), assignments=sql.SQL(", ").join(assignments)
        )
        values = {f"v{number}": value for number, value in enumerate(changes.values())}
        try:
            async with conn.transaction():
                await conn.execute(query, {**values, "id": system_id})
        except REFUSALS as error:
            return _reason(error)
        return None


def _reason(error: psycopg.Error) -> str:
    """Return why, for a person; never the driver's text, which quotes the value."""
    if isinstance(error, psycopg.errors.UniqueViolation):
        return "Another record in MapAble has this value already."
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):
        return "This is longer than MapAble's database takes."
    return "MapAble's database refuses this value."


def _names(columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)
