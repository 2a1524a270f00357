"""`doctor`, MapAble's tables: there, of the expected types, with the rights that are needed, and named in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from cdc.operate import doctor_needs as needed
from cdc.operate.doctor_needs import Needs
from cdc.operate.findings import Finding, error, ok, warning
from cdc.operate.spelled import name, names, spelled
from state.database import Connection

USABLE: Final[LiteralString] = """
select has_schema_privilege(oid, 'USAGE') from pg_namespace where nspname = %(schema)s
"""
TABLES: Final[LiteralString] = """
select c.relname::text as name,
       c.relkind = 'r' as plain,
       c.relreplident::text as identity,
       row_security_active(c.oid) as hides_rows,
       array(
           select a.attname::text from pg_index i
           join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
           where i.indrelid = c.oid and i.indisprimary
       ) as primary_key,
       array(
           select a.attname::text from pg_index i
           join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
           where i.indrelid = c.oid and i.indisreplident
       ) as identity_key,
       array(
           select a.attname::text from pg_index i
           join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
           where i.indrelid = c.oid and i.indisvalid and i.indpred is null
       ) as led_by_index
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any (%(tables)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
# the category of a domain is that of what it is made of
COLUMNS: Final[LiteralString] = """
select c.relname::text as table, a.attname::text as name, format_type(a.atttypid, null) as type,
       t.typcategory::text as category,
       has_column_privilege(c.oid, a.attnum, 'SELECT') as readable,
       has_column_privilege(c.oid, a.attnum, 'UPDATE') as updatable,
       has_column_privilege(c.oid, a.attnum, 'INSERT') as insertable
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where n.nspname = %(schema)s and c.relname = any (%(tables)s)
"""

RIGHTS: Final[Mapping[str, tuple[LiteralString, str]]] = {
    "select": (
        "grant select ({}) on {} to {}", "They are mapped, and nothing of the table can be read without them.",
    ),
    "update": (
        "grant update ({}) on {} to {}", "People's edits of these fields in Notion could not be written.",
    ),
    "insert": ("grant insert ({}) on {} to {}", "NOTION_CREATE_ROWS lets pages that people make become rows."),
}
"""How a right is given, and why it is needed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the catalog has it."""

    table: str
    name: str
    type: str
    category: str       # pg_type.typcategory
    readable: bool
    updatable: bool
    insertable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table as the catalog has it. `identity` is pg_class.relreplident."""

    name: str
    plain: bool
    identity: str
    hides_rows: bool
    primary_key: Sequence[str]
    identity_key: Sequence[str]
    led_by_index: Sequence[str]


FITS: Final[Mapping[str, Callable[[Column], bool]]] = {
    needed.TEXT: lambda column: column.category == "S",
    needed.CHOICE: lambda column: column.category in {"S", "E"},
    needed.NUMBER: lambda column: column.category == "N",
    needed.MOMENT: lambda column: column.type.startswith("timestamp"),
    needed.YES_NO: lambda column: column.category == "B",
    needed.LIST: lambda column: column.type in {"json", "jsonb"},
    needed.ANY: lambda _: True,
}


async def tables_found(conn: Connection, schema: str, role: str, needs: Mapping[str, Needs]) -> Sequence[Finding]:
    """Return how the tables stand that are needed."""
    usable = await (await conn.execute(USABLE, {"schema": schema})).fetchone()
    if usable is None:
        return [
            error(
                "tables.schema", f"there is no schema {schema} in the database",
                "MapAble's tables are looked for there.",
                "Name the right one in DATABASE_URL: …?schema=NAME.",
            )
        ]
    if not usable[0]:
        return [
            error(
                "tables.schema", f"the role {role} may not use the schema {schema}", "Nothing in it can be read.",
                "As its owner run the SQL below.", spelled("grant usage on schema {} to {}", name(schema), name(role)),
            )
        ]
    arguments = {"schema": schema, "tables": list(needs)}
    async with conn.cursor(row_factory=class_row(Table)) as cursor:
        await cursor.execute(TABLES, arguments)
        tables = {table.name: table for table in await cursor.fetchall()}
    async with conn.cursor(row_factory=class_row(Column)) as cursor:
        await cursor.execute(COLUMNS, arguments)
        columns = {(column.table, column.name): column for column in await cursor.fetchall()}
    findings: list[Finding] = []
    for table, wanted in needs.items():
        of_table = {column: found for (name_, column), found in columns.items() if name_ == table}
        findings += judged(schema, role, wanted, tables.get(table), of_table)
    if not findings:
        findings.append(ok("tables", f"{len(needs)} tables of the schema {schema} are as mapped"))
    return findings


def judged(
    schema: str, role: str, wanted: Needs, table: Table | None, columns: Mapping[str, Column]
) -> Iterator[Finding]:
    """Yield what one table lacks; nothing when it is as needed."""
    if table is None or not table.plain:
        what = "there is no table" if table is None else "a view, or a table of another kind, is called"
        yield error(
            "table.missing", f"{what} {wanted.table} in the schema {schema}",
            "Its entity would stand still.",
            "Bring it back, name the right schema in DATABASE_URL (…?schema=NAME), or switch the entity off "
            "(NOTION_SYNC_…=false).",
        )
        return
    yield from _columns(wanted, columns)
    yield from _rights(schema, role, wanted, columns)
    yield from _identity(schema, wanted, table)
    if table.hides_rows:
        yield warning(
            "table.row_security", f"row security hides rows of {wanted.table} from the role {role}",
            "A row that can't be read counts as gone, and its page would follow it into the trash.",
            "Run the SQL below as a superuser, or give the role a policy that shows all rows.",
            spelled("alter role {} bypassrls", name(role)),
        )
    for column in wanted.followed:
        if column in columns and column not in table.led_by_index:
            yield warning(
                "table.index", f"{wanted.table}.{column} has no index",
                "Deleting a person, or a query for one person's records, reads the whole table.",
                "Run the SQL below; it blocks nobody, and can't run inside a transaction.",
                spelled("create index concurrently on {} ({})", name(schema, wanted.table), name(column)),
            )


def _columns(wanted: Needs, columns: Mapping[str, Column]) -> Iterator[Finding]:
    missing = [column for column in wanted.columns if column not in columns]
    if missing:
        yield error(
            "table.columns", f"{wanted.table} has no {', '.join(missing)}",
            "Its entity pauses until every mapped column is there.",
            "Bring the columns back, or correct the mapping (sinks/mapping/entities.py).",
        )
    for column, expected in wanted.columns.items():
        found = columns.get(column)
        if found is not None and not FITS[expected](found):
            yield error(
                "table.type", f"{wanted.table}.{column} is {found.type}, but {expected} is expected",
                "Its values can't be shown, or written, as the mapping says.",
                "Correct the mapping (sinks/mapping/entities.py), or change the column back.",
            )


def _rights(schema: str, role: str, wanted: Needs, columns: Mapping[str, Column]) -> Iterator[Finding]:
    wants = {"select": set(wanted.columns) - wanted.written_only, "update": wanted.update, "insert": wanted.insert}
    lacks = {
        "select": [each.name for each in columns.values() if each.name in wants["select"] and not each.readable],
        "update": [each.name for each in columns.values() if each.name in wants["update"] and not each.updatable],
        "insert": [each.name for each in columns.values() if each.name in wants["insert"] and not each.insertable],
    }
    for verb, lacking in lacks.items():
        grant, why = RIGHTS[verb]
        if lacking:
            yield error(
                f"table.{verb}", f"the role {role} may not {verb} {', '.join(lacking)} of {wanted.table}", why,
                "As the table's owner run the SQL below.",
                spelled(grant, names(lacking), name(schema, wanted.table), name(role)),
            )


def _identity(schema: str, wanted: Needs, table: Table) -> Iterator[Finding]:
    named = {"d": table.primary_key, "i": table.identity_key, "f": ["id"]}.get(table.identity, [])
    if "id" in named:
        return
    key = spelled("alter table {} add primary key (id)", name(schema, wanted.table))
    default = spelled("alter table {} replica identity default", name(schema, wanted.table))
    yield error(
        "table.identity",
        f"deletes and updates of {wanted.table} don't name the row in the log "
        + ("(no primary key)" if not table.primary_key else "(its replica identity)"),
        "They would be lost: a sweep finds them only a day later.",
        "As the table's owner run the SQL below.",
        *([] if table.primary_key else [key]), *([] if table.identity == "d" else [default]),
    )
