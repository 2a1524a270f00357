"""Writes role.sql from the mapping: `python -m deploy.sql.role > deploy/sql/role.sql`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Final

from cdc.gathering import LOOKUP_TABLES, tables
from sinks.mapable.columns import insertable, writable
from sinks.mapping.entities import CREATABLE, ENTITIES, columns_of
from sinks.mapping.model import Column, Entity

LOOKED_UP: Final[Mapping[str, tuple[str, ...]]] = {"User": ("id", "name", "email"), "Worker": ("id", "userId")}
"""What is read of rows that pages show by name only (`sinks.mapable.rows`)."""

ROLE: Final = ':"role"'

HEAD: Final = """\
-- The role of mapable-cdc with the least it can work with. Made from the mapping by `python -m deploy.sql.role`.
--
--   psql -d mapable -v role=mapable_cdc -v schema=public -v state_schema=notion_sync -f role.sql
--   psql -d mapable -c '\\password mapable_cdc'
--
-- Run it as a superuser; again, whenever the mapping or a line below has changed: it takes back what is not listed.
-- -v create_rows=on adds what NOTION_CREATE_ROWS needs; -v publication=mapable_cdc, the name of REPLICATION_SLOT, makes
-- what REPLICATION_PLUGIN=pgoutput reads (Postgres 15 or newer).
--
-- REPLICATION has no columns: this role, and whoever steals its password, can stream every column of every table of
-- this server's log. With pgoutput the process is sent mapped columns only; with wal2json the others are thrown away in
-- it, before anything is kept.

\\set ON_ERROR_STOP on
\\if :{?role}
\\else
    \\set role mapable_cdc
\\endif
\\if :{?schema}
\\else
    \\set schema public
\\endif
\\if :{?state_schema}
\\else
    \\set state_schema notion_sync
\\endif
\\if :{?create_rows}
\\else
    \\set create_rows off
\\endif

begin;

select format('create role %I', :'role')
where not exists (select from pg_roles where rolname = :'role') \\gexec
alter role :"role" login replication nosuperuser nocreatedb nocreaterole nobypassrls;

-- Its own schema: queue, links, what was agreed, audit log. Not `create` on the database
create schema if not exists :"state_schema" authorization :"role";
select format('grant connect on database %I to %I', current_database(), :'role') \\gexec
grant usage on schema :"schema" to :"role";

-- What an earlier version of this file gave
revoke all on all tables in schema :"schema" from :"role";
"""


def rendered() -> str:
    """Return the whole file."""
    creatable = [entity for entity in ENTITIES if entity.name in CREATABLE]
    return "\n".join(
        [
            HEAD,
            "-- Read: mapped columns, and of people the names that pages show",
            *(_grant("select", columns, table) for table, columns in readable().items()),
            "",
            "-- Write: two-way columns, and the time of the last change that the application keeps",
            *(_grant("update", columns, entity.table) for entity in ENTITIES if (columns := writable(entity))),
            "",
            "-- Fields that NOTION_SHARED_FIELDS opens. Take away the dashes before those that yours names",
            *(f"-- {_grant('update', opened(entity), entity.table)}" for entity in ENTITIES if opened(entity)),
            "",
            "-- Rows for pages that people made",
            "\\if :create_rows",
            *(f"    {_grant('insert', insertable(entity), entity.table)}" for entity in creatable),
            "\\endif",
            "",
            "-- What pgoutput sends. MapAble can't drop these columns, or change their type, while they are listed",
            "\\if :{?publication}",
            "    select format('create publication %I', :'publication')",
            "    where not exists (select from pg_publication where pubname = :'publication') \\gexec",
            '    alter publication :"publication" set table',
            ",\n".join(f"        {_table(table)} ({_names(columns)})" for table, columns in published().items()) + ";",
            "\\endif",
            "",
            "commit;",
            "",
        ]
    )


def readable() -> Mapping[str, tuple[str, ...]]:
    """Return the columns that the product selects, by table."""
    found: dict[str, tuple[str, ...]] = {table: LOOKED_UP[table] for table in LOOKUP_TABLES}
    for entity in ENTITIES:
        found[entity.table] = tuple(dict.fromkeys((*columns_of(entity), *found.get(entity.table, ()))))
    return found


def published() -> Mapping[str, tuple[str, ...]]:
    """Return the columns that are decoded, by table."""
    return {table: tuple(sorted(columns)) for table, columns in tables(ENTITIES).items()}


def opened(entity: Entity) -> tuple[str, ...]:
    """Return the columns that an operator may make two-way."""
    columns = [field.source.name for field in entity.fields if field.openable and isinstance(field.source, Column)]
    return tuple(columns)


def _table(name: str) -> str:
    return f':"schema"."{name}"'


def _grant(right: str, columns: Iterable[str], table: str) -> str:
    return f"grant {right} ({_names(columns)}) on {_table(table)} to {ROLE};"


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


if __name__ == "__main__":
    sys.stdout.write(rendered())
