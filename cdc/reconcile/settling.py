"""Storing what Notion answered: the new base, the audit line and the cleared key, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from cdc.reconcile import crossing
from cdc.reconcile.delivery import hand_over
from cdc.reconcile.plan import Update, next_interval_s
from cdc.reconcile.reading import Reader, Situation
from cdc.reconcile.recording import Recorder
from cdc.watch.comparing import EMPTY
from sinks.base import Page, PageSink
from sinks.mapping.entities import field_of
from sinks.mapping.likeness import alike
from state import audit, links, lookups, settings, stamps, work
from state.changes import Absent, PageId, Priority, Reason
from state.database import Connection, Pool
from state.links import PageState, Settled
from state.merge import Base, Json, observed
from state.work import Claim

log = structlog.get_logger(__name__)


class Settling:
    """Settles one key at a time."""

    def __init__(self, pool: Pool, sink: PageSink, reader: Reader, *, time_zone: ZoneInfo) -> None:
        self._pool = pool
        self._sink = sink
        self._reader = reader
        self._time_zone = time_zone

    async def base_after(self, now: Situation, base: Base, sent: Mapping[str, Json], page: Page) -> Base:
        """Return the base after Notion answered a write.

        An answer that is not what was sent is Notion's way of writing it; unless somebody else has edited since.
        """
        strange = [key for key, value in sent.items() if not _arrived(now, key, value, page)]
        if strange and page.edited_by is not None:
            async with self._pool.connection() as conn:
                ours = (await settings.get(conn, settings.BOT) or {}).get("id") == page.edited_by
            if not ours:
                got = {key: value for key, value in page.values.items() if key not in strange}
                return observed(base, sent, got)
        return observed(base, sent, page.values)

    async def store(
        self,
        now: Situation,
        page_id: PageId,
        base: Base,
        action: str,
        properties: Mapping[str, Json],
        *,
        page: Page | None = None,
        plan: Update | None = None,
        again: bool = False,
        theirs: bool = False,
        read: Collection[str] = (),
    ) -> None:
        """Store the new base and the audit line and clear the key, in one transaction under the lease.

        `again`: the page was only found, and shows `read`; the key goes back at once, to be compared (`theirs`: with a
        look at it).
        """
        entity, claim = now.entity, now.claim
        waiting = now.waiting
        left_out = now.ours.left_out if now.ours is not None else {}
        newly_live = now.link is None or now.link.state != PageState.LIVE
        edited = edited_of(plan.base, page, properties) if plan is not None and page is not None else ()
        # what has the same ids in another database, as the title has, is written there without a word
        theirs = theirs or (page is not None and not self._sink.holds(entity, page))
        sent = bool(properties)
        settled = Settled(
            page_id, self._sink.database_of(entity), now.direction, base, left_out, sent,
            next_interval_s(now.link) if sent else (now.link.send_interval_s if now.link else 0.0),
            page.edited_at if page is not None else None, _refused(now), _written(now, plan, page),
        )
        wait_s = 0.0 if again else now.left.wait_s if now.left is not None else None
        async with self._pool.connection() as conn:
            async with conn.transaction():
                # before the work row: whoever delivers the awaited page holds this lock while it marks us
                await lookups.lock_targets(conn, waiting)
                await work.hold(conn, claim)
                await links.settle(conn, entity.table, claim.system_id, settled)
                await seed_stamp(conn, now)
                await self._line(conn, now, page_id, action, properties, page, plan, read)
                await lookups.wait_for(conn, claim.key, waiting)
                if edited or theirs:
                    # the answer shows what people did meanwhile: look at once
                    await work.mark(
                        conn, {claim.key: None}, reason=Reason.THEIRS, priority=Priority(claim.priority)
                    )
                arrived = await self._reader.pages(conn, set(waiting))
                if arrived or wait_s is not None:
                    await work.release(conn, claim, wait_s=0 if arrived else wait_s or 0.0, counts=False)
                elif not newly_live:
                    await work.finish(conn, [claim])
                if plan is not None and plan.put_back and page is not None:
                    await self._told(conn, now, plan, page)
            if newly_live:
                await hand_over(conn, claim.key)
                if not (arrived or wait_s is not None):
                    await work.finish(conn, [claim])
        log.debug(action, entity=entity.name, properties=len(properties), took_s=_age_s(claim))

    @staticmethod
    async def _line(
        conn: Connection, now: Situation, page_id: PageId, action: str, sent: Mapping[str, Json], page: Page | None,
        plan: Update | None, read: Collection[str],
    ) -> None:
        left_out = now.ours.left_out if now.ours is not None else {}
        detail: dict[str, object] = {"left_out": dict(left_out)} if left_out else {}
        normalised = sorted(
            key for key, value in sent.items() if page is not None and page.values.get(key, value) != value
        )
        if normalised:
            detail["normalised"] = normalised
        if replaced := _replaced(now, sent, plan):
            detail["replaced"] = replaced
        await audit.append(
            conn,
            audit.Entry(
                action, now.claim.key, now.participant_id, page_id, tuple(sent) or tuple(read),
                request_id=page.request_id if page is not None else None, detail=detail,
            ),
        )

    async def _told(self, conn: Connection, now: Situation, plan: Update, page: Page) -> None:
        """Say what was put back, in the audit log and on the page."""
        recorder = Recorder(conn, now, page, self._time_zone)
        for key, refusal in plan.put_back.items():
            await recorder.put_back(key, refusal, plan.values[key])
        await recorder.queue_explanations()


async def seed_stamp(conn: Connection, now: Situation) -> None:
    """Keep what the row looked like, so that a change of a column that is not mapped can be told from one that is."""
    if now.row is not None and now.hashes:
        await stamps.seed(conn, now.entity.name, {now.claim.system_id: now.hashes})


def _replaced(now: Situation, sent: Mapping[str, Json], plan: Update | None) -> Mapping[str, Json]:
    """Return what stood in fields that MapAble keeps before the first write that was seen: no edit was refused."""
    base = now.link.base if now.link is not None else {}
    only_seen = {key: pair.got for key, pair in base.items() if isinstance(pair.sent, Absent)}
    unseen = {key for key, pair in base.items() if isinstance(pair.got, Absent)}    # sent, and the answer was lost
    looked = {
        key: value for key, value in plan.seen.items() if key not in base or key in only_seen or key in unseen
    } if plan else {}
    kept = (now.ours.shared if now.ours is not None else frozenset()) | (plan.put_back.keys() if plan else frozenset())
    return {
        key: value
        for key, value in {**only_seen, **looked}.items()
        if key in sent and key not in kept
        and not isinstance(value, Absent) and value not in EMPTY
        and not alike(field_of(now.entity, key).kind)(sent[key], value)
    }


def _arrived(now: Situation, key: str, value: Json, page: Page) -> bool:
    """Whether the answer shows what was sent; what can't be read of it says nothing against that."""
    return key not in page.values or alike(field_of(now.entity, key).kind)(value, page.values[key])


