"""Short ways to ask a demo database, for the tests that describe it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from deploy.local.server import PostgresServer

Connection = psycopg.Connection[Any]

Shape = dict[str, tuple[str, bool, str | None]]
"""Of each column: type, whether it may be NULL, default."""

SHAPE: Final[LiteralString] = """
select attname, format_type(atttypid, atttypmod), not attnotnull, pg_get_expr(adbin, adrelid)
from pg_attribute
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid = quote_ident(%s)::regclass and attnum > 0 and not attisdropped
"""
_SHORT_TYPES: Final = {"timestamp(3) without time zone": "moment", "numeric(12,2)": "money"}


@contextmanager
def connected_to_new_database(server: PostgresServer, template: str | None = None) -> Iterator[Connection]:
    """Yield a connection to a database that is made for it and dropped afterwards."""
    name = f"demo_{secrets.token_hex(6)}"
    server.create_database(name, template)
    try:
        with psycopg.connect(server.dsn(name), autocommit=True) as conn:
            yield conn
    finally:
        server.drop_database(name)


def values(conn: Connection, query: LiteralString, *arguments: object, **names: str) -> list[Any]:
    """Return the first column of all rows; `{word}` in the query stands for the identifier given as `word`."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        identifiers = {word: sql.Identifier(name) for word, name in names.items()}
        return cursor.execute(sql.SQL(query).format(**identifiers), arguments or None).fetchall()


def value(conn: Connection, query: LiteralString, *arguments: object, **names: str) -> Any:
    """Return the only value of the only row."""
    (only,) = values(conn, query, *arguments, **names)
    return only


def shape(conn: Connection, table: str) -> Shape:
    """Return what a table's columns are, in short words: "moment" for timestamp(3), "money" for numeric(12,2)."""
    return {
        name: (_SHORT_TYPES.get(kind, kind.strip('"')), nullable, default and _default(default))
        for name, kind, nullable, default in conn.execute(SHAPE, (table,))
    }


def digest(conn: Connection, table: str, columns: Iterable[str] | None = None) -> str:
    """Return a hash of the table's rows as Postgres prints them, in whole or in the given columns."""
    chosen = sql.SQL(", ").join(map(sql.Identifier, sorted(columns or shape(conn, table))))
    lines = sql.SQL("select row({})::text as line from {} order by line").format(chosen, sql.Identifier(table))
    return hashlib.sha256(repr(conn.execute(lines).fetchall()).encode()).hexdigest()


def _default(expression: str) -> str:
    return "now" if expression == "CURRENT_TIMESTAMP" else expression.partition("::")[0].strip("'")
