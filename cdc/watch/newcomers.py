"""Pages that people made: a row is made of one that is complete, and of the others a person is told what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from cdc.watch.comparing import facts_of
from sinks.base import Page, PageSink
from sinks.mapable.identifiers import fresh_id
from sinks.mapable.rowmaking import RowMaker
from sinks.mapping.drafting import Draft, draft
from sinks.mapping.entities import by_name, field_of
from sinks.mapping.model import Entity
from state import audit, links, looks, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.errors import TransientError
from state.links import PageState
from state.merge import Pair
from state.strays import Stray
from state.work import Claim

PARTICIPANT: Final = "participant"
SYSTEM_ID: Final = "systemId"
ROW: Final = "row"
"""The field that an explanation is about when it is about the whole page."""

log = structlog.get_logger(__name__)


class Explain(Protocol):
    """Tells people on the page, see `state.explanations`: once per (page, field, digest), in this transaction."""

    async def __call__(
        self, conn: Connection, key: Key, page_id: PageId, field: str, digest: str, text: str, /,
        *, participant_id: str | None = None,
    ) -> bool: ...


class Newcomers:
    """Makes rows of pages. The row, its link, the audit line and the end of the work commit together."""

    def __init__(
        self,
        pool: Pool,
        sink: PageSink,
        maker: RowMaker,
        explain: Explain,
        *,
        time_zone: ZoneInfo,
        directions: Mapping[str, str],
        grace_s: float,
    ) -> None:
        self._pool = pool
        self._sink = sink
        self._maker = maker
        self._explain = explain
        self._time_zone = time_zone
        self._directions = directions
        self._grace_s = grace_s

    async def make(self, claim: Claim, entity: Entity, page: Page) -> None:
        """Make the row, or say why there is none."""
        async with self._pool.connection() as conn:
            participant, reasons = await self._participant(conn, entity, page)
            defaulted = await self._maker.defaulted(conn, entity)
        drafted = draft(entity, page.values, page.unknown, defaulted, self._time_zone)
        reasons = (*drafted.reasons, *reasons)
        if not reasons:
            refused = await self._insert(claim, entity, page, drafted, participant)
            if refused is None:
                return
            reasons = (refused,)
        await self._refuse(claim, entity, page, participant, " ".join(reasons))

    async def participant(self, entity: Entity, page: Page) -> str | None:
        """Return the participant that the page names, for the audit log."""
        async with self._pool.connection() as conn:
            return (await self._participant(conn, entity, page))[0]

    async def _participant(
        self, conn: Connection, entity: Entity, page: Page
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return the participant that the page's relation points at, and what is wrong with it."""
        if entity.participant_column is None:
            return None, ()
        name = field_of(entity, PARTICIPANT).name
        shown = page.values.get(PARTICIPANT)
        if PARTICIPANT in page.unknown:
            return None, (f"{name} can't be read.",)
        if not isinstance(shown, list) or not shown:
            return None, ()
        if len(shown) > 1:
            return None, (f"{name} can only be one.",)
        link = (await looks.linked(conn, [PageId(shown[0])])).get(PageId(shown[0]))
        if link is None or link.entity_type != by_name(PARTICIPANT).table or link.state != PageState.LIVE:
            return None, (f"{name} is a page that has no record in MapAble.",)
        return link.system_id, ()

    async def _insert(
        self, claim: Claim, entity: Entity, page: Page, drafted: Draft, participant: str | None
    ) -> str | None:
        """Make the row and its link; return None, or why the database refuses it."""
        key = Key(entity.name, fresh_id())
        columns = dict(drafted.columns)
        if entity.participant_column is not None and participant is not None:
            columns[entity.participant_column] = participant
        async with self._pool.connection() as conn, conn.transaction():
            refused = await self._maker.insert(
                conn, entity, key.system_id, columns, person=page.created_by or "unknown"
            )
            if refused is not None:
                return refused
            await work.hold(conn, claim)
            # the System ID is not among what was agreed, so it is written next
            base = {field: Pair(value, value) for field, value in page.values.items() if field != SYSTEM_ID}
            linked = await links.adopt(
                conn, entity.table, key.system_id, page_id=page.page_id,
                database_id=self._sink.database_of(entity), direction=self._directions.get(entity.name, "both"),
                state=PageState.LIVE, base=base,
            )
            if not linked:
                # and with this error the row is none, either
                raise TransientError("the page was linked meanwhile")
            replaced = {field: page.values[field] for field in drafted.replaced}
            await audit.append(
                conn,
                audit.Entry(
                    "row.created", key, participant, page.page_id, tuple(page.values), actor=page.created_by or "sync",
                    request_id=page.request_id, detail={"replaced": replaced} if replaced else {},
                ),
            )
            await strays.resolve(conn, page.page_id)
            await work.mark(conn, {key: None}, reason=Reason.OURS | Reason.THEIRS, priority=Priority.LIVE)
            await work.finish(conn, [claim])
        log.info("row.created", entity=entity.name)
        return None

    async def _refuse(
        self, claim: Claim, entity: Entity, page: Page, participant: str | None, note: str
    ) -> None:
        """Say what is missing, once the page is left as it is for a moment: a person may still be filling it in."""
        facts = facts_of(page)
        key = Key(entity.name, page.system_id or "")
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, claim)
            before = (await strays.load(conn, [page.page_id])).get(page.page_id)
            known = before if before is not None and before.resolved_at is None else None
            said = known.note if known is not None else None
            left_alone = known is not None and known.facts == facts
            stray = Stray(
                page.page_id, entity.name, page.system_id, "new", note if left_alone else said, facts, page.edited_at
            )
            await strays.flag(conn, stray)
            if not left_alone:
                await work.release(conn, claim, wait_s=self._grace_s, counts=False)
                return
            await work.finish(conn, [claim])
            if said != note:
                await audit.append(
                    conn,
                    audit.Entry(
                        "row.refused", key, participant, page.page_id, actor=page.created_by or "sync",
                        request_id=page.request_id, detail={"why": note},
                    ),
                )
                await self._explain(
                    conn, key, page.page_id, ROW, sha256(note.encode()).hexdigest(),
                    f"MapAble has no record of this page yet. {note}", participant_id=participant,
                )
