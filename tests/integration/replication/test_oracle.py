"""Postgres as the oracle of the decoder: what it prints as text for a value is what comes out of the stream."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cdc.replication.port import Kind
from tests.integration.replication.source import Source, Transaction
from tests.plugins import PLUGINS

# Neither U+0000 nor lone surrogates can be in a Postgres text.
TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
# An example costs a slot, so that making a failing one smaller would take longer than a test may.
ON_A_SERVER: Final = settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LAST: Final = datetime(9999, 12, 30)  # noqa: DTZ001 - hypothesis wants its bounds without a zone
COLUMNS: Final[Mapping[str, tuple[str, st.SearchStrategy[Any]]]] = {
    "label": ("text", TEXTS),
    "money": ("numeric(12,2)", st.decimals(-9_999_999_999, 9_999_999_999, places=2)),
    "exact": ("numeric", st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 900)),
    "real": ("float8", st.floats(allow_nan=False, allow_infinity=False)),
    "small": ("integer", st.integers(-(2**31), 2**31 - 1)),
    "big": ("bigint", st.integers(-(2**63), 2**63 - 1)),
    "flag": ("boolean", st.booleans()),
    # not the very last day: rounding to milliseconds would leave the years that Python has
    "moment": ("timestamp(3)", st.datetimes(max_value=LAST)),
    "instant": ("timestamptz", st.datetimes(max_value=LAST, timezones=st.just(UTC))),
    "day": ("date", st.dates()),
    "document": ("jsonb", st.recursive(st.none() | st.booleans() | st.integers() | TEXTS,
                                       lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)).map(Jsonb)),
    "many": ("text[]", st.lists(TEXTS | st.none())),
}  # fmt: skip
ROW: Final = st.fixed_dictionaries({name: st.none() | made for name, (_, made) in COLUMNS.items()})
ROWS: Final = st.lists(ROW, max_size=8)

CREATE: Final = f"create table oracle (id text primary key, {', '.join(f'{n} {t}' for n, (t, _) in COLUMNS.items())})"
INSERT: Final = f"insert into oracle values (%(id)s, {', '.join(f'%({name})s' for name in COLUMNS)})"  # noqa: S608
SHOW: Final = f"select id, {', '.join(f'{n}::text' for n in COLUMNS)} from oracle where id = any(%(ids)s)"  # noqa: S608
PINNED: Final = "set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1"


@pytest.mark.parametrize("plugin", PLUGINS)
@settings(ON_A_SERVER)
@given(ROWS, ROWS)
async def test_every_value_comes_out_as_postgres_prints_it(
    mapable_dsn: str, plugin: str, rows: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    async with await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as conn:
        source = Source(mapable_dsn, conn, plugin=plugin)
        await source.run(PINNED, "drop table if exists oracle", CREATE)
        await source.create_slot()
        expected = [await _written(source, batch) for batch in (rows, later) if batch]
        async with source.stream("oracle") as stream:
            seen = await source.read(stream, {"oracle": tuple(COLUMNS)})
        await source.value(f"select pg_drop_replication_slot('{source.slot}')")

    assert [_shown(transaction) for transaction in seen if transaction.rows] == expected


# What one of three writers does in one transaction; keys of one writer are its own, so that nobody waits for another.
STEPS: Final = st.lists(
    st.sampled_from((
        "insert into ledger values ('{w}', {n}) on conflict (id) do update set n = excluded.n",
        "insert into ledger values ('{w}-b', {n}) on conflict do nothing",
        "update ledger set n = n + {n} where id like '{w}%'",
        "delete from ledger where id = '{w}'",
        "delete from ledger where id = '{w}'; insert into ledger values ('{w}', {n})",
        "delete from ledger where id = '{w}-c'; update ledger set id = '{w}-c' where id = '{w}-b'",
        "savepoint s; delete from ledger where id like '{w}%'; rollback to savepoint s",
    )),
    min_size=1, max_size=4,
)  # fmt: skip
WRITERS: Final = 3
ENDS: Final = st.sampled_from(("commit", "commit", "commit", "rollback"))
TURNS: Final = st.lists(st.tuples(st.integers(0, WRITERS - 1), STEPS, ENDS | st.none()), min_size=1, max_size=25)


@pytest.mark.parametrize("plugin", PLUGINS)
@settings(ON_A_SERVER)
@given(TURNS)
async def test_replaying_the_stream_gives_the_table_whoever_wrote_in_between(
    mapable_dsn: str, plugin: str, turns: list[tuple[int, list[str], str | None]]
) -> None:
    async with AsyncExitStack() as stack:
        conn = await stack.enter_async_context(await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True))
        source = Source(mapable_dsn, conn, plugin=plugin)
        await source.run("drop table if exists ledger", "create table ledger (id text primary key, n bigint)")
        await source.create_slot()
        writers = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(mapable_dsn)) for _ in range(WRITERS)
        ]
        for number, (who, steps, end) in enumerate(turns):
            for step in steps:
                await writers[who].execute(step.format(w=f"w{who}", n=number).encode())
            if end is not None:
                await writers[who].execute(end.encode())
        for writer in writers:
            await writer.commit()
        async with source.stream("ledger") as stream:
            seen = await source.read(stream, {"ledger": ("n",)})
        table: dict[str | None, object] = dict(await (await conn.execute("select id, n::text from ledger")).fetchall())
        await source.value(f"select pg_drop_replication_slot('{source.slot}')")

    assert _replayed(seen) == table


async def _written(source: Source, rows: list[dict[str, Any]]) -> dict[str, dict[str, object]]:
    """Insert the rows in one transaction and return what Postgres prints for them, by key."""
    keys = [secrets.token_hex(4) for _ in rows]
    async with source.conn.transaction():
        for key, row in zip(keys, rows, strict=True):
            await source.conn.execute(INSERT.encode(), {**row, "id": key})
        async with source.conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(SHOW.encode(), {"ids": keys})
            shown = await cursor.fetchall()
    flags = {"true": True, "false": False, None: None}
    return {row["id"]: {**row, "flag": flags[row["flag"]]} for row in shown}


def _shown(transaction: Transaction) -> dict[str | None, dict[str, object]]:
    return {row.key: dict(row.values) for row in transaction.rows}


def _replayed(transactions: list[Transaction]) -> dict[str | None, object]:
    table: dict[str | None, object] = {}
    for row in (row for transaction in transactions for row in transaction.rows):
        table.pop(row.old_key or row.key, None)
        if row.kind is not Kind.DELETE:
            table[row.key] = row.values["n"]
    return table
