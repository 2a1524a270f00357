"""Capture: row changes through the decoder alone, and all the way into the durable queue.

Beside them pg_recvlogical, which throws away what it reads (the floor), and psycopg2's consumer with json. Each reads a
slot of its own over the same log, with the same options of the plugin; each in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cdc.gathering import tables
from cdc.replication import wal2json
from sinks.mapping.entities import ENTITIES
from state.database import conninfo
from state.migrations import migrate
from tests.bench import peers
from tests.bench.ground import ROOT, Connection, Ground, connected, value, wal_end
from tests.bench.report import Line, Run

RUNS: Final = 3
FLOOR_OR_BETTER: Final = 0.9
DURABLE_SHARE: Final = 0.5
TIMESTAMPS_SHARE: Final = 0.25
OWN_WAL_BYTES: Final = 400
SCHEMAS: Final = {"durable": "notion_sync", "timestamps": "notion_sync_columns"}
SLOTS: Final = ("floor", "psycopg2", "decode", *SCHEMAS)
IN_ONE: Final = 10

INSERT: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select 'cl' || substr(md5(n::text), 1, 23), 'Risk number ' || n, repeat('words ', 20), 'LOW', 'Home', 'Ada', now()
from generate_series(1, {rows}) n
"""
UPDATE: Final = """update "Risk" set title = title || '!', "updatedAt" = now()"""
# A procedure that commits by itself: what a driver sends in a pipeline would be one transaction
UPDATE_BY_TEN: Final = """
do $$ begin
    for n in 0..{transactions} - 1 loop
        update "Risk" set title = title || '?', "updatedAt" = now()
        where id = any (array(
            select 'cl' || substr(md5(k::text), 1, 23) from generate_series(n * 10 + 1, n * 10 + 10) k
        ));
        commit;
    end loop;
end $$
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One way of changing rows."""

    name: str
    told: str
    statement: str


def cases(rows: int) -> tuple[Case, ...]:
    """Return them in the order in which they have to come."""
    return (
        Case("inserts", f"{rows:,} inserts in one transaction", INSERT.format(rows=rows)),
        Case("bulk", f"{rows:,} updates in one transaction", UPDATE),
        Case(
            "small", f"{rows:,} updates in {rows // IN_ONE:,} transactions",
            UPDATE_BY_TEN.format(transactions=rows // IN_ONE),
        ),
    )


async def once(ground: Ground) -> Run:
    """Measure every reader on every case."""
    rows = ground.sized(200_000, 20_000)
    python = await peers.psycopg2()
    figures: dict[str, float] = {"rows": rows}
    with ground.database() as dsn:
        for schema in SCHEMAS.values():
            info = conninfo(dsn, schema=schema, application_name="bench", statement_timeout_s=60)
            async with connected(info) as conn:
                await migrate(conn, schema)
        async with connected(dsn) as conn:
            for case in cases(rows):
                measured = await _measured(ground, dsn, conn, case, rows, python)
                figures |= {f"{case.name}.{name}": figure for name, figure in measured.items()}
    return Run(figures)


async def _measured(
    ground: Ground, dsn: str, conn: Connection, case: Case, rows: int, python: str | None
) -> dict[str, float]:
    for schema in SCHEMAS.values():
        # what was marked before was worked off; what is known of the rows stays
        await conn.execute(f"truncate {schema}.work".encode())
    await conn.execute("vacuum analyze")
    for slot in SLOTS:
        await conn.execute("select pg_create_logical_replication_slot(%s, 'wal2json')", (slot,))
    await conn.execute("checkpoint")
    await conn.execute("set synchronous_commit = off")
    await conn.execute(case.statement.encode())
    await conn.execute("set synchronous_commit = on")
    end = await wal_end(conn)
    end_text = await value(conn, "select ('0/0'::pg_lsn + %(end)s::numeric)::text", end=end)
    # something after the end, so that every reader gets there
    await conn.execute("select pg_logical_emit_message(true, 'bench', '')")
    await conn.execute('update "Risk" set title = title where id = (select min(id) from "Risk")')
    options = wal2json.options("public", tables(ENTITIES))
    floor_s = await peers.floor_s(str(ground.server.bin_dir / "pg_recvlogical"), dsn, "floor", end_text, options)
    found = {"floor": rows / floor_s}
    if python is not None:
        took_s = await peers.psycopg2_s(python, dsn, "psycopg2", end, options)
        found |= {"psycopg2": rows / took_s, "psycopg2.share": floor_s / took_s}
    for way in ("decode", *SCHEMAS):
        before = await wal_end(conn)
        took = await _read(dsn, way, end)
        found |= {
            way: rows / took["took_s"],
            f"{way}.share": floor_s / took["took_s"],
            f"{way}.cpu_us": took["cpu_s"] / rows * 1e6,
            f"{way}.peak_mb": took["peak_bytes"] / 1e6,
            f"{way}.wal": (await wal_end(conn) - before) / rows,
        }
    for slot in SLOTS:
        await conn.execute("select pg_drop_replication_slot(%s)", (slot,))
    return found


async def _read(dsn: str, way: str, end: int) -> Mapping[str, Any]:
    """Run one of our readers to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.reading", way, way, str(end), SCHEMAS.get(way, "none"), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "BENCH_DSN": dsn},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"the reader {way} failed"
    measured: dict[str, Any] = json.loads(said)
    return measured


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    for case in cases(int(found["rows"])):
        def per_s(who: str, case: Case = case) -> str:
            return f"{found[f'{case.name}.{who}']:,.0f}/s" if f"{case.name}.{who}" in found else "not to be had"

        beside = f"pg_recvlogical {per_s('floor')}, psycopg2 + json {per_s('psycopg2')}"
        for way, told, share in (
            ("decode", "decode alone", FLOOR_OR_BETTER),
            ("durable", "into the queue", DURABLE_SHARE),
            ("timestamps", "the same, timestamp-based", TIMESTAMPS_SHARE),
        ):
            reached = found[f"{case.name}.{way}.share"]
            cpu = f"{found[f'{case.name}.{way}.cpu_us']:.0f} us CPU"
            yield Line(
                f"{case.told}: {told}", f"{per_s(way)} = {reached:.2f} of the floor, {cpu} a change", beside,
                f">= {share}", reached >= share,
            )
        for way, told in (("durable", ""), ("timestamps", ", timestamp-based")):
            wal = found[f"{case.name}.{way}.wal"]
            yield Line(
                f"{case.told}: WAL of our own{told}", f"{wal:.0f} bytes a row", "", f"<= {OWN_WAL_BYTES}",
                wal <= OWN_WAL_BYTES,
            )
