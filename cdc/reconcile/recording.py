"""Writing down what a look at the page found: audit lines, conflicts, and what people are told, in one transaction.

No value is lost without a line. Explanations are gathered, and queued last: they take a lock of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from cdc.reconcile.crossing import Crossed
from cdc.reconcile.facts import Facts
from cdc.reconcile.merging import PING_PONG, Clash, Pulled
from cdc.reconcile.plan import Refusal
from cdc.reconcile.reading import Situation
from cdc.reconcile.strategy import Winner
from sinks.base import Page
from sinks.mapping import wording
from sinks.mapping.entities import field_of
from sinks.mapping.likeness import alike
from sinks.mapping.model import Owner
from state import audit, conflicts
from state.changes import ABSENT, Absent
from state.database import Connection
from state.explanations import digest_of, explain
from state.links import Link
from state.merge import Json


class Recorder:
    """What is to be said about one record, on the connection of the transaction that does it."""

    def __init__(self, conn: Connection, now: Situation, page: Page, time_zone: ZoneInfo) -> None:
        self._conn = conn
        self._now = now
        self._page = page
        self._zone = time_zone
        self._explanations: list[tuple[str, str, str]] = []

    async def line(
        self, action: str, properties: tuple[str, ...], detail: Mapping[str, object] | None = None,
        actor: str | None = None,
    ) -> None:
        """Write one audit line about the record."""
        entry = audit.Entry(
            action, self._now.claim.key, self._now.participant_id, self._page.page_id, properties,
            actor=actor or "sync", request_id=self._page.request_id, detail=detail or {},
        )
        await audit.append(self._conn, entry)

    async def pulled(self, pulled: Mapping[str, Pulled], by: str | None) -> None:
        """People's values went to the row."""
        assert self._now.ours is not None
        was = self._now.ours.values
        detail = {key: {"was": was.get(key), "now": one.theirs} for key, one in pulled.items()}
        await self.line("row.updated", tuple(pulled), {"fields": detail}, by or "notion")

    async def decided(self, key: str, clash: Clash, by: str | None) -> None:
        """The strategy chose. Whoever edited the page is told that MapAble's value was kept."""
        await self.line("conflict.decided", (key,), _told(clash, by))
        # at first contact the page may be as we made it ourselves; later only somebody else can have changed it
        if clash.verdict.winner is Winner.MAPABLE and (by is not None or self._was_agreed(key)):
            text = wording.notion_lost(field_of(self._now.entity, key), clash.notion, clash.mapable, self._zone)
            self._explain(key, [clash.notion, clash.mapable], text)

    async def frozen(self, key: str, clash: Clash, facts: Facts) -> None:
        """A person has to choose; nothing is written down when nothing is new."""
        before = facts.conflicts.get(key)
        found = await conflicts.put_open(
            self._conn, entity_type=self._now.entity.table, system_id=self._now.claim.system_id,
            page_id=self._page.page_id, field=key, base=clash.base, mapable=clash.mapable, notion=clash.notion,
            mapable_at=clash.verdict.mapable_at, notion_at=facts.edited_at, notion_by=facts.edited_by,
            rule=clash.verdict.rule, seen=before.version if before is not None else 0,
        )
        if before is None:
            await self.line("conflict.opened", (key,), {"id": found.id, **_told(clash, facts.edited_by)})
            text = wording.frozen(
                field_of(self._now.entity, key), clash.notion, clash.mapable, self._zone,
                ping_pong=clash.verdict.rule == PING_PONG,
            )
            self._explain(key, ["conflict", str(found.id)], text)
        elif (before.version, before.status) != (found.version, found.status) and found.status == "open":
            await self.line("conflict.refreshed", (key,), {"id": found.id, **_told(clash, facts.edited_by)})

    async def undone(self, key: str, reason: str, facts: Facts) -> None:
        """What a person chose can't be done; the conflict waits for another choice."""
        await self.line("conflict.undone", (key,), {"id": facts.conflicts[key].id, "reason": reason})

    async def unanswered(self, link: Link, refused: Mapping[str, Any]) -> None:
        """A write of ours was not answered: what of it the page shows went there, and the rest may have.

        What it put back is told now, unless the edit stands there again.
        """
        assert link.pushing is not None
        arrived = [
            key for key, sent in link.pushing.items()
            if key in self._page.values and alike(field_of(self._now.entity, key).kind)(sent, self._page.values[key])
        ]
        if arrived:
            await self.line("page.updated", tuple(arrived), {"answer": "lost"})
        if rest := link.pushing.keys() - set(arrived):
            await self.line("page.unanswered", tuple(rest))
        for key in arrived:
            if key in link.refused and key not in refused:
                entry = link.refused[key]
                refusal = Refusal(entry["value"], entry["reason"], unreadable=entry.get("unreadable", False))
                await self.put_back(key, refusal, link.pushing[key])

    async def closed(self, key: str, status: str, facts: Facts) -> None:
        """A conflict is over: somebody chose, or both sides are equal."""
        conflict = facts.conflicts[key]
        by = audit.OPERATOR if status == "resolved" else "sync"
        await conflicts.close(self._conn, conflict.id, status, by)
        detail = {
            "id": conflict.id, "mapable": conflict.mapable, "notion": conflict.notion, "choice": conflict.choice,
            "value": conflict.value,
        }
        await self.line(f"conflict.{status}", (key,), detail, by)

    async def refused(self, key: str, entry: Mapping[str, Any], by: str | None) -> None:
        """MapAble does not take an edit."""
        await self.line("edit.refused", (key,), {"value": entry["value"], "reason": entry["reason"]}, by or "notion")

    async def put_back(self, key: str, refusal: Refusal, kept: Json) -> None:
        """A refused edit was overwritten with MapAble's value."""
        declared = field_of(self._now.entity, key)
        await self.line("edit.put_back", (key,), {"value": refusal.theirs, "kept": kept, "reason": refusal.reason})
        typed = refusal.theirs
        text = (
            wording.app_owned(declared, typed, kept, self._zone)
            if declared.owner is Owner.APP and not refusal.unreadable
            else wording.put_back(declared, refusal.reason, ABSENT if refusal.unreadable else typed, kept, self._zone)
        )
        self._explain(key, typed, text)

    async def possibly_lost(self, edit: Crossed) -> None:
        """A write of ours may have crossed a person's edit."""
        detail = {
            "mapable": edit.ours, "lastSeen": edit.seen, "by": edit.by, "at": edit.at.isoformat(),
            "event": edit.event_id,
        }
        await self.line("edit.possibly_lost", (edit.field,), detail, edit.by)
        text = wording.crossed(field_of(self._now.entity, edit.field), edit.ours, edit.seen, self._zone)
        self._explain(edit.field, ["event", edit.event_id], text)

    async def queue_explanations(self) -> None:
        """Queue what people are told. The last thing in the transaction."""
        for key, digest, text in self._explanations:
            await explain(
                self._conn, self._now.claim.key, self._page.page_id, key, digest, text,
                participant_id=self._now.participant_id,
            )

    def _was_agreed(self, key: str) -> bool:
        pair = self._now.link.base.get(key) if self._now.link is not None else None
        return pair is not None and not isinstance(pair.sent, Absent) and not isinstance(pair.got, Absent)

    def _explain(self, key: str, spoken_of: Json | Sequence[Json], text: str) -> None:
        self._explanations.append((key, digest_of(spoken_of), text))


def _told(clash: Clash, by: str | None) -> dict[str, object]:
    verdict = clash.verdict
    return {
        "base": clash.base, "mapable": clash.mapable, "notion": clash.notion, "winner": verdict.winner.value,
        "rule": verdict.rule,
        "mapableAt": verdict.mapable_at.isoformat() if verdict.mapable_at else None,
        "notionAt": verdict.notion_at.isoformat() if verdict.notion_at else None,
        "notionBy": by,
    }
