"""Somewhere to be ill: a database, a stand-in, and the doctor who looks at both."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from cdc.config import Settings, load
from cdc.operate.doctor import examine
from cdc.operate.findings import Finding, statements, troubles
from deploy.sandbox.server import Sandbox
from state.migrations import migrate
from tests.plugins import PLUGIN
from tests.system.invoked import Said, invoke
from tests.system.service import environment

INDEXES = """
create index on "NDISPlan" ("planManagerId");
create index on "CarePlan" ("workerId");
create index on "PaymentTransaction" ("providerId");
"""
"""What MapAble lacks by itself: with these nothing is found."""


@dataclass(frozen=True)
class Ward:
    """One patient. `db` is a superuser's connection to it."""

    dsn: str = field(repr=False)
    sandbox: Sandbox
    env: Mapping[str, str] = field(repr=False)
    db: psycopg.AsyncConnection[Any]

    @property
    def settings(self) -> Settings:
        return load(environ=self.env, env_file=None)

    @property
    def slot(self) -> str:
        return self.env["REPLICATION_SLOT"]

    def dsn_of(self, role: str) -> str:
        """Return the URL for another role, whose password is pw."""
        parts = urlsplit(self.dsn)
        return urlunsplit(parts._replace(netloc=f"{role}:pw@{parts.hostname}:{parts.port}"))

    def with_settings(self, **settings: str) -> Ward:
        return replace(self, env={**self.env, **settings})

    async def looked(self, **options: Any) -> tuple[Finding, ...]:
        """Return all that was looked at."""
        return await examine(self.settings, **{"look_s": 0.0, **options})

    async def found(self, **options: Any) -> dict[str, Finding]:
        """Return what is to be mended, by code."""
        return {finding.code: finding for finding in troubles(await self.looked(**options))}

    async def found_of(self, code: str) -> list[str]:
        """Return what was found under one code."""
        return [finding.what for finding in troubles(await self.looked()) if finding.code == code]

    async def run(self, *queries: str) -> None:
        for query in queries:
            await self.db.execute(query.encode())

    async def mended(self) -> tuple[str, ...]:
        """Do what `--fix-sql` prints, as a superuser, and return what was done."""
        done = statements(troubles(await self.looked()))
        await self.run(*done)
        return done

    async def types(self, *arguments: str) -> Said:
        return await invoke(self.env, *arguments)

    async def has_slot(self, plugin: str = PLUGIN) -> None:
        """Make the slot and note it as read, as a `run` would have: with pgoutput it is ours only by that."""
        await migrate(self.db, "notion_sync")
        await self.run(
            f"select pg_create_logical_replication_slot('{self.slot}', '{plugin}')",
            "insert into notion_sync.stream_position (slot, position) select slot_name, confirmed_flush_lsn"
            " from pg_replication_slots where database = current_database()",
        )

    async def sets_up(self) -> None:
        ended = await self.types("setup")
        assert ended.code == 0, ended.err


@asynccontextmanager
async def admitted(dsn: str, **settings: str) -> AsyncIterator[Ward]:
    """Give a ward on this database."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=3) as sandbox,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db,
    ):
        env = environment(
            dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, LOG_LEVEL="warning", NOTION_POLL_SECONDS="60",
            REPLICATION_SLOT=f"doctor_{secrets.token_hex(4)}", **settings,
        )
        yield Ward(dsn, sandbox, env, db)
