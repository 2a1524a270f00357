"""A place where the service is started, killed and started again: a database, a stand-in, and the environment."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import psycopg

from deploy.sandbox.requestlog import Request
from deploy.sandbox.server import Sandbox
from tests.system import waiting
from tests.system.invoked import Said, invoke
from tests.system.one_of_each import ROWS
from tests.system.scene import NOTHING_LEFT
from tests.system.service import Service, environment
from tests.system.waiting import Connection

PAGE: Final = re.compile(r"/v1/pages/[0-9a-f-]{36}")
SLOT: Final = "select * from pg_replication_slots where slot_name = %(slot)s"


@dataclass(slots=True)
class Plant:
    """Nothing runs unless a test starts it."""

    dsn: str = field(repr=False)
    db: Connection
    sandbox: Sandbox
    env: dict[str, str] = field(repr=False)

    @property
    def slot(self) -> str:
        return self.env["REPLICATION_SLOT"]

    def service(self, **settings: str) -> Service:
        return Service({**self.env, **settings})

    async def types(self, *arguments: str, **settings: str) -> Said:
        """Run a verb to its end."""
        return await invoke({**self.env, **settings}, *arguments)

    async def run(self, *statements: str, **arguments: object) -> None:
        for statement in statements:
            await self.db.execute(statement.encode(), arguments or None)

    async def value(self, query: str, **arguments: object) -> Any:
        """Return the first column of the first row."""
        row = await (await self.db.execute(query.encode(), {"slot": self.slot, **arguments})).fetchone()
        return row[0] if row is not None else None

    async def slot_fact(self, column: str) -> Any:
        """Return one column of what the server says of the slot."""
        return await self.value(SLOT.replace("*", column))

    async def until_true(self, query: str, timeout_s: float = 30.0, **arguments: object) -> None:
        """Return when a query says true."""

        async def says_true() -> bool:
            return bool(await self.value(query, **arguments))

        await waiting.until(self.sandbox, says_true, timeout_s)

    async def until(self, holds: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
        """Return when `await holds()` is true."""
        await waiting.until(self.sandbox, holds, timeout_s)

    async def quiet(self, timeout_s: float = 60.0) -> None:
        """Return when nothing waits to be worked off, no marking is under way and no sweep is asked for."""
        await self.until_true(
            f"{NOTHING_LEFT} and not exists (select from notion_sync.look where sweep_requested_at is not null)",
            timeout_s,
        )

    def page(self, database: str, system_id: str) -> dict[str, Any]:
        """Return the properties of the row's one live page."""
        (found,) = self.sandbox.people.rows(database, {"System ID": system_id})
        properties: dict[str, Any] = found["properties"]
        return properties

    def page_id(self, database: str, system_id: str) -> str:
        (found,) = self.sandbox.people.rows(database, {"System ID": system_id})
        return str(found["id"])

    def writes(self) -> tuple[Request, ...]:
        """Return the requests that wrote pages since the log was last cleared."""
        return tuple(
            request
            for request in self.sandbox.requests
            if (request.method, request.path) == ("POST", "/v1/pages")
            or (request.method == "PATCH" and PAGE.fullmatch(request.path))
        )

    @asynccontextmanager
    async def ran(self, **settings: str) -> AsyncIterator[Service]:
        """Give a service that streams and has compared everything; it is stopped afterwards, unless it has ended."""
        async with self.service(**settings) as service:
            await service.event("stream.started")
            await self.quiet()
            yield service
            if service.process.returncode is None:
                assert await service.stop() == 0


@asynccontextmanager
async def planted(dsn: str, *statements: str, **settings: str) -> AsyncIterator[Plant]:
    """Set the databases up over one row of each table."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=7) as sandbox,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db,
    ):
        # slots belong to the whole server, and others may be on it
        settings = {"REPLICATION_SLOT": f"plant_{secrets.token_hex(6)}", **settings}
        env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, **settings)
        plant = Plant(dsn, db, sandbox, env)
        await plant.run(ROWS, *statements)
        ended = await plant.types("setup")
        assert ended.code == 0, ended.err
        yield plant


async def get(service: Service, path: str) -> tuple[int, str]:
    """Ask a service over HTTP; return status and body."""
    line = await service.line("/readyz")
    found = re.search(r"http://\S+:\d+", line)
    assert found is not None
    async with aiohttp.ClientSession() as client, client.get(found[0] + path) as answer:
        return answer.status, await answer.text()


async def ready(service: Service) -> tuple[int, dict[str, Any]]:
    """Return what `/readyz` answers."""
    status, body = await get(service, "/readyz")
    return status, json.loads(body)
