"""A sidecar, a Notion stand-in and setup between them, in this process: many runs a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from deploy.sandbox.server import Sandbox
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Entity
from sinks.notion.client import NotionClient
from sinks.notion.failures import ConflictOnSave, NotionOutage
from sinks.notion.pacing import Pacer
from sinks.notion.setup import Done, Setup
from state.database import Connection, conninfo
from state.errors import RateLimited
from state.migrations import migrate

TITLES = tuple(entity.title for entity in ENTITIES)
SCHEMA = "notion_sync"


class Died(BaseException):
    """The process ended here: no clean-up, nothing is caught."""


class Impatient(NotionClient):
    """The client without its waits between attempts; dies around the request whose number is `dies_at`."""

    dies_at: int | None = None
    dies_after_sending = False
    sent = 0

    async def call(self, method: str, path: str, *, attempts: int = 6, **arguments: Any) -> dict[str, Any]:
        for attempt in range(attempts):
            dying = self.sent == self.dies_at
            self.sent += 1
            if dying and not self.dies_after_sending:
                raise Died
            try:
                answer = await self.request(method, path, **arguments)
            except (NotionOutage, ConflictOnSave, RateLimited):
                if attempt == attempts - 1:
                    raise
                continue
            if dying:
                raise Died
            return answer
        raise AssertionError("unreachable")


@dataclass
class Stage:
    """One workspace and one sidecar."""

    sandbox: Sandbox
    conn: Connection
    client: Impatient
    again: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Fields whose property was made again, as setup told."""

    async def setup(
        self,
        *,
        entities: Sequence[Entity] = ENTITIES,
        configured: Mapping[str, str] | None = None,
        parent: str | None = "",
        dies_at: int | None = None,
        dies_after_sending: bool = False,
    ) -> tuple[Done, ...]:
        """Run setup once."""
        self.client.sent, self.client.dies_at, self.client.dies_after_sending = 0, dies_at, dies_after_sending
        return await Setup(
            self.client, self.conn, entities, configured=configured or {},
            parent_page_id=self.sandbox.parent_page_id if parent == "" else parent,
            made_again=self._told, settle_s=0.0,
        ).run()

    async def _told(self, _: Connection, entity: Entity, fields: Sequence[str]) -> None:
        self.again.append((entity.name, tuple(fields)))

    def writes(self) -> int:
        """Return how many requests since the last clear were not reads."""
        return sum(request.method != "GET" for request in self.sandbox.requests)

    def properties(self, database: str) -> dict[str, Any]:
        """Return a database's properties by name, as stored by the stand-in."""
        return {prop["name"]: prop for prop in self.sandbox.people.source(database)["properties"].values()}

    def options(self, database: str, prop: str) -> dict[str, str]:
        """Return a select's options with their colours."""
        return {option["name"]: option["color"] for option in self.properties(database)[prop]["config"]["options"]}

    def live_titles(self) -> list[str]:
        """Return the titles of all databases that are not in the trash."""
        return sorted(database["title"] for database in self.sandbox.people.databases() if not database["in_trash"])

    async def start_over(self) -> None:
        """Forget everything on both sides."""
        self.sandbox.reset()
        await self.conn.execute("truncate data_source")

    async def lose_sidecar(self) -> None:
        """Drop the sidecar's schema and make it anew, as the next start does."""
        await self.conn.execute("drop schema notion_sync cascade")
        await migrate(self.conn, SCHEMA)

    async def stored(self, entity: str) -> tuple[str, str, dict[str, str]]:
        """Return (database id, data source id, property ids) as stored."""
        cursor = await self.conn.execute(
            "select database_id, data_source_id, properties from data_source where entity = %s", (entity,)
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1], row[2]


@asynccontextmanager
async def staged(dsn: str) -> AsyncIterator[Stage]:
    """Give a stage with an empty sidecar in the database of `dsn`."""
    info = conninfo(dsn, schema=SCHEMA, application_name="setup tests", statement_timeout_s=10)
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=5) as sandbox,
        await psycopg.AsyncConnection.connect(info, autocommit=True) as conn,
    ):
        await migrate(conn, SCHEMA)
        await conn.execute("truncate data_source")
        client = Impatient(sandbox.token, base_url=sandbox.url, pacer=Pacer(0), timeout_s=0.25)
        try:
            yield Stage(sandbox, conn, client)
        finally:
            await client.close()
