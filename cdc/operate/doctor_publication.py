"""`doctor`, the publication that pgoutput reads: whether it lists what is mapped and no more, or may be made so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, LiteralString

from cdc.operate.findings import Finding, error, ok
from cdc.operate.spelled import name, spelled
from cdc.replication import publication
from cdc.replication.publication import Found, Table, Wanted
from state.database import Connection

# Making one takes both of them, changing one the tables and that it is ours
MAY: Final[LiteralString] = """
select coalesce(bool_and(pg_has_role(c.relowner, 'USAGE')), true) as owns,
       has_database_privilege(current_database(), 'CREATE') as makes
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any (%(tables)s)
"""


async def publication_found(conn: Connection, wanted: Wanted) -> tuple[Finding, ...]:
    """Return how the publication stands."""
    found = await publication.look(conn, wanted)
    row = await (await conn.execute(MAY, {"schema": wanted.schema, "tables": list(wanted.mapped)})).fetchone()
    owns, makes = row if row is not None else (False, False)
    ours = found.publication.ours if found.publication is not None else makes
    return tuple(judged(wanted, found, may_change=owns and ours))


def judged(wanted: Wanted, found: Found, *, may_change: bool) -> Iterator[Finding]:
    """Yield what the publication lacks, and what of it is well."""
    mending = tuple(statement.as_string(None) for statement in publication.statements(wanted, found))
    for table in publication.blocked(wanted, found):
        yield _blocked(wanted, found, table)
    if strange := publication.foreign(wanted, found):
        yield error(
            "publication.foreign", f"the publication {wanted.name} holds what is not mapped: {', '.join(strange[:5])}",
            "What is not mapped is not to leave the server; `run` refuses to read it.",
            "Set REPLICATION_SLOT to a name of its own, if this publication is somebody else's; if it is this sync's, "
            "run the SQL below as its owner.", *mending,
        )
        return
    lacks = "; ".join(publication.lacking(wanted, found))
    if not lacks:
        sends = f"{len(found.published)} tables, mapped columns only"
        yield ok("publication", f"the publication {wanted.name} sends {sends}")
    elif may_change:
        yield ok("publication", f"the next `mapable-cdc run` makes the publication right: {lacks}")
    else:
        yield error(
            "publication", lacks, "pgoutput sends what a publication lists, and the role may not make or change it.",
            "As the owner of the tables run the SQL below.", *mending,
        )


def _blocked(wanted: Wanted, found: Found, table: Table) -> Finding:
    published = any((each.schema, each.name) == (wanted.schema, table.name) for each in found.published)
    identity = name(wanted.schema, table.name)
    mending = [spelled("alter table {} replica identity default", identity)]
    if not table.has_key:
        mending.insert(0, spelled("alter table {} add primary key (id)", identity))
    return error(
        "publication.blocks",
        f"{table.name} {'is' if published else 'has to be'} published, and its replica identity is not its primary key",
        f"MapAble's own updates and deletes of it {'fail' if published else 'would fail'}: a published table has to "
        "name its rows by published columns.",
        "As the table's owner run the SQL below.", *mending,
    )
