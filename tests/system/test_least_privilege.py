"""The service under exactly the role that deploy/sql/role.sql makes: it does all its work, and may do nothing else."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cdc.gathering import tables
from cdc.operate.doctor_publication import publication_found
from cdc.operate.findings import ok
from cdc.replication import publication
from cdc.replication.publication import Wanted
from deploy.local.binaries import find
from deploy.local.commands import environment, output_of
from deploy.local.server import PostgresServer
from deploy.sql.role import readable
from sinks.mapable.columns import insertable, writable
from sinks.mapping.entities import CREATABLE, ENTITIES
from tests.system.conftest import copied
from tests.system.scene import Scene, staged
from tests.system.service import command

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE: Final = Path(__file__).resolve().parents[2] / "deploy" / "sql" / "role.sql"
CLOSED: Final = ("User", "passwordHash"), ("User", "phone"), ("Worker", "taxFileNumber"), ("Incident", "reportedBy")

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'Old title', '', 'LOW', 'Access', '', '2026-01-01')
"""
CARE_PLAN: Final = """
insert into "User" (id, name, email, role, "updatedAt") values ('w-user', 'Wendy', 'w@example.org', 'USER', now());
insert into "Worker" (id, "userId", "updatedAt") values ('w', 'w-user', now());
insert into "CarePlan" (id, "participantId", "workerId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
values ('cp', 'w-user', 'w', 'Daily living', '[]', '[]', now(), now(), 'Active', now())
"""
SECRET: Final = """
insert into "User" (id, email, "passwordHash", "updatedAt") values ('s', 's@example.org', 'closed-to-selects', now())
"""
PEEK: Final = "select data from pg_logical_slot_peek_changes(%(slot)s, null, null)"
RIGHTS: Final = """
select c.relname, a.attname, r.name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
cross join unnest(array['SELECT', 'INSERT', 'UPDATE']) as r (name)
where n.nspname = 'public' and c.relkind = 'r' and has_column_privilege(%(role)s, c.oid, a.attnum, r.name)
"""
DELETES: Final = """
select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind = 'r' and has_table_privilege(%(role)s, c.oid, 'DELETE, TRUNCATE')
"""


