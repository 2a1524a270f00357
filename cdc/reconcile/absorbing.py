"""Absorbing what a look at the page found: the row, the new base, conflicts and the audit line, in one transaction.

What has to go to the page comes after that, as an ordinary write (`cdc.reconcile.effects`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cdc.reconcile import crossing
from cdc.reconcile.delivery import hand_over
from cdc.reconcile.facts import Facts
from cdc.reconcile.merging import Merged, not_taken, take_back
from cdc.reconcile.plan import Refusal, Update
from cdc.reconcile.reading import Absorbed, Reader, Situation
from cdc.reconcile.recording import Recorder
from sinks.base import Page
from sinks.mapable.writeback import WriteBack
from sinks.mapping.entities import field_of
from state import conflicts, links, lookups, work
from state.database import Connection, Pool
from state.links import Link, PageState, Settled

Observer = Callable[[str, int], None]
"""Called with (entity, fields) once people's values are in a row."""


class Absorber:
    """Carries out the MapAble side of a merge."""

    def __init__(
        self,
        pool: Pool,
        reader: Reader,
        writeback: WriteBack,
        *,
        time_zone: ZoneInfo,
        grace_s: float,
        observer: Observer = lambda *_: None,
    ) -> None:
        self._observer = observer
        self._pool = pool
        self._reader = reader
        self._writeback = writeback
        self._time_zone = time_zone
        self._grace = timedelta(seconds=grace_s)

    async def absorb(self, now: Situation, page: Page, merged: Merged, facts: Facts, database_id: str) -> Absorbed:
        """Store what was found and return what is left. The key is cleared or given back unless a write is left."""
        assert now.link is not None
        async with self._pool.connection() as conn, conn.transaction():
            # MapAble's row before anything of the sidecar: capture and we lock in the same order
            again = await self._write_row(conn, now, merged, facts)
            refused = _refused(now.link, merged)
            due = self._due(now.link, merged, refused)
            left = {key: entry for key, entry in refused.items() if key not in due}
            wait_s = 0.0 if again else self._wait_s(now.link, merged, left)
            update = update_of(now, page, merged, due)
            await lookups.lock_targets(conn, now.waiting)
            await work.hold(conn, now.claim)
            recorder = Recorder(conn, now, page, self._time_zone)
            await self._record(recorder, now, merged, facts, refused)
            written = await _crossed(recorder, now.link, page, facts)
            await links.settle(
                conn, now.entity.table, now.claim.system_id,
                Settled(
                    page.page_id, database_id, now.direction, merged.base,
                    now.ours.left_out if now.ours is not None else {}, sent=False,
                    send_interval_s=now.link.send_interval_s, edited_at=page.edited_at, refused=refused,
                    written=written,
                ),
            )
            await conflicts.conflict_state(conn, now.entity.table, now.claim.system_id)
            await lookups.wait_for(conn, now.claim.key, now.waiting)
            back = now.link.state != PageState.LIVE
            arrived = back or await self._reader.pages(conn, set(now.waiting))
            if update is None and wait_s is None and not arrived:
                await work.finish(conn, [now.claim])
            elif update is None:
                await work.release(conn, now.claim, wait_s=wait_s or 0.0, counts=False)
            await recorder.queue_explanations()
        if back:
            async with self._pool.connection() as conn:
                await hand_over(conn, now.claim.key)
        if merged.pull:
            self._observer(now.entity.name, len(merged.pull))
        return Absorbed(update, wait_s, left, written)

    async def _write_row(self, conn: Connection, now: Situation, merged: Merged, facts: Facts) -> bool:
        """Write people's values to the row; what it did not take leaves the merge. True: look at the key again."""
        if not merged.pull:
            return False
        assert now.row is not None
        assert now.link is not None
        columns = {pulled.column: pulled.value for pulled in merged.pull.values()}
        written = await self._writeback.write(conn, now.entity, now.claim.system_id, now.row, columns)
        for key, pulled in tuple(merged.pull.items()):
            if written.missing or pulled.column in written.stale:
                take_back(merged, now.link.base, key)
            elif pulled.column in written.refused:
                reason = f"{field_of(now.entity, key).name}: {written.refused[pulled.column]}"
                not_taken(merged, now.link.base, facts.conflicts, key, reason)
                if now.direction == "from_notion" and key in merged.refused:
                    merged.left_as_is[key] = merged.refused.pop(key)
        return written.missing or bool(written.stale)

    def _due(self, link: Link, merged: Merged, refused: Mapping[str, Any]) -> dict[str, Refusal]:
        """Return the edits whose grace is over: a person who is still typing is not fought."""
        return {
            key: merged.refused[key]
            for key, entry in refused.items()
            if key in merged.refused and self._ends(entry) <= link.read_at
        }

    def _wait_s(self, link: Link, merged: Merged, left: Mapping[str, Any]) -> float | None:
        waits = [
            (self._ends(entry) - link.read_at).total_seconds()
            for key, entry in left.items()
            if key in merged.refused
        ]
        return max(0.0, min(waits)) if waits else None

    def _ends(self, entry: Mapping[str, Any]) -> datetime:
        return datetime.fromisoformat(entry["since"]) + self._grace

    @staticmethod
    async def _record(
        recorder: Recorder, now: Situation, merged: Merged, facts: Facts, refused: Mapping[str, Any]
    ) -> None:
        assert now.link is not None
        if now.link.state != PageState.LIVE:
            await recorder.line("page.linked_again", ())
        if now.link.pushing:
            await recorder.unanswered(now.link, refused)
        if merged.pull:
            await recorder.pulled(merged.pull, facts.edited_by)
        for key, clash in merged.decided.items():
            await recorder.decided(key, clash, facts.edited_by)
        for key, clash in merged.frozen.items():
            await recorder.frozen(key, clash, facts)
        for key, reason in merged.undone.items():
            await recorder.undone(key, reason, facts)
        for key, status in merged.closed.items():
            await recorder.closed(key, status, facts)
        for key, entry in refused.items():
            if entry != now.link.refused.get(key):
                await recorder.refused(key, entry, facts.edited_by)


def _refused(link: Link, merged: Merged) -> dict[str, Any]:
    """Return what is refused by now; a value that was refused before keeps the time of that."""
    entries: dict[str, Any] = {}
    for key, refusal in {**merged.left_as_is, **merged.refused}.items():
        before = link.refused.get(key)
        same = before is not None and before["value"] == refusal.theirs and before["reason"] == refusal.reason
        since = before["since"] if before is not None and same else link.read_at.isoformat()
        entries[key] = {"value": refusal.theirs, "since": since, "reason": refusal.reason}
        if refusal.unreadable:
            entries[key]["unreadable"] = True
    return entries


def update_of(now: Situation, page: Page, merged: Merged, due: Mapping[str, Refusal]) -> Update | None:
    """Return what is to be written to the page: ours where it changed, and where an edit is put back."""
    if now.ours is None:
        return None
    values = {**merged.push, **{key: now.ours.values[key] for key in due}}
    if not values:
        return None
    seen = {key: page.values[key] for key in values if key in page.values}
    return Update(page.page_id, values, dict(merged.base), put_back=dict(due), seen=seen)


async def _crossed(recorder: Recorder, link: Link, page: Page, facts: Facts) -> Mapping[str, Any] | None:
    """Record edits that an earlier write of ours crossed; return what is still to be watched of that write."""
    if link.written is None:
        return None
    found = crossing.crossed(link.written, facts.edits, facts.property_ids, page)
    for edit in found:
        await recorder.possibly_lost(edit)
    return crossing.without(link.written, [edit.field for edit in found])
