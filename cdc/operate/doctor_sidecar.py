"""`doctor`, the sidecar: whether it can be made, by whom it was made, and what it knows of Notion. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

from cdc import cluster
from cdc.config import Settings
from cdc.operate.findings import Finding, error, ok, warning
from cdc.operate.spelled import name, spelled
from state import handshake
from state import settings as facts
from state.database import Connection
from state.migrations import available
from state.settings import DataSource

SCHEMA: Final[LiteralString] = """
select n.oid is not null as there,
       coalesce(has_schema_privilege(n.oid, 'USAGE') and has_schema_privilege(n.oid, 'CREATE'), false) as ours,
       has_database_privilege(current_database(), 'CREATE') as may_make,
       exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'migration') as begun,
       current_user::text as role
from (select 1) one
left join pg_namespace n on n.nspname = %(schema)s
"""
APPLIED: Final[LiteralString] = "select max(number) from migration"
LAST_EVENT: Final[LiteralString] = "select max(received_at) from inbox"
ANY_PAGE: Final[LiteralString] = """
select "notionPageId" from "NotionSyncMapping" where "notionPageId" is not null and "pageState" = 'live' limit 1
"""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What is stored; all of it empty before the first start."""

    sources: Mapping[str, DataSource] = field(default_factory=dict)
    comments_allowed: bool | None = None        # None: not tried yet
    webhook_known: bool = False                 # a verification token is stored
    webhook_until: datetime | None = None       # until when one is awaited
    last_event_at: datetime | None = None       # None: none in the last 30 days
    page_id: str | None = None                  # of any page of ours


async def sidecar_found(conn: Connection, schema: str, dsn: str) -> tuple[Sidecar, tuple[Finding, ...]]:
    """Return what the sidecar knows, and what keeps it from being made or read."""
    row = await (await conn.execute(SCHEMA, {"schema": schema})).fetchone()
    assert row is not None
    there, ours, may_make, begun, role = row
    if not there and not may_make:
        return Sidecar(), (
            error(
                "sidecar.create", f"the role {role} may not make the schema {schema}",
                "The queue and what both sides agreed on are kept there.",
                "As the database's owner run the SQL below.",
                spelled("create schema {} authorization {}", name(schema), name(role)),
            ),
        )
    if there and not ours:
        return Sidecar(), (
            error(
                "sidecar.forbidden", f"the schema {schema} is another role's: {role} may not use it",
                "The queue and what both sides agreed on are kept there.",
                "Run with the role that made it, or make the schema this role's with the SQL below, as a superuser.",
                spelled("alter schema {} owner to {}", name(schema), name(role)),
            ),
        )
    if not begun:
        return Sidecar(), (ok("sidecar.state", f"the schema {schema} is made at the first start"),)
    return await _read(conn, schema, dsn)


async def _read(conn: Connection, schema: str, dsn: str) -> tuple[Sidecar, tuple[Finding, ...]]:
    applied = (await _value(conn, APPLIED)) or 0
    newest = max(number for number, _, _ in available())
    if applied > newest:
        return Sidecar(), (
            error(
                "sidecar.newer",
                f"the schema {schema} was made by a newer version of this program (migration {applied})",
                "This version does not know what stands there, and refuses to start.", "Run the newer version.",
            ),
        )
    if applied < newest:
        return Sidecar(), (
            ok("sidecar.state", f"the schema {schema} is of an older version; the next start brings it up to date"),
        )
    comments = await facts.get(conn, facts.COMMENTS)
    known = Sidecar(
        await facts.data_sources(conn), comments["allowed"] if comments is not None else None,
        await handshake.token(conn) is not None, await handshake.expected_until(conn),
        await _value(conn, LAST_EVENT), await _value(conn, ANY_PAGE),
    )
    return known, (ok("sidecar.state", f"the schema {schema} is up to date"), *await _moved(conn, dsn))


async def _moved(conn: Connection, dsn: str) -> tuple[Finding, ...]:
    """Return whether the sidecar was on another cluster, timeline or database than this: `run` then sends nothing."""
    changed = await cluster.elsewhere(conn, dsn)
    if not changed:
        return ()
    held = cluster.Held(changed)
    why = "Its links are to real pages: two databases would write to them. `run` waits for a person's word."
    return (error("sidecar.copied", str(held), why, held.hint),)


async def _value(conn: Connection, query: LiteralString) -> Any:
    row = await (await conn.execute(query)).fetchone()
    return row[0] if row is not None else None


def webhook_judged(settings: Settings, known: Sidecar) -> Iterator[Finding]:
    """Yield whether edits in Notion are told of, and if not, whether they are found at all."""
    waiting_s = settings.notion_poll_seconds
    if known.last_event_at is not None:
        yield ok("webhook.seen", f"the last webhook came at {known.last_event_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    elif known.webhook_until is not None:
        yield warning(
            "webhook.awaited", f"a verification token is awaited until {known.webhook_until.astimezone(UTC):%H:%M} UTC",
            "The subscription is half made: Notion sends nothing before the token was pasted there.",
            "In the connection's Webhooks tab create the subscription; then `mapable-cdc webhook show`, and paste it.",
        )
    elif known.webhook_known or settings.notion_webhook_secret is not None:
        yield warning(
            "webhook.silent", "no webhook has come in the last 30 days",
            "Edits in Notion are then found by polling and sweeping only.",
            "In the connection's Webhooks tab see that the subscription is verified and active, and that "
            "https://<your host>/api/notion/webhook can be reached from the internet.",
        )
    elif waiting_s:
        yield ok("webhook.none", f"no webhook subscription: edits in Notion are found every {waiting_s:g} s by polling")
    else:
        yield warning(
            "webhook.none", "there is no webhook subscription, and polling is off (NOTION_POLL_SECONDS=0)",
            "Edits in Notion are found by the sweep only, once in NOTION_SWEEP_SECONDS.",
            "Remove NOTION_POLL_SECONDS, or begin a subscription with `mapable-cdc webhook await`.",
        )
