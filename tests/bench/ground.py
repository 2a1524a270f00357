"""The ground that every row stands on: a durable Postgres of its own, databases in it, and a Notion stand-in apart."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import psycopg

from deploy.local.postgres import LocalPostgres
from tests.conftest import SCHEMA
from tests.system.scene import NOTHING_LEFT
from tests.system.service import Service, command, environment

ROOT: Final = Path(__file__).resolve().parents[2]
SETTINGS: Final = {
    # several readers hold the same log, and the floor must not be in the way of what is measured
    "max_slot_wal_keep_size": "-1",
    "max_wal_size": "4GB",
    # how our statements are planned, see tests.bench.plans; it does nothing unless it is told to
    "shared_preload_libraries": "auto_explain",
}
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CAPTURED: Final = """
select bool_and(confirmed_flush_lsn - '0/0' >= {end}) from pg_replication_slots
where database = current_database() and slot_type = 'logical'
"""
WAL_END: Final = "select (pg_current_wal_insert_lsn() - '0/0')::int8"


@dataclass(frozen=True, slots=True)
class Ground:
    """What the rows share. `quick`: a tenth or less of everything, to see that it runs."""

    server: LocalPostgres
    quick: bool

    def sized(self, full: int, quick: int) -> int:
        """Return how many of something."""
        return quick if self.quick else full

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Give the URL of a database with MapAble's tables, or of a copy of one, for as long as the block runs."""
        name = f"bench_{secrets.token_hex(4)}"
        self.server.create_database(name, template)
        try:
            dsn = self.server.dsn(name)
            if template is None:
                with psycopg.connect(dsn) as conn:
                    conn.execute(SCHEMA.read_bytes())
            yield dsn
        finally:
            self.server.drop_database(name)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """Give an autocommit connection."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        yield conn


async def value(conn: Connection, query: str, **arguments: object) -> Any:
    """Return the first column of the first row."""
    row = await (await conn.execute(query.encode(), arguments or None)).fetchone()
    return row[0] if row is not None else None


async def wal_end(conn: Connection) -> int:
    """Return where the log ends, in bytes."""
    return int(await value(conn, WAL_END))


@dataclass(frozen=True, slots=True)
class Notion:
    """The stand-in as a process of its own: what it does costs the service nothing but CPU of the machine."""

    url: str
    token: str = field(repr=False)
    parent_page_id: str
    pid: int

    async def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the stand-in's control API."""
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, f"{self.url}/sandbox{path}", **arguments) as answer,
        ):
            assert answer.ok, await answer.text()
            return await answer.json()

    async def requests(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the logged requests; `at_s` is the machine's monotonic clock."""
        found: list[dict[str, Any]] = await self.ask("GET", "/requests", params=wanted)
        return found

    def environment(self, dsn: str, **settings: str) -> dict[str, str]:
        """Return the environment of a service between `dsn` and here."""
        slot = f"bench_{secrets.token_hex(4)}"
        return environment(
            dsn, self.url, self.token, self.parent_page_id,
            **{"REPLICATION_SLOT": slot, "LOG_LEVEL": "info", **settings},
        )


@asynccontextmanager
async def notion(*arguments: str) -> AsyncIterator[Notion]:
    """Start the stand-in, without a rate limit unless the arguments say so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.sandbox", "--rate-limit", "0", *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, env=_quiet(os.environ),
    )
    try:
        assert process.stdout is not None
        where = json.loads(await process.stdout.readline())
        yield Notion(where["url"], where["token"], where["parent_page_id"], process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def serving(env: Mapping[str, str]) -> AsyncIterator[Service]:
    """Set the databases up and give the running service, once it streams."""
    await set_up(env)
    async with Service(env) as service:
        await service.event("stream.started", timeout_s=600.0)
        yield service
        if service.process.returncode is None:
            await service.stop(60.0)


async def set_up(env: Mapping[str, str]) -> None:
    """Make Notion's databases."""
    code, _, said = await command(env, "setup")
    assert code == 0, said


async def until_true(conn: Connection, query: str, *, timeout_s: float, every_s: float = 0.25) -> None:
    """Return when a query says true; asked seldom, so that asking costs nothing."""
    async with asyncio.timeout(timeout_s):
        while True:
            if await value(conn, query):
                return
            await asyncio.sleep(every_s)


async def worked_off(conn: Connection, *, timeout_s: float = 600.0) -> None:
    """Return when all that is committed is captured, nothing waits and no marking is under way."""
    captured = CAPTURED.format(end=await wal_end(conn))
    await until_true(conn, f"select ({captured}) and ({NOTHING_LEFT})", timeout_s=timeout_s)


def _quiet(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("NOTION_")}
