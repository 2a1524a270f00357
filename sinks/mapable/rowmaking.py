"""Making a row of MapAble's from a page that a person made, in the caller's transaction.

The row, its link and the audit line commit together, so that dying in between makes neither none nor two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from sinks.mapable.columns import AUTHOR, BLANK
from sinks.mapable.rows import translated
from sinks.mapable.writeback import ANNOUNCE, LOCK_WAIT, LOCK_WAIT_MS, MESSAGE_PREFIX, REFUSALS, WRITE_BACK
from sinks.mapping.model import Column, Entity
from sinks.mapping.parsing import ColumnValue
from state.database import Connection

DEFAULTED: Final[LiteralString] = """
select a.attname
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = %(table)s and a.attnum > 0 and not a.attisdropped and a.atthasdef
"""


class RowMaker:
    """Inserts into the tables of one source schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    async def defaulted(self, conn: Connection, entity: Entity) -> frozenset[str]:
        """Return the columns that the database fills by itself."""
        cursor = await conn.execute(DEFAULTED, {"schema": self._schema, "table": entity.table})
        return frozenset(row[0] for row in await cursor.fetchall())

    async def insert(
        self, conn: Connection, entity: Entity, system_id: str, columns: Mapping[str, ColumnValue], *, person: str
    ) -> str | None:
        """Insert the row; return None, or why the database refuses it, for a person.

        Call first in a transaction: MapAble's tables are touched before anything of the sidecar. Raises SourceBusy when
        somebody is just inserting a row with the same unique value, SourceChanged when a column is not there.
        """
        row = {"id": system_id, **dict.fromkeys(BLANK.get(entity.name, ()), ""), **columns}
        if entity.name in AUTHOR:
            row[AUTHOR[entity.name]] = f"Notion {person}"
        names: list[sql.Composable] = [sql.Identifier(name) for name in row]
        given: list[sql.Composable] = [sql.Placeholder(f"v{number}") for number in range(len(row))]
        if entity.updated_column is not None:
            names.append(sql.Identifier(entity.updated_column))
            given.append(sql.SQL("(clock_timestamp() at time zone 'UTC')"))
        query = sql.SQL("insert into {table} ({names}) values ({given})").format(
            table=sql.Identifier(self._schema, entity.table), names=sql.SQL(", ").join(names),
            given=sql.SQL(", ").join(given),
        )
        try:
            await conn.execute(ANNOUNCE, {"prefix": MESSAGE_PREFIX, "content": WRITE_BACK})
            await conn.execute(LOCK_WAIT, {"wait": f"{LOCK_WAIT_MS}ms"})
            async with conn.transaction():
                await conn.execute(query, {f"v{number}": value for number, value in enumerate(row.values())})
        except REFUSALS as error:
            return _reason(entity, error)
        except psycopg.Error as error:
            raise translated(error, entity.table) from None
        return None


def _reason(entity: Entity, error: psycopg.Error) -> str:
    """Return why, for a person; never the driver's text, which quotes the values."""
    match error:
        case psycopg.errors.UniqueViolation():
            constraint = error.diag.constraint_name or ""
            name = next(
                (
                    field.name for field in entity.fields
                    if isinstance(field.source, Column) and f"_{field.source.name}_" in constraint
                ),
                None,
            )
            return f"Another record in MapAble has this {name} already." if name else (
                "Another record in MapAble has one of these values already."
            )
        case psycopg.errors.NotNullViolation():
            return f"MapAble also needs {error.diag.column_name or 'a value'}, for which this database has no property."
        case psycopg.errors.ProgramLimitExceeded():
            return "One of these values is longer than MapAble's database takes."
        case _:
            return "MapAble's database refuses these values."
