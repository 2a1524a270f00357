"""`doctor`, Notion: the token, what it may do, and how the seven databases stand. Reads only.

What a connection may write can't be told without writing: setup, or the first page, shows it. Requests are not noted
in the sidecar's window, since that would be a write: there are a dozen or two of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from cdc.config import Settings
from cdc.operate.doctor_sidecar import Sidecar
from cdc.operate.findings import Finding, error, ok, warning
from sinks.base import CommentsForbidden, EntityUnavailable, PageGone, SinkUnavailable
from sinks.mapping.entities import field_of
from sinks.mapping.model import Entity
from sinks.notion import clock, completion, drift
from sinks.notion.client import NotionClient
from sinks.notion.comments import NotionComments
from sinks.notion.discovery import SHARE, Finder
from sinks.notion.pacing import Pacer
from sinks.notion.schemas import Schemas
from state.changes import PageId, Priority
from state.errors import FatalError, SyncError

TIMEOUT_S: Final = 10.0
CLOCK_S: Final = 5.0
"""The header is exact to a second, and edits are seldom closer together than this."""
NEEDED: Final = "read, update and insert content"
CONNECTION: Final = "In Notion, Settings > Connections > Develop or manage connections, open the connection"


async def notion_found(settings: Settings, known: Sidecar, database_ahead_s: float | None) -> list[Finding]:
    """Return how things stand in Notion, as far as it answers."""
    findings: list[Finding] = []
    async with _client(settings) as client:
        try:
            async with client.turn(Priority.MANUAL):
                await client.request("GET", "users/me", lacking=_Incapable)
        except _Incapable as lacking:
            return [_lacks(lacking)]
        except SinkUnavailable as refused:
            return [
                error(
                    "notion.token", str(refused), "Nothing can be read or written in Notion.",
                    f"{CONNECTION}, copy its token, and set NOTION_API_KEY to it. It needs: {NEEDED}.",
                )
            ]
        except SyncError as failed:
            return [_down(failed)]
        findings.append(ok("notion.token", "Notion takes the token"))
        findings += _clocks(
            await clock.ahead_s(settings.notion_base_url, timeout_s=TIMEOUT_S), database_ahead_s
        )
        try:
            findings += await _databases(settings, client, known)
            findings += await _comments(settings, client, known)
        except SinkUnavailable as lacking:
            findings.append(_lacks(lacking))
        except SyncError as failed:
            findings.append(_down(failed))
    return findings


class _Incapable(SinkUnavailable):
    """The token is right, but the connection may not read."""


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[NotionClient]:
    client = NotionClient(
        settings.notion_api_key.get_secret_value(), base_url=settings.notion_base_url,
        pacer=Pacer(settings.notion_requests_per_minute),
        timeout_s=min(TIMEOUT_S, settings.notion_request_timeout_seconds),
    )
    try:
        yield client
    finally:
        await client.close()


def _down(failed: SyncError) -> Finding:
    return error(
        "notion.unreachable", str(failed),
        "Changes wait in the queue meanwhile. What else may be wrong in Notion could not be looked at.",
        "Look at status.notion.com, at NOTION_BASE_URL and at the way from this machine to the internet; then run "
        "`mapable-cdc doctor` again.",
    )


def _lacks(lacking: SinkUnavailable) -> Finding:
    return error(
        "notion.capabilities", f"the connection may not read: {lacking}", "The sync reads, edits and makes pages.",
        f"{CONNECTION}, and under Capabilities allow it to {NEEDED}.",
    )


def _clocks(notion_ahead_s: float | None, database_ahead_s: float | None) -> Iterator[Finding]:
    if notion_ahead_s is None:
        return
    apart_s = notion_ahead_s - (database_ahead_s or 0.0)
    theirs = "the database's clock" if database_ahead_s is not None else "this machine's clock"
    if abs(apart_s) > CLOCK_S:
        yield warning(
            "notion.clock", f"{theirs} is {abs(apart_s):.0f} s {'behind' if apart_s > 0 else 'ahead of'} Notion's",
            "Where both sides changed a field, the times of the two edits may decide: the wrong one could win.",
            "Let that machine take its time from the network (NTP: timedatectl set-ntp true).",
        )
    else:
        yield ok("notion.clock", f"{theirs} agrees with Notion's")


async def _databases(settings: Settings, client: NotionClient, known: Sidecar) -> list[Finding]:
    findings: list[Finding] = []
    fresh = [entity for entity in settings.entities if entity.name not in known.sources]
    if fresh:
        findings += await _before_setup(settings, client, known, fresh)
    for entity in settings.entities:
        if entity.name in known.sources:
            findings += await _database(client, entity, known)
    return findings


async def _before_setup(
    settings: Settings, client: NotionClient, known: Sidecar, fresh: list[Entity]
) -> list[Finding]:
    """Return what `setup` would stumble over."""
    titles = ", ".join(entity.title for entity in fresh)
    findings = [
        error(
            "notion.setup", f"no Notion database is known for {titles}", "`run` does not start before setup.",
            "Run `mapable-cdc setup PAGE` with the link of a page that is shared with the connection.",
        )
    ]
    if settings.notion_parent_page_id is not None:
        try:
            page = await client.call("GET", f"pages/{settings.notion_parent_page_id}")
        except PageGone:
            findings.append(
                error(
                    "notion.parent", "the parent page (NOTION_PARENT_PAGE_ID) is not there, or not shared",
                    "Setup makes the databases under it.", f"Check the id; if it is right, {SHARE}.",
                )
            )
        else:
            if page.get("in_trash"):
                findings.append(
                    error(
                        "notion.parent", "the parent page (NOTION_PARENT_PAGE_ID) is in Notion's trash",
                        "Setup makes the databases under it.", "Restore it (Trash, in the side bar).",
                    )
                )
    finder = Finder(client, settings.entities, configured=settings.databases, parent_page_id=None)
    targets = {each: source.data_source_id for each, source in known.sources.items()}
    for entity in fresh:
        if entity.name in settings.databases:
            try:
                found = await finder.find(entity, known.sources)
                if found is not None:
                    completion.changes(entity, found.schema, {}, targets)
            except FatalError as stopped:
                findings.append(
                    error("notion.database", str(stopped), f"Setup would stop at {entity.title}.", stopped.hint)
                )
    return findings


async def _database(client: NotionClient, entity: Entity, known: Sidecar) -> list[Finding]:
    """Return how a database that setup stored stands."""
    source = known.sources[entity.name]
    try:
        schema = await Schemas(client).read(entity, source)
    except EntityUnavailable as gone:
        return [
            error(
                "notion.database", str(gone), f"{entity.title} stands still meanwhile; its changes wait.",
                f"To share it: {SHARE}. From the trash: Trash, in Notion's side bar, then Restore.",
            )
        ]
    targets = {each: stored.data_source_id for each, stored in known.sources.items()}
    now = drift.found(entity, schema, source, targets)
    findings = [
        error(
            "notion.property", why, "That one field is left alone; all others go on.",
            "Bring it back in Notion as it was, or run `mapable-cdc setup`.",
        )
        for why in now.paused.values()
    ]
    findings += [
        warning(
            "notion.options",
            f"{field_of(entity, key).name} of {entity.title} lacks the options {', '.join(labels)}",
            "Pages that showed them show nothing now.",
            "Nothing: an active `mapable-cdc run` puts them back. Or add them in Notion.",
        )
        for key, labels in now.missing.items()
    ]
    unset = [field.name for field in entity.fields if field.key not in source.properties]
    if unset:
        findings.append(
            error(
                "notion.property", f"{entity.title} has no property yet for {', '.join(unset)}",
                "These fields can't be shown.", "Run `mapable-cdc setup`: it adds what is missing.",
            )
        )
    return findings or [ok("notion.database", f"{entity.title} is shared and holds every field")]


async def _comments(settings: Settings, client: NotionClient, known: Sidecar) -> list[Finding]:
    """Return whether edits that come back can be explained, as far as reading tells."""
    why = "An edit that MapAble does not take is put back without a word about why."
    fix = f"{CONNECTION}, and under Capabilities allow it to read and insert comments."
    if known.comments_allowed is False:
        return [warning("notion.comments", "the connection was not allowed to write a comment", why, fix)]
    page = known.page_id or settings.notion_parent_page_id
    if page is not None:
        try:
            await NotionComments(client).comments(PageId(page), Priority.MANUAL)
        except PageGone:
            return []
        except CommentsForbidden:
            return [warning("notion.comments", "the connection may not read comments", why, fix)]
    if known.comments_allowed:
        return [ok("notion.comments", "the connection may comment")]
    return [ok("notion.comments", "whether it may write comments shows when the first edit is put back")]
