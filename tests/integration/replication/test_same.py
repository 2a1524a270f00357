"""Both plugins on one and the same log: every transaction comes out alike, value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg

from cdc.gathering import tables
from cdc.replication.faults import PGOUTPUT
from cdc.replication.faults import PLUGIN as WAL2JSON
from cdc.replication.port import Event, Kind, LogicalMessage, RowChange, Truncate
from deploy.local.demo import data
from sinks.mapping.entities import ENTITIES
from tests import canaries
from tests.integration.replication.source import Source, Transaction
from tests.plugins import wal2json_only

pytestmark = wal2json_only

TYPES: Final = """
create type mood as enum ('Happy', 'so "so"', '');
create domain truth as boolean;
create domain postcode as text check (value ~ '^[0-9]{4}$');
create table "Typed" (
    id text primary key, t text, v varchar(20), c char(5), n numeric(12,2), e numeric, s smallint, i integer, b bigint,
    r real, d double precision, yes boolean, ts timestamp(3), tz timestamptz, day date, clock time, span interval,
    j json, jb jsonb, many text[], numbers integer[], moods mood[], m mood, raw bytea, u uuid, address inet,
    p postcode, bits bit varying, span_of int4range, place point, x xml, cash money, vector tsvector, sure truth
);
create table "Counted" (id bigint primary key, t text);
alter table "Typed" alter t set storage external;
"""
VALUES: Final = """
insert into "Typed" values ('full', E'a"b\\\\c\\n\\t\\u2028🦘 Ünïcödé', 'v', 'ab', 10.50, 1e-20, -1, 2147483647,
    -9223372036854775808, 0.1, 1e300, true, '2026-11-22 10:00:00.123', '2026-11-22 21:00:00.123456+11',
    '0044-03-15 BC', '23:59:59.999999',
    '1 year -2 days 3.5 s', '{ "a" : 1.0 }', '{"b": [1e3, 0.10, null, "é"], "a": {}}',
    '{a,"b,c",NULL,"",NULL,"\\""}',
    '{1,NULL,3}', '{Happy,"so \\"so\\""}', 'so "so"', '\\xdeadbeef00', '00000000-0000-0000-0000-000000000001',
    '10.0.0.1/8', '2000', '101', '[1,5)', '(1,2.5)', '<a>1</a>', '1234.56', 'a b', true);
insert into "Typed" (id) values ('nothing');
insert into "Typed" (id, t, v, c, m, j, jb, many, numbers, yes, ts, tz, day)
    values ('', '', '', '', '', '""', '""', '{}', '{}', false, 'infinity', '-infinity', 'infinity');
insert into "Counted" values (9223372036854775807, 'x'), (0, null);
"""
STORY: Final = (
    VALUES,
    """update "Typed" set t = null where id = 'full'; update "Typed" set yes = not yes""",
    # stored apart, and left out where it is not changed
    """insert into "Typed" (id, t, i) values ('long', repeat('a long 🦘 story. ', 8000), 1)""",
    """update "Typed" set i = 2 where id = 'long'""",
    """update "Typed" set t = t || '.' where id = 'long'""",
    """update "Typed" set id = 'longer' where id = 'long'; update "Counted" set id = -1 where id = 0""",
    """delete from "Typed" where id = 'nothing'; insert into "Typed" (id, t) values ('nothing', 'again')""",
    """begin; insert into "Counted" values (5); savepoint s; insert into "Counted" values (6);
       rollback to savepoint s; update "Counted" set t = 'y' where id = 5; commit""",
    """begin; insert into "Counted" values (7); rollback""",
    """alter table "Counted" add column later text default 'there'; update "Counted" set t = 'z' where id = 5""",
    """alter table "Counted" replica identity full""",
    """update "Counted" set t = 'old row' where id = 5; update "Counted" set id = 8 where id = 5""",
    """delete from "Counted" where id = 8""",
    """select pg_logical_emit_message(true, 'mapable_cdc', 'write-back');
       select pg_logical_emit_message(true, 'other', 'x')""",
    """create table elsewhere (a int); select pg_current_xact_id()""",
    """insert into "Counted" select n, repeat('🦘', n % 50) from generate_series(10, 20009) n""",
    """truncate "Typed", "Counted" cascade""",
)


async def read(source: Source, listed: Mapping[str, Sequence[str]]) -> list[Transaction]:
    """Return all that a slot has, but transactions with nothing of ours in them: pgoutput leaves empty ones out."""
    async with source.stream(*listed) as stream:
        seen = await source.read(stream, listed)
    return [transaction for transaction in seen if any(map(is_told, transaction.events))]


def is_told(event: Event) -> bool:
    """Whether it is more than the mark of another reader."""
    return not (isinstance(event, LogicalMessage) and event.content.startswith("mark "))


async def columns(source: Source) -> Mapping[str, Sequence[str]]:
    """Return every column of every table."""
    cursor = await source.conn.execute(
        "select table_name, array_agg(column_name::text) from information_schema.columns"
        " where table_schema = 'public' group by table_name"
    )
    return dict(await cursor.fetchall())


async def test_everything_that_can_happen_comes_out_alike(mapable_dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn:
        source, other = Source(mapable_dsn, conn, plugin=WAL2JSON), Source(mapable_dsn, conn, plugin=PGOUTPUT)
        await source.run(TYPES)
        for each in (source, other):
            await each.create_slot()
        await source.run(*STORY)
        listed = {"Typed": (await columns(source))["Typed"], "Counted": ("t", "later")}

        seen, same = await read(source, listed), await read(other, listed)

    events = [event for transaction in seen for event in transaction.events]
    kinds = {event.kind for event in events if isinstance(event, RowChange)}
    assert kinds == set(Kind)
    assert sum(isinstance(event, Truncate) for event in events) == 2
    assert len(events) > 20_000
    # TOAST: left out where it is unchanged, by both
    assert any("t" not in event.values for event in events if isinstance(event, RowChange) and event.table == "Typed")
    assert [transaction.commit for transaction in same] == [transaction.commit for transaction in seen]
    for one, another in zip(seen, same, strict=True):
        assert another.events == one.events


async def test_all_of_mapable_comes_out_alike(mapable_dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn:
        source, other = Source(mapable_dsn, conn, plugin=WAL2JSON), Source(mapable_dsn, conn, plugin=PGOUTPUT)
        # it has no key, and could not be updated while it is published
        await source.run('alter table "VerificationToken" add primary key (token)')
        for each in (source, other):
            await each.create_slot()
        listed = await columns(source)
        with psycopg.connect(mapable_dsn) as app:
            data.load(app)
        with psycopg.connect(mapable_dsn, autocommit=True) as app:
            canaries.plant(app)
        await source.run('delete from "PaymentTransaction"', 'truncate "User" cascade')

        seen, same = await read(source, listed), await read(other, listed)

    assert listed.keys() >= tables(ENTITIES).keys()
    assert sum(len(transaction.events) for transaction in seen) > 500
    assert [transaction.commit for transaction in same] == [transaction.commit for transaction in seen]
    for one, another in zip(seen, same, strict=True):
        assert another.events == one.events
