"""How our statements on MapAble's tables are planned: each by primary key or key ranges, and the slowest of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tests.bench.ground import Connection, Ground, connected, notion, serving
from tests.bench.report import Line
from tests.bench.rows import whole_families

TABLES: Final = frozenset(
    {"User", "NDISPlan", "CarePlan", "Incident", "Complaint", "Risk", "PaymentTransaction", "Worker"}
)
EXPLAIN: Final = (
    "auto_explain.log_min_duration = 0", "auto_explain.log_format = 'json'", "auto_explain.log_analyze = on",
    "auto_explain.log_buffers = on",
)
WORK: Final = (
    """update "Risk" set title = title || '!' where id = any (array(select 'f' || n from generate_series(1, 500) n))""",
    """update "User" set name = name || '!' where id in ('p1', 'p2', 'p3')""",
    """delete from "Risk" where id in ('f7', 'f8')""",
)


async def seen(ground: Ground) -> tuple[dict[str, float], dict[str, str]]:
    """Run the service over large tables and return (what was measured, the slowest statement's plan)."""
    people = ground.sized(12_000, 1_200)
    log = ground.server.home / "log"
    with ground.database() as dsn:
        async with notion() as stand_in, connected(dsn) as conn:
            rows = await whole_families(conn, people)
            await conn.execute("vacuum analyze")
            await _explaining(conn)
            offset = log.stat().st_size
            async with serving(stand_in.environment(dsn)) as service:
                await service.event("entity.marked", times=7, timeout_s=300.0)
                for statement in WORK:
                    await conn.execute(statement.encode())
                await _watched(conn)
                service.kill()
                await service.process.wait()
            with log.open("rb") as opened:
                opened.seek(offset)
                found = list(_plans(opened.read().decode("utf-8", "replace")))
    scans = [plan for plan in found if any(node["Node Type"] == "Seq Scan" for node in _on_tables(plan["Plan"]))]
    slowest = max(found, key=lambda plan: float(plan["Plan"]["Actual Total Time"]))
    figures = {
        "plans": len(found), "scans": len(scans), "slowest": float(slowest["Plan"]["Actual Total Time"]),
        "people": rows,
    }
    notes = {"the slowest statement on MapAble's tables": _told(slowest)}
    if scans:
        notes["a statement that scans a table"] = _told(scans[0])
    return figures, notes


async def _explaining(conn: Connection) -> None:
    name = (await (await conn.execute("select current_database()")).fetchone() or [""])[0]
    for setting in EXPLAIN:
        await conn.execute(f'alter database "{name}" set {setting}'.encode())


async def _watched(conn: Connection) -> None:
    """Give the service a while: there is no end to wait for, since a backfill of all rows would take long."""
    for _ in range(2):
        await conn.execute("select pg_sleep(10)")


def _plans(log: str) -> Iterator[dict[str, Any]]:
    """Return the plans in a server's log that touch MapAble's tables on our behalf."""
    for piece in log.split("plan:\n")[1:]:
        text = piece[: piece.find("\n\t}") + 3].replace("\n\t", "\n")
        try:
            plan = json.loads(text)
        except ValueError:
            continue
        if "\"public\"" in plan.get("Query Text", "") and any(_on_tables(plan["Plan"])):
            yield plan


def _on_tables(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the nodes that read one of MapAble's tables."""
    if node.get("Relation Name") in TABLES:
        yield node
    for below in node.get("Plans", ()):
        yield from _on_tables(below)


def _told(plan: Mapping[str, Any]) -> str:
    return "\n".join([" ".join(plan["Query Text"].split())[:600], "", *_indented(plan["Plan"], 0)])


def _indented(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    on = f" on {node['Relation Name']}" if "Relation Name" in node else ""
    using = f" using {node['Index Name']}" if "Index Name" in node else ""
    condition = f"  ({node['Index Cond']})" if "Index Cond" in node else ""
    yield (
        f"{'  ' * depth}{node['Node Type']}{using}{on}{condition}  rows {node.get('Actual Rows')},"
        f" loops {node.get('Actual Loops')}, {node.get('Actual Total Time')} ms"
    )
    for below in node.get("Plans", ()):
        yield from _indented(below, depth + 1)


def lines(found: Mapping[str, float]) -> Iterable[Line]:
    """Say it."""
    yield Line(
        f"{found['plans']:,.0f} reads of MapAble's tables ({found['people']:,.0f} rows): planned as a scan of all",
        f"{found['scans']:.0f}", "EXPLAIN below", "0", found["scans"] == 0,
    )
    yield Line("the slowest of them", f"{found['slowest']:.1f} ms", "EXPLAIN below")
