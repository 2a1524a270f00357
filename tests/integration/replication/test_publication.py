"""The publication: mapped columns and nothing else, right again after anybody's change, and never in MapAble's way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cdc.gathering import tables
from cdc.operate.doctor_publication import publication_found
from cdc.operate.findings import Finding, statements, troubles
from cdc.replication import publication
from cdc.replication.faults import PGOUTPUT
from cdc.replication.frames import XLogData
from cdc.replication.publication import Wanted
from deploy.local.demo import data
from sinks.mapping.entities import ENTITIES
from state.errors import FatalError, TransientError
from tests import canaries
from tests.integration.replication.source import WAIT_S, Source
from tests.plugins import PLUGINS

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('r', 'A risk', '', 'LOW', '', '', now())
"""
CHANGE: Final = """update "Risk" set title = 'Another' where id = 'r'"""


@dataclass(slots=True)
class Press:
    """A database whose publication is made and spoilt."""

    dsn: str = field(repr=False)
    conn: psycopg.AsyncConnection[Any] = field(repr=False)
    wanted: Wanted

    async def run(self, *queries: str) -> None:
        for query in queries:
            await self.conn.execute(query.replace("PUB", self.wanted.name).encode())

    async def published(self) -> dict[str, set[str]]:
        """Return the columns that are sent, by table."""
        found = await publication.look(self.conn, self.wanted)
        return {table.name: set(table.columns or ()) for table in found.published}

    async def ensured(self) -> str:
        return await publication.ensure(self.conn, self.wanted)

    async def found(self) -> tuple[Finding, ...]:
        return troubles(await publication_found(self.conn, self.wanted))


@pytest.fixture
async def press(mapable_dsn: str) -> AsyncIterator[Press]:
    async with await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn:
        mapped = tables(ENTITIES)
        yield Press(mapable_dsn, conn, Wanted(f"press_{secrets.token_hex(4)}", "public", mapped, mapped.keys()))


async def test_it_lists_the_mapped_columns_of_the_mapped_tables(press: Press) -> None:
    await press.ensured()

    listed = {table: set(columns) for table, columns in canaries.LISTED.items()}
    # a worker is read again when a name is looked up: the log only says which
    assert await press.published() == listed | {"Worker": {"id"}}
    assert await press.found() == ()


async def test_one_that_is_right_is_left_alone(press: Press) -> None:
    version = await press.ensured()

    assert await press.ensured() == version


@pytest.mark.parametrize(("spoilt", "told"), [
    ("drop publication PUB", "there is no publication"),
    ('alter publication PUB drop table "Risk"', "Risk is not published"),
    ('drop table "Risk" cascade; create table "Risk" (id text primary key, title text)', "Risk is not published"),
    ('alter table "Risk" drop column title cascade', "Risk is not published"),
    ('alter publication PUB set table "Risk"', "is published and not mapped"),
    ('alter publication PUB set table "Risk" (id)', "title of Risk is not published"),
    ('alter publication PUB drop table "Risk"; alter publication PUB add table "Risk" (id, title, description)',
     "description of Risk is published and not mapped"),
    ("""alter publication PUB drop table "Risk"; alter publication PUB add table "Risk" where (id <> 'r')""",
     "rows of Risk are left out"),
    ("alter publication PUB set (publish = 'insert')", "leaves kinds of changes out"),
])  # fmt: skip
async def test_whatever_it_lacks_is_told_and_made_right_again(press: Press, spoilt: str, told: str) -> None:
    before = await press.ensured()
    await press.run(*spoilt.split("; "))
    lacks = "; ".join(publication.lacking(press.wanted, await publication.look(press.conn, press.wanted)))

    after = await press.ensured()

    assert told in lacks
    assert not publication.amiss(press.wanted, await publication.look(press.conn, press.wanted))
    assert after != before


async def test_a_table_that_was_taken_out_and_put_back_is_noticed(press: Press) -> None:
    before = await press.ensured()
    await press.run('alter publication PUB drop table "Risk"')

    assert await press.ensured() != before


async def test_a_table_that_was_renamed_is_taken_out_of_the_publication_that_this_sync_read(press: Press) -> None:
    known = await press.ensured()
    await press.run('alter table "Risk" rename to "Danger"', 'create table "Risk" (like "Danger" including all)')
    lacks = set(publication.lacking(press.wanted, await publication.look(press.conn, press.wanted)))

    with pytest.raises(FatalError, match="holds what is not mapped: Danger"):
        # nobody knows whose it is
        await press.ensured()
    with pytest.raises(FatalError, match="holds what is not mapped: Danger"):
        await publication.ensure(press.conn, press.wanted, "1 1 1")
    version = await publication.ensure(press.conn, press.wanted, known)

    assert "Risk is not published" in lacks
    assert version != known
    assert (await press.published())["Risk"] == {"id", *canaries.LISTED["Risk"]}
    assert "Danger" not in await press.published()
    assert await press.found() == ()
    assert await press.ensured() == version


async def test_a_table_that_is_not_there_is_not_missed_until_it_is(press: Press) -> None:
    await press.run('drop table "Complaint" cascade')
    before = await press.ensured()
    await press.run('create table "Complaint" (id text primary key, status text)')

    assert "Complaint" not in before
    assert await press.ensured() != before
    assert (await press.published())["Complaint"] == {"id", "status"}