def apply(dsn: str, **variables: str) -> None:
    """Run the file as an operator does."""
    binaries = find()
    program = binaries.program("psql") if binaries else shutil.which("psql")
    if program is None:
        pytest.skip("there is no psql here: apt-get install postgresql-client")
    parts = conninfo_to_dict(dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    output_of(
        [program, "-X", "-q", *given, "-f", FILE],
        env=environment() | {names[key]: str(value) for key, value in parts.items() if key in names},
    )


@pytest.fixture(scope="module")
def role(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a role for this file alone: roles belong to the whole server."""
    name = f"mapable_cdc_{secrets.token_hex(4)}"
    yield name
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def role_dsn(role: str, postgres_server: PostgresServer, mapable_template: str) -> Iterator[tuple[str, str]]:
    """The URLs of one MapAble database: the superuser's, and that of the role which the file has made."""
    with copied(postgres_server, mapable_template) as dsn:
        apply(dsn, role=role)
        # a second time, to more: that is how an operator opens what it leaves closed
        apply(dsn, role=role, create_rows="on", publication=role)
        password = secrets.token_hex(16)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(
                sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
            )
        parts = urlsplit(dsn)
        netloc = f"{role}:{password}@{parts.netloc.rpartition('@')[2]}"
        yield dsn, urlunsplit(parts._replace(netloc=netloc))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(role: str, role_dsn: tuple[str, str]) -> AsyncIterator[Scene]:
    """A service that has nothing but the role."""
    dsn, own = role_dsn
    async with staged(
        dsn, DATABASE_URL=own, NOTION_REVERT_GRACE_SECONDS="0.2", NOTION_CREATE_ROWS="risk", NOTION_POLL_SECONDS="0.2",
        REPLICATION_SLOT=role,
    ) as scene:
        yield scene


async def test_a_row_gets_its_page_and_an_edit_comes_back(scene: Scene) -> None:
    await scene.run(RISK, id="r1")
    await scene.until(lambda: scene.page("Risks", "r1") is not None)
    await scene.settled()

    scene.sandbox.people.edit(scene.page_id("Risks", "r1"), {"Title": "New title"})

    await scene.until_true("""select title = 'New title' and "updatedAt" > '2026-02-01' from "Risk" where id = 'r1'""")


async def test_people_are_shown_by_name(scene: Scene) -> None:
    await scene.run(CARE_PLAN)

    await scene.until(lambda: scene.shows("Care Plans", "cp", Worker="Wendy"))

    await scene.run("""update "User" set name = 'Wendy W' where id = 'w-user'""")
    await scene.until(lambda: scene.shows("Care Plans", "cp", Worker="Wendy W"))


async def test_a_page_that_a_person_made_becomes_a_row(scene: Scene) -> None:
    await scene.participant("p0", "Olive")

    scene.sandbox.people.create("Risks", {
        "Title": "Loose rug", "Risk Level": "LOW", "Status": "IDENTIFIED", "Category": "Home",
        "Participant": [scene.page_id("Participants", "p0")],
    })

    await scene.until_true(
        """select exists (select from "Risk" where title = 'Loose rug' and "participantId" = 'p0')"""
    )


async def test_a_field_that_the_file_leaves_closed_pauses_nothing_else(scene: Scene) -> None:
    """An edit of a field that is MapAble's is put back, which takes no right to write."""
    await scene.participant("p1", "Amelia")

    scene.sandbox.people.edit(scene.page_id("Participants", "p1"), {"Email": "else@example.org"})

    await scene.until(lambda: scene.shows("Participants", "p1", Email="p1@example.org"))


async def test_doctor_misses_no_right(scene: Scene) -> None:
    _, out, _ = await command(scene.env, "doctor", "--json")

    told = json.loads(out)
    assert told["errors"] == 0
    assert not [finding for finding in told["findings"] if "grant " in json.dumps(finding).lower()]


async def test_the_publication_that_the_file_makes_is_what_pgoutput_wants(role: str, role_dsn: tuple[str, str]) -> None:
    mapped = tables(ENTITIES)
    async with await psycopg.AsyncConnection.connect(role_dsn[1], autocommit=True) as conn:
        wanted = Wanted(role, "public", mapped, mapped.keys())
        found = await publication.look(conn, wanted)

        assert await publication.ensure(conn, wanted) == found.version
        assert await publication_found(conn, wanted) == (
            ok("publication", f"the publication {role} sends {len(mapped)} tables, mapped columns only"),
        )


async def test_the_role_may_do_what_the_mapping_needs_and_no_more(scene: Scene, role: str) -> None:
    found = await (await scene.db.execute(RIGHTS.encode(), {"role": role})).fetchall()

    wanted = {(table, column, "SELECT") for table, columns in readable().items() for column in columns}
    wanted |= {(entity.table, column, "UPDATE") for entity in ENTITIES for column in writable(entity)}
    wanted |= {
        (entity.table, column, "INSERT")
        for entity in ENTITIES if entity.name in CREATABLE
        for column in insertable(entity)
    }
    assert set(found) == wanted
    assert await scene.value(DELETES, role=role) == 0


@pytest.mark.parametrize(("table", "column"), CLOSED)
async def test_a_column_that_is_not_mapped_cannot_be_selected(
    role_dsn: tuple[str, str], table: str, column: str
) -> None:
    query = sql.SQL("select {} from {}").format(sql.Identifier(column), sql.Identifier("public", table))
    async with await psycopg.AsyncConnection.connect(role_dsn[1]) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(query)


async def test_replication_reads_every_column_whatever_is_granted(role_dsn: tuple[str, str]) -> None:
    """No promise, but what the README says plainly: no grant keeps a REPLICATION role from the log."""
    slot = {"slot": f"thief_{secrets.token_hex(6)}"}
    async with (
        await psycopg.AsyncConnection.connect(role_dsn[0], autocommit=True) as db,
        await psycopg.AsyncConnection.connect(role_dsn[1], autocommit=True) as thief,
    ):
        await thief.execute("select pg_create_logical_replication_slot(%(slot)s, 'test_decoding', true)", slot)
        await db.execute(SECRET)
        changes = await (await thief.execute(PEEK, slot)).fetchall()

    assert "closed-to-selects" in str(changes)


async def test_no_other_schema_can_be_made(role_dsn: tuple[str, str]) -> None:
    async with await psycopg.AsyncConnection.connect(role_dsn[1]) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("create schema another")
