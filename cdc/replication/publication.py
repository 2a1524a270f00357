"""The publication that pgoutput reads: the mapped columns of the mapped tables, so that no other leaves the server.

It is named like the slot. A table in it whose rows can't be named in the log makes the application's own updates fail,
so such a table is never put into one. Whoever changes it may have let changes go by unsent: `version` tells that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from state.database import readable
from state.errors import FatalError, TransientError

# pg_has_role counts a superuser in. What is set of the publication itself (kinds of changes, name) makes its row anew;
# a table that is put in makes one of its own
PUBLICATION: Final[LiteralString] = """
    select p.oid::int8 as oid,
           p.puballtables as all_tables,
           p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate as everything,
           pg_has_role(p.pubowner, 'USAGE') as ours,
           concat_ws(' ', p.oid, p.xmin, (
               select string_agg(r.oid::text, ' ' order by r.oid) from pg_publication_rel r where r.prpubid = p.oid
           )) as version
    from pg_publication p
    where p.pubname = %(name)s
"""
# What the server sends, however it was listed
PUBLISHED: Final[LiteralString] = """
    select t.schemaname::text as schema,
           t.tablename::text as name,
           t.attnames::text[] as columns,
           t.rowfilter is not null as filtered
    from pg_publication_tables t
    where t.pubname = %(name)s
    order by 1, 2
"""
TABLES: Final[LiteralString] = """
    select c.relname::text as name,
           array(
               select a.attname::text from pg_attribute a
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 and a.attgenerated = ''      -- what is computed is not sent
           ) as columns,
           exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as has_key,
           array(
               select a.attname::text from pg_index i
               join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
               where i.indrelid = c.oid
                 and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
           ) as named_by
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relname = any (%(tables)s) and c.relkind = 'r' and c.relpersistence = 'p'
    order by 1
"""
PATIENCE: Final[LiteralString] = "set local lock_timeout = '2s'"


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication as the catalog has it. `version` changes with whatever is changed of it, for good."""

    oid: int
    all_tables: bool
    everything: bool
    ours: bool
    version: str


@dataclass(frozen=True, slots=True)
class Published:
    """A table that the publication sends."""

    schema: str
    name: str
    columns: Sequence[str]
    filtered: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A mapped table that is there. `named_by`: the columns that name a row in the log."""

    name: str
    has_key: bool
    columns: Sequence[str]
    named_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be published: the `needed` ones of the `mapped` columns by table. The others may be."""

    name: str
    schema: str
    mapped: Mapping[str, frozenset[str]]
    needed: Collection[str]


@dataclass(frozen=True, slots=True)
class Found:
    """The publication, or None, and the mapped tables that are there."""

    publication: Publication | None
    published: Sequence[Published]
    tables: Mapping[str, Table]

    @property
    def version(self) -> str:
        return self.publication.version if self.publication is not None else ""


async def look(conn: psycopg.AsyncConnection[Any], wanted: Wanted) -> Found:
    """Return how the publication and its tables stand."""
    arguments = {"name": wanted.name, "schema": wanted.schema, "tables": list(wanted.mapped)}
    async with conn.cursor(row_factory=class_row(Publication)) as cursor:
        publication = await (await cursor.execute(PUBLICATION, arguments)).fetchone()
    async with conn.cursor(row_factory=class_row(Published)) as cursor:
        published = await (await cursor.execute(PUBLISHED, arguments)).fetchall()
    async with conn.cursor(row_factory=class_row(Table)) as cursor:
        tables = {table.name: table for table in await (await cursor.execute(TABLES, arguments)).fetchall()}
    return Found(publication, published, tables)


async def ensure(conn: psycopg.AsyncConnection[Any], wanted: Wanted, known: str | None = None) -> str:
    """Make or complete the publication and return its version.

    `known` is the version that this sync read: in a publication of its own a table without a mapped name is one that
    was renamed, or added, and is taken out. Raises FatalError when the role may not make what is missing, when the
    publication holds what is not ours, or when a table in it would make the application's own updates fail;
    TransientError while it can't be made right.
    """
    found = await look(conn, wanted)
    _refuse(wanted, found, known)
    lacks = "; ".join(lacking(wanted, found))
    if not lacks and not foreign(wanted, found):
        return found.version
    try:
        async with conn.transaction():
            await conn.execute(PATIENCE)
            for statement in statements(wanted, found):
                await conn.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        if next(missing(wanted, found), None) is None:
            # a column or table was renamed: the decoder drops what is beyond, and the others go on
            return found.version
        raise FatalError(
            f"pgoutput reads a publication that the role may not make or change: {lacks}",
            "Have the owner of the tables run what `mapable-cdc doctor --fix-sql` prints, then start again.",
        ) from None
    except psycopg.Error as error:
        raise TransientError(f"the publication {wanted.name} could not be changed: {readable(error)}") from None
    found = await look(conn, wanted)
    _refuse(wanted, found, None)
    if lacks := "; ".join(lacking(wanted, found)):
        # none of the mapped tables is there yet, say
        raise TransientError(f"the publication {wanted.name} could not be made right: {lacks}")
    return found.version