def edited_of(base: Base, page: Page, sent: Collection[str]) -> tuple[str, ...]:
    """Return the fields that were not written and show something else than what was last agreed on."""
    return tuple(
        key
        for key, pair in base.items()
        if key not in sent and key in page.values and not isinstance(pair.got, Absent) and page.values[key] != pair.got
    )


def _refused(now: Situation) -> Mapping[str, Any]:
    if now.left is not None:
        return now.left.refused
    return now.link.refused if now.link is not None and now.link.state == PageState.LIVE else {}


def _written(now: Situation, plan: Update | None, page: Page | None) -> Mapping[str, Any] | None:
    """Return what is kept of the last write of shared fields, for edits that it may have crossed."""
    before = now.left.written if now.left is not None else now.link.written if now.link is not None else None
    if plan is None or page is None or now.link is None or now.ours is None:
        return before
    shared = {key: value for key, value in plan.values.items() if key in now.ours.shared}
    seen = {**{key: pair.got for key, pair in now.link.base.items() if not isinstance(pair.got, Absent)}, **plan.seen}
    return crossing.remembered(
        shared, seen, page.values,
        read_at=now.link.read_at - timedelta(seconds=now.seen_before_s), wrote_at=datetime.now(UTC),
    ) or before


def _age_s(claim: Claim) -> float:
    return (datetime.now(UTC) - claim.marked_at).total_seconds()
