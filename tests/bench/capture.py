"""Capture: row changes through the decoder alone, and all the way into the durable queue.

Beside them pg_recvlogical, which throws away what it reads (the floor), and psycopg2's consumer with json. Each reads a
slot of its own over the same log, with the same options of the plugin; each in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cdc.gathering import tables
from cdc.replication import publication, wal2json
from cdc.replication.faults import PGOUTPUT
from cdc.replication.plugins import reading
from cdc.replication.publication import Wanted
from sinks.mapping.entities import ENTITIES
from state.database import conninfo
from state.migrations import migrate
from tests.bench import peers
from tests.bench.ground import ROOT, Connection, Ground, connected, value, wal_end
from tests.bench.machine import server_cpu_s
from tests.bench.reading import PUBLICATION
from tests.bench.report import Line, Run

RUNS: Final = 3
FLOOR_OR_BETTER: Final = 0.9
DURABLE_SHARE: Final = 0.5
TIMESTAMPS_SHARE: Final = 0.25
OWN_WAL_BYTES: Final = 400
WAL2JSON: Final = "wal2json"
NO_SCHEMA: Final = "none"


class Way(NamedTuple):
    """One of our readers: what it does, with which plugin, against which floor, into which schema of its own."""

    told: str
    does: str
    plugin: str
    floor: str
    schema: str
    share: float | None


WAYS: Final[Mapping[str, Way]] = {
    "decode": Way("decode alone", "decode", WAL2JSON, "floor", NO_SCHEMA, FLOOR_OR_BETTER),
    "durable": Way("into the queue", "durable", WAL2JSON, "floor", "notion_sync", DURABLE_SHARE),
    "timestamps": Way(
        "the same, timestamp-based", "timestamps", WAL2JSON, "floor", "notion_sync_columns", TIMESTAMPS_SHARE
    ),
    "pg_decode": Way("decode alone, pgoutput", "decode", PGOUTPUT, "pg_floor", NO_SCHEMA, None),
    "pg_durable": Way("into the queue, pgoutput", "durable", PGOUTPUT, "pg_floor", "notion_sync_pgoutput", None),
}
SLOTS: Final = {
    "floor": WAL2JSON, "psycopg2": WAL2JSON, "pg_floor": PGOUTPUT, **{name: way.plugin for name, way in WAYS.items()}
}
IN_ONE: Final = 10

# As Prisma makes them: a cuid begins with the time and a counter, so that new ones come in order
CUID: Final = "'cm' || lpad({n}::text, 11, '0') || substr(md5({n}::text), 1, 12)"
INSERT: Final = f"""
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select {CUID.format(n="n")}, 'Risk number ' || n, repeat('words ', 20), 'LOW', 'Home', 'Ada', now()
from generate_series(1, {{rows}}) n
"""  # noqa: S608 - made of a constant
UPDATE: Final = """update "Risk" set title = title || '!', "updatedAt" = now()"""
# A procedure that commits by itself: what a driver sends in a pipeline would be one transaction
UPDATE_BY_TEN: Final = f"""
do $$ begin
    for n in 0..{{transactions}} - 1 loop
        update "Risk" set title = title || '?', "updatedAt" = now()
        where id = any (array(
            select {CUID.format(n="k")} from generate_series(n * 10 + 1, n * 10 + 10) k
        ));
        commit;
    end loop;
