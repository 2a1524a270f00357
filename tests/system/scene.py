"""A stage: MapAble's database, a Notion stand-in and the real program between them, with the verbs that tests need."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import psycopg
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families
from psycopg.rows import dict_row

from deploy.sandbox.requestlog import Request
from deploy.sandbox.server import Sandbox
from tests.system import waiting
from tests.system.invoked import invoke
from tests.system.service import Service, environment
from tests.system.waiting import Connection

SETTLE_TIMEOUT_S: Final = 60.0
_PAGE_PATH: Final = re.compile(r"/v1/pages/([0-9a-f-]{36})")
_sentinels = count()

PARTICIPANT: Final = """
insert into "User" (id, name, email, role, "updatedAt")
values (%(id)s, %(name)s, %(id)s || '@example.org', 'PARTICIPANT', now())
"""
SENTINEL: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values (%(id)s, 'sentinel', '', 'LOW', '', '', now())
"""
CONFIRMED: Final = """
select confirmed_flush_lsn - '0/0' >= %(lsn)s::numeric
from pg_replication_slots
where slot_name = %(slot)s and database = current_database()
"""
THEIRS: Final = """
insert into notion_sync.work as w (entity, system_id, reasons, priority) values (%(entity)s, %(id)s, 2, 0)
on conflict (entity, system_id) do update set gen = excluded.gen, reasons = w.reasons | 2, due_at = clock_timestamp()
"""
# Marked as a hint from Notion does, and hot: no mark makes it due any earlier
HOLD_BACK: Final = """
insert into notion_sync.work (entity, system_id, reasons, priority, due_at, not_before)
select entity, id, 2, 0, later, later
from unnest(%(entities)s::text[], %(ids)s::text[]) as k (entity, id)
cross join (select clock_timestamp() + interval '1 day' as later) t
"""
LET_GO: Final = """
update notion_sync.work set due_at = clock_timestamp(), not_before = '-infinity'
where (entity, system_id) in (select * from unnest(%(entities)s::text[], %(ids)s::text[]))
"""
UNPACED: Final = """
create function notion_sync.no_rest() returns trigger language plpgsql as $$
begin
    new."sendIntervalS" := 0;
    return new;
end $$;
create trigger no_rest before insert or update on notion_sync."NotionSyncMapping" for each row
    execute function notion_sync.no_rest();
"""
AUDITED: Final = "select distinct action from notion_sync.audit_log where system_id = %(id)s"
NOTHING_LEFT: Final = """
select not exists (select from notion_sync.work) and not exists (select from notion_sync.marking)
"""


