"""The sidecar's schema, brought up to date on start.

Numbered SQL files, applied in order, each in the one transaction that also records it, under an advisory lock.
Migration libraries were tried: their lock is a row, which a killed process leaves behind, and none refuses to run
an older program on a newer schema. Both matter more here than the thirty lines below.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString

from psycopg import sql
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, ReservedName

from state.database import Connection
from state.errors import FatalError

LOCK: Final[LiteralString] = """
select pg_advisory_xact_lock(hashtextextended('mapable-cdc migrations ' || %(schema)s, 0))
"""
APPLIED: Final[LiteralString] = "select number from migration order by number"
RECORD: Final[LiteralString] = "insert into migration (number, name) values (%(number)s, %(name)s)"
# For this transaction: the tables go where they belong whatever the connection looks at
SEARCH_PATH: Final[LiteralString] = "select set_config('search_path', %(path)s, true)"
CREATE_TABLE: Final[LiteralString] = """
create table if not exists migration (
    number      integer primary key,
    name        text not null,
    applied_at  timestamptz not null default clock_timestamp()
)
"""


def available() -> tuple[tuple[int, str, str], ...]:
    """Return (number, name, SQL) of every migration this program knows, in order."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    found = []
    for file in files:
        match = re.fullmatch(r"(\d+)_\w+\.sql", file.name)
        if match is not None:
            found.append((int(match[1]), file.name, file.read_text("utf-8")))
    return tuple(sorted(found))


async def migrate(conn: Connection, schema: str) -> tuple[int, ...]:
    """Bring `schema` up to date and return the numbers applied now. Safe when several processes start at once.

    Raises FatalError when the role may not, the name is one that Postgres keeps for itself, or a newer version of
    this program was here.
    """
    try:
        async with conn.transaction():
            return await _migrate(conn, schema)
    # without the right to use a schema Postgres acts as if it were not in the search path
    except (InsufficientPrivilege, InvalidSchemaName):
        raise FatalError(
            f"the role may not create the schema {schema}, or the tables in it",
            f"Run as the database's owner: create schema if not exists {_quoted(schema)} authorization <role>; "
            "where it exists and is another role's, make it this one's, with what is in it.",
        ) from None
    except ReservedName:
        raise FatalError(
            f"Postgres keeps the name {schema} for itself", "Set STATE_SCHEMA to a name that does not start with pg_."
        ) from None


async def _migrate(conn: Connection, schema: str) -> tuple[int, ...]:
    known = available()
    await conn.execute(LOCK, {"schema": schema})
    if not await _exists(conn, schema):
        await conn.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    await conn.execute(SEARCH_PATH, {"path": f"{_quoted(schema)}, pg_catalog"})
    await conn.execute(CREATE_TABLE)
    done = {row[0] for row in await (await conn.execute(APPLIED)).fetchall()}
    newer = sorted(done - {number for number, _, _ in known})
    if newer:
        raise FatalError(
            f"the schema {schema} was made by a newer version of this program (migration {newer[-1]})",
            "Run the newer version, or restore the sidecar schema from before its first start.",
        )
    fresh = [migration for migration in known if migration[0] not in done]
    for number, name, text in fresh:
        await conn.execute(text.encode())
        await conn.execute(RECORD, {"number": number, "name": name})
    return tuple(number for number, _, _ in fresh)


def _quoted(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


async def _exists(conn: Connection, schema: str) -> bool:
    cursor = await conn.execute("select 1 from pg_namespace where nspname = %(schema)s", {"schema": schema})
    return await cursor.fetchone() is not None
