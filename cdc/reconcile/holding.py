"""Holding deletes back: whether a page may follow its row into the trash now, and what a person said about the rest.

Verdicts are kept, so that a delete that is met again, by whoever, ends the same way. What a participant's (or a plan's)
deletion took along follows the verdict about the participant, whichever of them is met first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from cdc.reconcile.deleting import WINDOW, gone_with, may_go
from sinks.mapable.rows import Rows
from sinks.mapping.entities import by_name
from sinks.mapping.model import Entity
from state import audit, conflicts, deletions, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.deletions import Deletion, Parent, Verdict
from state.links import Link, PageState
from state.merge import Base

PARTICIPANT: Final = by_name("participant")
PLAN: Final = by_name("ndisplan")
PAYMENT: Final = by_name("payment")
WINDOW_S: Final = WINDOW.total_seconds()

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """What a deletion counts as: itself, or the record whose deletion took it along."""

    key: Key
    participant_id: str | None
    parent: Parent | None = None

    @property
    def follows(self) -> bool:
        """Whether the verdict about the parent is the verdict: its page is, or was, linked."""
        return self.parent is not None and self.parent.state in (PageState.LIVE, PageState.TRASHED)


class Holding:
    """Judges deletes, one entity at a time, so that workers that run side by side keep to the limit together."""

    def __init__(self, pool: Pool, rows: Rows) -> None:
        self._pool = pool
        self._rows = rows

    async def group(self, entity: Entity, key: Key, link: Link) -> Group:
        """Find out what the deletion of this row counts as; takes connections of its own."""
        if entity.participant_column is None:
            return Group(key, key.system_id)
        page_id = _participant_page(link.base)
        if page_id is None:
            return Group(key, None)
        async with self._pool.connection() as conn:
            participant = await deletions.parent(conn, PARTICIPANT.table, page_id)
        if participant is None:
            return Group(key, None)
        if await self._rows.gone(PARTICIPANT, [participant.system_id]):
            return Group(Key(PARTICIPANT.name, participant.system_id), participant.system_id, participant)
        if entity.name == PAYMENT.name:
            # a payment does not show its plan, but a participant has one plan at a time
            async with self._pool.connection() as conn:
                plans = await deletions.plans_of(conn, PLAN.name, PLAN.table, participant)
            gone = await self._rows.gone(PLAN, [plan.system_id for plan in plans])
            for plan in plans:
                if plan.system_id in gone:
                    return Group(Key(PLAN.name, plan.system_id), participant.system_id, plan)
        return Group(key, participant.system_id)

    async def allows(
        self, conn: Connection, entity: Entity, key: Key, page_id: PageId, group: Group, deleted_at: datetime
    ) -> bool:
        """Whether the page of a row that is gone may go now; recorded in the caller's transaction.

        `deleted_at` is when MapAble committed it. Holds a lock on the verdicts until the transaction ends.
        """
        await deletions.lock(conn, group.key.entity if group.follows else entity.name)
        item = Deletion(
            entity.name, key.system_id, page_id, group.participant_id, group.key.entity, group.key.system_id,
            deleted_at, Verdict.WENT,
        )
        match await deletions.verdict(conn, key):
            case Verdict.WENT:
                return True
            case Verdict.APPROVED:
                await deletions.record(conn, item)
                return True
            case Verdict.REJECTED:
                return False
            case Verdict.HELD if not group.follows:
                return False
            case None if not group.follows:
                return await self._judge(conn, entity, item)
        if await self._parent_goes(conn, group, deleted_at):
            await deletions.record(conn, item)
            return True
        await _hold(conn, item)
        return False

    async def _parent_goes(self, conn: Connection, group: Group, deleted_at: datetime) -> bool:
        """Return the verdict about the parent; its own deletion, committed with this one, may not be met yet."""
        parent = group.parent
        assert parent is not None
        match await deletions.verdict(conn, group.key):
            case Verdict.WENT | Verdict.APPROVED:
                return True
            case Verdict.HELD | Verdict.REJECTED:
                return False
        if parent.state == PageState.TRASHED:
            return True
        item = Deletion(
            group.key.entity, group.key.system_id, parent.page_id, group.participant_id, group.key.entity,
            group.key.system_id, deleted_at, Verdict.WENT,
        )
        return await self._judge(conn, by_name(group.key.entity), item)

    async def _judge(self, conn: Connection, entity: Entity, item: Deletion) -> bool:
        """Decide by the numbers, and record it."""
        groups = await deletions.gone_groups(conn, entity.name, item.deleted_at, WINDOW_S)
        gone = gone_with(item.deleted_at, groups.values())
        if (
            item.group in groups
            # few may go from any entity; counting a large one is only worth it beyond that
            or may_go(0, gone)
            or may_go(await deletions.linked(conn, entity.name, entity.table, item.deleted_at, WINDOW_S), gone)
        ):
            await deletions.record(conn, item)
            return True
        await _hold(conn, item)
        return False


async def rows_back(conn: Connection, entity: Entity, ids: Sequence[str]) -> None:
    """These rows are there: whatever was held or decided about their absence is void."""
    for undone in await deletions.rows_back(conn, entity.name, entity.table, ids):
        if undone.state != Verdict.WENT:
            key = Key(entity.name, undone.system_id)
            await audit.append(conn, audit.Entry("delete.undone", key, undone.participant_id, undone.page_id))


async def nothing_to_decide(conn: Connection, entity: Entity, key: Key, participant_id: str | None) -> None:
    """The row is gone, and with it one side of whatever a person had to decide; the values stay on record."""
    for conflict in await conflicts.close_of(conn, entity.table, key.system_id, "converged", "sync"):
        detail = {"id": conflict.id, "mapable": conflict.mapable, "notion": conflict.notion}
        line = audit.Entry("conflict.gone", key, participant_id, conflict.page_id, (conflict.field,), detail=detail)
        await audit.append(conn, line)


async def approve(conn: Connection, items: Sequence[Deletion], actor: str) -> tuple[Deletion, ...]:
    """Let the pages go; return those that were still held. Their keys are marked, and a running sync does the rest."""
    async with conn.transaction():
        decided = await deletions.decide(conn, items, Verdict.APPROVED)
        keys = dict.fromkeys((item.key for item in decided), None)
        await work.mark(conn, keys, reason=Reason.OURS, priority=Priority.MANUAL)
        await _audit(conn, "delete.approved", decided, actor)
    return decided


async def reject(conn: Connection, items: Sequence[Deletion], actor: str) -> tuple[Deletion, ...]:
    """Keep the pages, which stand for themselves from now on; return those that were still held."""
    async with conn.transaction():
        decided = await deletions.decide(conn, items, Verdict.REJECTED)
        for item in decided:
            await nothing_to_decide(conn, by_name(item.entity), item.key, item.participant_id)
            await deletions.unlink(conn, by_name(item.entity).table, item.system_id)
        await _audit(conn, "delete.rejected", decided, actor)
    return decided


async def _audit(conn: Connection, action: str, items: Sequence[Deletion], actor: str) -> None:
    for item in items:
        await audit.append(conn, audit.Entry(action, item.key, item.participant_id, item.page_id, actor=actor))


async def _hold(conn: Connection, item: Deletion) -> None:
    if await deletions.verdict(conn, item.key) is Verdict.HELD:
        return
    if not await deletions.any_held(conn, item.entity):
        log.error(
            "deletes.held", entity=item.entity,
            hint="Many rows are gone at once: see `mapable-cdc deletes list`, then approve or reject.",
        )
    await deletions.record(
        conn,
        Deletion(
            item.entity, item.system_id, item.page_id, item.participant_id, item.group_entity, item.group_id,
            item.deleted_at, Verdict.HELD,
        ),
    )
    await audit.append(conn, audit.Entry("delete.held", item.key, item.participant_id, item.page_id))


def _participant_page(base: Base) -> PageId | None:
    """Return the page that the record's relation shows, as last agreed: the row itself can't tell any more."""
    pair = base.get("participant")
    for half in (pair.sent, pair.got) if pair is not None else ():
        if isinstance(half, list) and half:
            return PageId(half[0])
    return None