@dataclass(slots=True)
class Scene:
    """One running service between one database and one sandbox."""

    dsn: str = field(repr=False)
    db: Connection
    sandbox: Sandbox
    env: Mapping[str, str] = field(repr=False)
    service: Service

    async def run(self, *statements: str, **arguments: object) -> None:
        """Run each statement in a transaction of its own; without arguments one string may hold several."""
        for statement in statements:
            await self.db.execute(statement.encode(), arguments or None)

    async def value(self, query: str, **arguments: object) -> Any:
        """Return the first column of the first row."""
        row = await (await self.db.execute(query.encode(), arguments or None)).fetchone()
        return row[0] if row is not None else None

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Return every row by column name."""
        async with self.db.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(query.encode())).fetchall()

    async def participant(self, system_id: str, name: str | None = None) -> None:
        """Insert a participant and wait for the page."""
        await self.run(PARTICIPANT, id=system_id, name=name or system_id)
        await self.until(lambda: self.page("Participants", system_id) is not None)

    def page(self, database: str, system_id: str) -> dict[str, Any] | None:
        """Return the live page of a row as plain values, or None; two of them are an error."""
        found = self.sandbox.people.rows(database, {"System ID": system_id})
        assert len(found) <= 1, f"{len(found)} pages for one row of {database}"
        return found[0] if found else None

    def shows(self, database: str, system_id: str, **properties: object) -> bool:
        """Whether the row's page shows these values; blanks of a property's name are written as underscores."""
        page = self.page(database, system_id)
        return page is not None and all(
            page["properties"][name.replace("_", " ")] == value for name, value in properties.items()
        )

    def page_id(self, database: str, system_id: str) -> str:
        """Return the id of the row's live page; it must have one."""
        page = self.page(database, system_id)
        assert page is not None, f"no page in {database}"
        return str(page["id"])

    def writes(self, page_id: str | None = None) -> tuple[Request, ...]:
        """Return the requests that wrote pages, all or one page's, since the log was last cleared."""
        return tuple(
            request
            for request in self.sandbox.requests
            if (request.method, request.path) == ("POST", "/v1/pages")
            or (request.method == "PATCH" and _PAGE_PATH.fullmatch(request.path))
            if page_id in (None, request.object_id)
        )

    def property_ids(self, database: str, *names: str) -> set[str]:
        """Return the ids of properties, as requests carry them."""
        properties = self.sandbox.people.source(database)["properties"].values()
        return {quote(prop["id"], safe="") for prop in properties if prop["name"] in names}

    async def until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Return when `holds()` is true."""
        await self.sandbox.wait_for(holds, timeout_s)

    async def until_async(self, holds: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
        """Return when `await holds()` is true."""
        await waiting.until(self.sandbox, holds, timeout_s)

    async def until_true(self, query: str, timeout_s: float = SETTLE_TIMEOUT_S, **arguments: object) -> None:
        """Return when a query says true."""

        async def says_true() -> bool:
            return bool(await self.value(query, **arguments))

        await waiting.until(self.sandbox, says_true, timeout_s)

    async def wal_end(self) -> int:
        """Return where the log ends now."""
        return int(await self.value("select (pg_current_wal_lsn() - '0/0')::int8"))

    async def until_confirmed(self, lsn: int) -> None:
        """Return when the service has told the server that the log before `lsn` may go."""
        await self.until_true(CONFIRMED, slot=self.env["REPLICATION_SLOT"], lsn=lsn)

    async def settled(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Return when everything committed so far was captured and worked off.

        The log is read in order: when a row that was inserted now has its page, what was committed before is marked.
        """
        sentinel = f"sentinel-{next(_sentinels)}"
        await self.run(SENTINEL, id=sentinel)
        await self.until(lambda: self.page("Risks", sentinel) is not None, timeout_s)
        await self.until_true(NOTHING_LEFT, timeout_s)

    async def look(self, entity: str, system_id: str) -> None:
        """Mark a key as a hint from Notion does, and return when it was worked off."""
        await self.run(THEIRS, entity=entity, id=system_id)
        await self.settled()

    async def audited(self, system_id: str) -> set[str]:
        """Return the actions that the audit log has of a record."""
        rows = await self.db.execute(AUDITED.encode(), {"id": system_id})
        return {row[0] for row in await rows.fetchall()}

    async def settled_quietly(self) -> None:
        """Return when nothing waits to be worked off."""
        await self.until_true(NOTHING_LEFT)

    async def calls_of(self, *statements: str) -> tuple[Request, ...]:
        """Run statements, a transaction each, and return the requests that they led to, the sentinel's left out."""
        await self.settled()
        self.sandbox.clear_requests()
        await self.run(*statements)
        await self.settled()
        return tuple(request for request in self.sandbox.requests if "sentinel" not in str(request.body))

    async def unpaced(self) -> None:
        """Let a record that is written again be written at once: it is else ever more seldom, from a second on."""
        await self.run(UNPACED)

    @asynccontextmanager
    async def down(self, **settings: str) -> AsyncIterator[None]:
        """Stop the service, and start it again, with other settings, when the block has ended."""
        assert await self.service.stop() == 0
        yield
        await self.start_again(**settings)

    async def start_again(self, **settings: str) -> None:
        """Start the service once more after it has ended, and return when it streams."""
        await self.service.ended()
        started = sum(event.get("event") == "stream.started" for event in self.service.events)
        await self.service.start(**settings)
        await self.service.event("stream.started", times=started + 1)

    @asynccontextmanager
    async def held(self, *keys: tuple[str, str]) -> AsyncIterator[None]:
        """Let nothing be done about these (entity, id) until all that the block did, on either side, is known of."""
        arguments = {"entities": [key[0] for key in keys], "ids": [key[1] for key in keys]}
        await self.run(HOLD_BACK, **arguments)
        yield
        await self.captured()
        await self.until(self.sandbox.webhooks.idle)
        await self.run(LET_GO, **arguments)
        await self.settled()

    async def captured(self) -> None:
        """Return when everything committed so far is marked: the log is read in order, up to a page of a new row."""
        sentinel = f"sentinel-{next(_sentinels)}"
        await self.run(SENTINEL, id=sentinel)
        await self.until(lambda: self.page("Risks", sentinel) is not None, SETTLE_TIMEOUT_S)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Another session of the application, with transactions of its own."""
        async with await psycopg.AsyncConnection.connect(self.dsn) as conn:
            yield conn

    async def until_metric(self, name: str, least: float, timeout_s: float = 60.0, **labels: str) -> None:
        """Return when the sum of a metric's samples with these labels has reached `least`."""

        async def reached() -> bool:
            _, text = await self.get("/metrics")
            samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
            return least <= sum(
                sample.value
                for sample in samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )

        await waiting.until(self.sandbox, reached, timeout_s)

    def peak_memory_bytes(self) -> int:
        """Return the most memory that the service's process ever had resident."""
        status = Path(f"/proc/{self.service.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the service over HTTP; return status and body."""
        async with aiohttp.ClientSession() as client, client.get(self.url() + path) as answer:
            return answer.status, await answer.text()

    async def call(
        self, method: str, path: str, *, token: str | None = None, **arguments: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Call an endpoint of the service, as the operator when `token` is given; return status, JSON and headers."""
        headers = CIMultiDict[str](arguments.pop("headers", ()))
        if token is not None:
            headers.add("Authorization", f"Bearer {token}")
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, self.url() + path, headers=headers, **arguments) as answer,
        ):
            return answer.status, json.loads(await answer.text() or "{}"), answer.headers

    def url(self) -> str:
        """Return where the service listens."""
        for line in reversed(self.service.lines):
            if (found := re.search(r"(http://127\.0\.0\.1:\d+)/readyz", line)) is not None:
                return found[1]
        raise AssertionError("the service did not say where it listens")


@asynccontextmanager
async def staged(dsn: str, **settings: str) -> AsyncIterator[Scene]:
    """Set the databases up, start the service on `dsn` and give the scene once it streams and is done with all rows."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=11) as sandbox,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db,
    ):
        # slots belong to the whole server, and another scene may be on
        settings = {"REPLICATION_SLOT": f"scene_{secrets.token_hex(6)}", **settings}
        env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, **settings)
        said = await invoke(env, "setup")
        assert said.code == 0, said.err
        async with Service(env) as service:
            scene = Scene(dsn, db, sandbox, env, service)
            await service.event("stream.started")
            await scene.settled()
            yield scene
            assert await service.stop() == 0
