"""The statements that the application of a run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from tests.chaos.fields import BY_NAME, Table
from tests.system.waiting import Connection

Step = tuple[sql.Composed, tuple[Any, ...]]


async def do(conn: Connection, step: Step) -> None:
    await conn.execute(*step)


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def insert(table: str, columns: Mapping[str, Any]) -> Step:
    query = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    return query, tuple(columns.values())


def update(table: str, rows: list[str], values: Mapping[str, Any]) -> Step:
    known: Table = BY_NAME[table]
    columns = {**values, **({"updatedAt": now()} if known.has_updated else {})}
    query = sql.SQL("update {} set {} where id = any(%s)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns)
    )
    return query, (*columns.values(), rows)


def delete(table: str, row: str) -> Step:
    return sql.SQL("delete from {} where id = %s").format(sql.Identifier(table)), (row,)


