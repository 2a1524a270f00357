"""Being a guest: what MapAble's server does for us, beside what it does for MapAble, and what we leave lying about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tests.bench import plans
from tests.bench.ground import Connection, Ground, connected, notion, serving, value, wal_end, worked_off
from tests.bench.machine import cpu_s
from tests.bench.report import Line, Run
from tests.bench.rows import risks

RUNS: Final = 1
TOGETHER: Final = 100
REQUESTS_A_DAY: Final = 180 * 60 * 24

EDIT: Final = """
update "Risk" set title = '{what} {n}', "updatedAt" = now()
where id = any (array(select 'r' || k from generate_series({first}, {last}) k))
"""
OURS: Final = "select pid from pg_stat_activity where application_name like 'mapable-cdc%'"
SIZE: Final = """
select sum(pg_total_relation_size(relid)) from pg_stat_user_tables
where schemaname = 'notion_sync' and relname <> 'audit_log'
"""
DEAD: Final = "select sum(n_dead_tup)::int8 from pg_stat_user_tables where schemaname = 'notion_sync'"
AUDIT: Final = """
select pg_total_relation_size('notion_sync.audit_log')::float8 / greatest(count(*), 1) from notion_sync.audit_log
"""


async def once(ground: Ground) -> Run:
    """Edit without the service, then the same with it, then a day's worth of it."""
    rows, churn = ground.sized(2_000, 500), ground.sized(20_000, 1_000)
    with ground.database() as dsn:
        async with notion() as stand_in, connected(dsn) as conn:
            await risks(conn, rows)
            alone_wal, alone_s = await _edited(conn, rows, rows, "alone")
            async with serving(stand_in.environment(dsn)):
                await worked_off(conn)
                size = float(await value(conn, SIZE))
                pids = [row[0] for row in await (await conn.execute(OURS)).fetchall()]
                before_s = sum(map(cpu_s, pids))
                wal, _ = await _edited(conn, rows, rows, "edit")
                figures = {
                    "alone.wal": alone_wal, "alone.us": alone_s * 1e6, "wal": wal - alone_wal,
                    "us": (sum(map(cpu_s, pids)) - before_s) / rows * 1e6,
                }
                await _edited(conn, rows, churn, "again")
                figures |= {
                    "size": size, "churned": float(await value(conn, SIZE)), "dead": float(await value(conn, DEAD)),
                    "audit": float(await value(conn, AUDIT)), "churn": churn, "rows": rows,
                }
    seen, notes = await plans.seen(ground)
    return Run(figures | seen, notes)


async def _edited(conn: Connection, rows: int, edits: int, what: str) -> tuple[float, float]:
    """Edit the rows in turn; return the log and the CPU time of the editing session for each, all worked off."""
    pid = int(await value(conn, "select pg_backend_pid()"))
    wal, began_s = await wal_end(conn), cpu_s(pid)
    installed = await value(conn, "select to_regclass('notion_sync.work') is not null")
    for n in range(edits // TOGETHER):
        first = n * TOGETHER % rows + 1
        await conn.execute(EDIT.format(what=what, n=n, first=first, last=first + TOGETHER - 1).encode())
    used_s = cpu_s(pid) - began_s
    if installed:
        await worked_off(conn)
    return (await wal_end(conn) - wal) / edits, used_s / edits


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    yield Line(
        "extra log for each changed row, all that follows included", f"{found['wal']:.0f} bytes",
        f"the change itself: {found['alone.wal']:.0f} bytes",
    )
    yield Line(
        "extra CPU of the server for each changed row", f"{found['us']:.0f} us",
        f"the change itself: {found['alone.us']:.0f} us",
    )
    days = found["churn"] / REQUESTS_A_DAY
    yield Line(
        f"sidecar of {found['rows']:,.0f} rows after {found['churn']:,.0f} edits ({days:.0%} of a day at 180 a minute)",
        f"{found['churned'] / 1e6:.1f} MB, {found['dead']:,.0f} dead tuples",
        f"{found['size'] / 1e6:.1f} MB before; the audit log grows by {found['audit']:.0f} bytes a line",
    )
    yield from plans.lines(found)