def amiss(wanted: Wanted, found: Found) -> bool:
    """Return whether changes that have to be sent are not, or the application's own updates fail by it."""
    return bool(blocked(wanted, found) or next(missing(wanted, found), None))


def lacking(wanted: Wanted, found: Found) -> Iterator[str]:
    """Yield what has to be published and is not, or is so in part; and columns that are and must not be."""
    yield from missing(wanted, found)
    for table, sent in _sent(wanted, found):
        if beyond := set(sent.columns) - set(columns_of(wanted, table)):
            yield f"{', '.join(sorted(beyond))} of {table.name} is published and not mapped"


def missing(wanted: Wanted, found: Found) -> Iterator[str]:
    """Yield what has to be published and is not, or is so in part."""
    if found.publication is None:
        yield f"there is no publication {wanted.name}"
        return
    if not found.publication.everything:
        yield f"the publication {wanted.name} leaves kinds of changes out"
    published = {table.name for table in found.published if table.schema == wanted.schema}
    for name in found.tables:
        if name in wanted.needed and name not in published:
            yield f"{name} is not published"
    for table, sent in _sent(wanted, found):
        if sent.filtered:
            yield f"rows of {table.name} are left out"
        if unsent := set(columns_of(wanted, table)) - set(sent.columns):
            yield f"{', '.join(sorted(unsent))} of {table.name} is not published"


def foreign(wanted: Wanted, found: Found) -> tuple[str, ...]:
    """Return the published tables that are none of ours: the publication is somebody else's, or was added to."""
    if found.publication is not None and found.publication.all_tables:
        return ("all tables",)
    return tuple(
        table.name for table in found.published if table.schema != wanted.schema or table.name not in wanted.mapped
    )


def blocked(wanted: Wanted, found: Found) -> tuple[Table, ...]:
    """Return the tables whose own updates and deletes fail, or would, because they are published as they are."""
    published = {table.name for table in found.published if table.schema == wanted.schema}
    return tuple(
        table
        for table in found.tables.values()
        if (table.name in published or table.name in wanted.needed) and not table.named_by
    )


def columns_of(wanted: Wanted, table: Table) -> tuple[str, ...]:
    """Return the columns to publish of a table: the mapped ones, and those that name its rows."""
    listed = wanted.mapped[table.name] | set(table.named_by)
    return tuple(column for column in table.columns if column in listed)


def statements(wanted: Wanted, found: Found) -> tuple[sql.Composed, ...]:
    """Return what makes the publication as it has to be."""
    name = sql.Identifier(wanted.name)
    tables = sql.SQL(", ").join(_listed(wanted, table) for table in found.tables.values() if table.named_by)
    if not tables.as_string(None):
        return ()
    create = sql.SQL("create publication {} for table {}").format(name, tables)
    if found.publication is None:
        return (create,)
    if found.publication.all_tables:
        return (sql.SQL("drop publication {}").format(name), create)
    change = sql.SQL("alter publication {} set table {}").format(name, tables)
    if found.publication.everything:
        return (change,)
    kinds = sql.SQL("alter publication {} set (publish = 'insert, update, delete, truncate')").format(name)
    return (change, kinds)


def _sent(wanted: Wanted, found: Found) -> Iterator[tuple[Table, Published]]:
    """Yield the mapped tables that are published, as they are there and as they are sent."""
    for sent in found.published:
        if sent.schema == wanted.schema and sent.name in found.tables:
            yield found.tables[sent.name], sent


def _refuse(wanted: Wanted, found: Found, known: str | None) -> None:
    own = known and found.publication is not None and known.split()[0] == str(found.publication.oid)
    if (strange := foreign(wanted, found)) and not own:
        raise FatalError(
            f"the publication {wanted.name} holds what is not mapped: {', '.join(strange[:5])}",
            "Set REPLICATION_SLOT to a name of its own (the publication is named like the slot); if it is this sync's "
            "own, have its owner run what `mapable-cdc doctor --fix-sql` prints.",
        )
    if tables := blocked(wanted, found):
        raise FatalError(
            f"published as it is, {tables[0].name} can't be updated by MapAble itself (its replica identity)",
            "Have the owner of the tables run what `mapable-cdc doctor --fix-sql` prints, then start again.",
        )


def _listed(wanted: Wanted, table: Table) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(column) for column in columns_of(wanted, table))
    return sql.SQL("{} ({})").format(sql.Identifier(wanted.schema, table.name), columns)