end $$
"""  # noqa: S608 - made of a constant


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
        for schema in _schemas():
            info = conninfo(dsn, schema=schema, application_name="bench", statement_timeout_s=60)
            async with connected(info) as conn:
                await migrate(conn, schema)
        async with connected(dsn) as conn:
            mapped = tables(ENTITIES)
            await publication.ensure(conn, Wanted(PUBLICATION, "public", mapped, mapped.keys()))
            for case in cases(rows):
                measured = await _measured(ground, dsn, conn, case, rows, python)
                figures |= {f"{case.name}.{name}": figure for name, figure in measured.items()}
    return Run(figures)


async def _measured(
    ground: Ground, dsn: str, conn: Connection, case: Case, rows: int, python: str | None
) -> dict[str, float]:
    for schema in _schemas():
        # what was marked before was worked off; what is known of the rows stays
        await conn.execute(f"truncate {schema}.work".encode())
    await conn.execute("vacuum analyze")
    for slot, plugin in SLOTS.items():
        await conn.execute("select pg_create_logical_replication_slot(%s, %s)", (slot, plugin))
    await conn.execute("checkpoint")
    await conn.execute("set synchronous_commit = off")
    await conn.execute(case.statement.encode())
    await conn.execute("set synchronous_commit = on")
    end = await wal_end(conn)
    end_text = await value(conn, "select ('0/0'::pg_lsn + %(end)s::numeric)::text", end=end)
    # something after the end, so that every reader gets there
    await conn.execute("select pg_logical_emit_message(true, 'bench', '')")
    await conn.execute('update "Risk" set title = title where id = (select min(id) from "Risk")')
    program, found = str(ground.server.bin_dir / "pg_recvlogical"), {}
    for floor in ("floor", "pg_floor"):
        _, options = reading(SLOTS[floor], tables(ENTITIES), "public", publication=PUBLICATION)
        used_s = server_cpu_s(ground.server.data_dir) + _readers_cpu_s()
        found[floor] = rows / await peers.floor_s(program, dsn, floor, end_text, options)
        used_s = server_cpu_s(ground.server.data_dir) + _readers_cpu_s() - used_s
        found[f"{floor}.cpu_us"] = used_s / rows * 1e6
    if python is not None:
        options = wal2json.options("public", tables(ENTITIES))
        found["psycopg2"] = rows / await peers.psycopg2_s(python, dsn, "psycopg2", end, options)
    for name, way in WAYS.items():
        before, used_s = await wal_end(conn), server_cpu_s(ground.server.data_dir)
        took = await _read(dsn, name, way, end)
        used_s = server_cpu_s(ground.server.data_dir) - used_s
        found |= {
            name: rows / took["took_s"],
            f"{name}.share": rows / took["took_s"] / found[way.floor],
            f"{name}.cpu_us": (used_s + took["cpu_s"]) / rows * 1e6,
            f"{name}.own_us": took["cpu_s"] / rows * 1e6,
            f"{name}.peak_mb": took["peak_bytes"] / 1e6,
            f"{name}.wal": (await wal_end(conn) - before) / rows,
        }
    for slot in SLOTS:
        await conn.execute("select pg_drop_replication_slot(%s)", (slot,))
    return found


def _readers_cpu_s() -> float:
    """Return the CPU time that the readers which have ended used."""
    readers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return readers.ru_utime + readers.ru_stime


def _schemas() -> list[str]:
    return [way.schema for way in WAYS.values() if way.schema != NO_SCHEMA]


async def _read(dsn: str, slot: str, way: Way, end: int) -> Mapping[str, Any]:
    """Run one of our readers to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.reading", way.does, way.plugin, slot, str(end), way.schema, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "BENCH_DSN": dsn},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"the reader {slot} failed"
    measured: dict[str, Any] = json.loads(said)
    return measured


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    for case in cases(int(found["rows"])):
        def per_s(who: str, case: Case = case) -> str:
            return f"{found[f'{case.name}.{who}']:,.0f}/s" if f"{case.name}.{who}" in found else "not to be had"

        for name, way in WAYS.items():
            reached = found[f"{case.name}.{name}.share"]
            all_us, own_us = (found[f"{case.name}.{name}.{whose}_us"] for whose in ("cpu", "own"))
            floor = f"pg_recvlogical {per_s(way.floor)}, {found[f'{case.name}.{way.floor}.cpu_us']:.0f} us"
            yield Line(
                f"{case.told}: {way.told}",
                f"{per_s(name)} = {reached:.2f} of the floor; {all_us:.0f} us CPU a change, {own_us:.0f} of them ours",
                floor if way.plugin == PGOUTPUT else f"{floor}, psycopg2 + json {per_s('psycopg2')}",
                f">= {way.share}" if way.share is not None else "",
                reached >= way.share if way.share is not None else None,
            )
        for name, told in (("durable", ""), ("timestamps", ", timestamp-based")):
            wal = found[f"{case.name}.{name}.wal"]
            yield Line(
                f"{case.told}: WAL of our own{told}", f"{wal:.0f} bytes a row", "a checkpoint right before",
                f"<= {OWN_WAL_BYTES}", wal <= OWN_WAL_BYTES,
            )
