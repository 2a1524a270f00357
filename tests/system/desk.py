"""What the tests of the HTTP side share: signed events, what a request changed, and who marked which key."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.system.invoked import invoke
from tests.system.scene import Scene

ADMIN: Final = "operator-of-this-test"
SECRET: Final = "secret_of_this_test"
HOOK: Final = "/api/notion/webhook"

WATCH: Final = """
create table notion_sync.mark_seen (entity text, system_id text, reasons int, priority int);
create function notion_sync.see_mark() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' or new.gen <> old.gen then
        insert into notion_sync.mark_seen values (new.entity, new.system_id, new.reasons, new.priority);
    end if;
    return null;
end $$;
create trigger see_mark after insert or update on notion_sync.work
    for each row execute function notion_sync.see_mark();

create table notion_sync.setting_seen (name text, value jsonb);
create function notion_sync.see_setting() returns trigger language plpgsql as $$
begin
    insert into notion_sync.setting_seen values (new.name, new.value);
    return null;
end $$;
create trigger see_setting after insert or update on notion_sync.setting
    for each row execute function notion_sync.see_setting();
"""

# All that a request may change but for what the service does by itself
TRACES: Final = """
select
    (select count(*) from notion_sync.inbox) || '/' ||
    (select count(*) from notion_sync.mark_seen) || '/' ||
    (select count(*) from notion_sync.work) || '/' ||
    (select count(*) from notion_sync.marking) || '/' ||
    (select count(*) from notion_sync.audit_log) || '/' ||
    (select md5(coalesce(string_agg(c::text, '|' order by id), '')) from notion_sync.conflict c) || '/' ||
    (select md5(coalesce(string_agg(s::text, '|' order by name), '')) from notion_sync.setting s
     where name like 'webhook%')
"""


async def watch(scene: Scene) -> None:
    """Keep a record of every mark and setting from now on: they are worked off faster than anybody can look."""
    await scene.db.execute(WATCH.encode())


async def marks(scene: Scene, entity: str, system_id: str) -> list[tuple[int, int]]:
    """Return (reasons, priority) of each mark of a key since `watch`."""
    cursor = await scene.db.execute(
        "select reasons, priority from notion_sync.mark_seen where entity = %s and system_id = %s", (entity, system_id)
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def traces(scene: Scene) -> str:
    """Return a digest of all that a request can change, once what is under way has ended."""
    await scene.settled_quietly()
    return str(await scene.value(TRACES))


def signature(raw: bytes, token: str = SECRET) -> str:
    return "sha256=" + hmac.new(token.encode(), raw, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Answered:
    """How a webhook was answered."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


async def deliver(scene: Scene, event: Mapping[str, Any], token: str = SECRET) -> Answered:
    """Send an event as Notion does."""
    raw = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-Notion-Signature": signature(raw, token)}
    return Answered(*await scene.call("POST", HOOK, data=raw, headers=headers))


async def subscribe(scene: Scene) -> str:
    """Let the sandbox's webhooks come to the service, and return the subscription's id."""
    assert (await invoke(scene.env, "webhook", "await")).code == 0
    subscription = scene.sandbox.webhooks.subscribe(scene.url() + HOOK)
    await scene.until(scene.sandbox.webhooks.idle)
    scene.sandbox.webhooks.verify(subscription.token)
    return subscription.id


def event(
    page_id: str,
    kind: str = "page.properties_updated",
    *,
    authors: Sequence[str] = ("a person",),
    at: datetime | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return an event's body; authors are ids, with blanks as dashes."""
    moment = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "id": str(uuid.uuid4()),
        "timestamp": moment,
        "workspace_id": str(uuid.uuid4()),
        "type": kind,
        "authors": [{"id": author.replace(" ", "-"), "type": "person"} for author in authors],
        "attempt_number": 1,
        "api_version": "2026-03-11",
        "entity": {"id": page_id, "type": kind.partition(".")[0]},
        "data": {"updated_properties": ["title"]},
        **changes,
    }