async def test_an_entity_that_is_off_may_be_published_and_need_not_be(press: Press) -> None:
    await press.ensured()
    needed = replace(press, wanted=replace(press.wanted, needed=frozenset({"User", "Worker"})))
    version = await needed.ensured()

    await press.run('alter publication PUB drop table "Risk"')

    assert await needed.ensured() != version
    assert await needed.found() == ()
    assert "Risk" not in await press.published()


@pytest.mark.parametrize("extended", [
    'alter publication PUB add table "Account"', "drop publication PUB; create publication PUB for all tables",
    "alter publication PUB add tables in schema elsewhere",
])  # fmt: skip
async def test_one_that_holds_more_is_not_read_and_not_changed(press: Press, extended: str) -> None:
    await press.run("create schema elsewhere; create table elsewhere.more (id int primary key)")
    await press.ensured()
    if "in schema" in extended:
        # lists of columns and whole schemas exclude each other
        await press.run("drop publication PUB; create publication PUB")
    await press.run(*extended.split("; "))
    before = await press.published()

    with pytest.raises(FatalError, match="holds what is not mapped"):
        await press.ensured()
    assert await press.published() == before
    (found,) = await press.found()
    assert found.code == "publication.foreign"
    await press.run(*found.sql)
    assert await press.found() == ()


@pytest.mark.parametrize("spoilt", [
    'alter table "Risk" replica identity full', 'alter table "Risk" replica identity nothing',
    'alter table "Risk" drop constraint "Risk_pkey" cascade',
])  # fmt: skip
async def test_a_table_whose_own_updates_would_fail_is_never_put_in(press: Press, spoilt: str) -> None:
    await press.run(RISK, *spoilt.split("; "))

    with pytest.raises(FatalError, match="Risk can't be updated by MapAble itself"):
        await press.ensured()
    await press.run(CHANGE)
    (blocks, *_) = await press.found()
    assert (blocks.code, "would fail" in blocks.why) == ("publication.blocks", True)
    await press.run(*blocks.sql)
    await press.ensured()
    await press.run(CHANGE)


async def test_one_that_is_in_the_way_of_an_update_is_told_with_the_way_out(press: Press) -> None:
    await press.ensured()
    await press.run(RISK, 'alter table "Risk" replica identity full')
    with pytest.raises(psycopg.errors.InvalidColumnReference):
        await press.run(CHANGE)

    with pytest.raises(FatalError, match="Risk can't be updated by MapAble itself"):
        await press.ensured()

    (blocks,) = await press.found()
    assert "fail:" in blocks.why
    await press.run(*blocks.sql, CHANGE)
    assert await press.found() == ()


async def test_a_role_that_may_not_is_told_who_may_and_what_to_run(press: Press) -> None:
    role = f"role_{secrets.token_hex(4)}"
    await press.run(f"create role {role} login password 'x'")
    try:
        dsn = make_conninfo(press.dsn, user=role, password="x")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            plain = replace(press, conn=conn)
            with pytest.raises(FatalError, match="the role may not make or change") as caught:
                await plain.ensured()
            found = await plain.found()
            await press.run(*statements(found))

            await plain.ensured()
            assert await plain.found() == ()
    finally:
        await press.run(f"drop role {role}")

    assert [each.code for each in found] == ["publication"]
    assert "doctor --fix-sql" in caught.value.hint


async def test_whoever_holds_a_table_is_not_waited_for(press: Press) -> None:
    async with await psycopg.AsyncConnection.connect(press.dsn) as other:
        await other.execute('lock table "Risk" in access exclusive mode')

        with pytest.raises(TransientError):
            await press.ensured()


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_with_pgoutput_what_is_not_mapped_never_reaches_the_process(press: Press, plugin: str) -> None:
    await press.ensured()
    source = Source(press.dsn, press.conn, press.wanted.name, plugin)
    await source.create_slot()
    with psycopg.connect(press.dsn) as app:
        data.load(app)
    with psycopg.connect(press.dsn, autocommit=True) as app:
        songs = canaries.plant(app)
        hashes = [row[0] for row in app.execute('select "passwordHash" from "User" where "passwordHash" is not null')]
    # every table's rows are changed and deleted once more, and with a key of their own
    await source.run('update "User" set phone = null', 'update "Risk" set id = id || \'-\'', 'delete from "Incident"')

    received = await everything(source)

    heard = {song for song in [*songs, *hashes] if song.encode() in received}
    assert len(received) > 50_000
    assert hashes
    if plugin == PGOUTPUT:
        # a goal is one value to the log: what of it may leave is the mapping's matter
        assert heard == {canaries.GOAL_CANARY}
    else:
        assert set(hashes) <= heard


async def everything(source: Source) -> bytes:
    """Return every byte that the server sends of what was committed so far."""
    end = await source.value("select (pg_current_wal_lsn() - '0/0')::int8")
    received = bytearray()
    async with source.stream(*tables(ENTITIES)) as stream, asyncio.timeout(WAIT_S):
        await source.run("select pg_logical_emit_message(true, 'mapable_cdc', 'end')")
        while True:
            for frame in await stream.read():
                if isinstance(frame, XLogData):
                    received += frame.payload
                    if frame.wal_end > end and b"mapable_cdc" in frame.payload:
                        return bytes(received)
