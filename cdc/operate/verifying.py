"""Comparing every row with every page, without changing anything: what `mapable-cdc verify` finds.

A hundred pages a read. What seems to differ is looked at once more, row and page, before it is told: queries may show a
page as it was a moment ago, and a change that is on its way is over by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, LiteralString

from cdc.app import Parts, reader_of, sink_of
from cdc.operate.differences import Finding, Verified, What, lost, told, why, without_page
from cdc.reconcile.reading import Situation, unclaimed
from cdc.watch.differing import differences, unread
from sinks.base import EntityUnavailable, Page, PageGone
from sinks.mapable.rows import SourceChanged
from sinks.mapping.model import Entity
from state import links, looks, strays, work
from state.changes import Key, PageId, Priority, Reason
from state.links import PageState

ROWS: Final = 5_000
LOOKS: Final = 200
"""So many of an entity's records are looked at once more; of the rest what was seen first is told."""

QUEUED: Final[LiteralString] = """
select entity, system_id from work
where (entity, system_id) in (select * from unnest(%(entities)s::text[], %(ids)s::text[]))
"""


class Verifying:
    """Compares. Changes nothing on either side, nor in the sidecar."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __aenter__(self) -> Verifying:
        self._sink = await sink_of(self._parts, remembers=False)
        self._reader = reader_of(self._parts, self._sink, remembers=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    async def entity(self, entity: Entity) -> Verified:
        """Return how the rows and pages of an entity stand to each other."""
        try:
            found = await self._compared(entity)
        except (EntityUnavailable, SourceChanged) as error:
            return Verified(entity, trouble=str(error))
        return replace(found, findings=await self._with_queue(found.findings))

    async def after(self, before: Verified) -> Verified:
        """Return what is left of what was found of an entity before."""
        try:
            return replace(before, findings=await self.again(before.findings))
        except (EntityUnavailable, SourceChanged) as error:
            return replace(before, trouble=str(error))

    async def again(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return those of the findings that still hold."""
        found = [await self._looked_again(finding) for finding in findings]
        return await self._with_queue([finding for finding in found if finding is not None])

    async def _compared(self, entity: Entity) -> Verified:
        seen: set[PageId] = set()
        suspects: list[Finding] = []
        async for pages in self._sink.scan(entity, priority=Priority.BACKFILL):
            seen.update(page.page_id for page in pages)
            suspects += await self._of_pages(entity, pages)
        rows, missing = await self._of_rows(entity, seen)
        known = {finding.system_id for finding in suspects if finding.system_id is not None}
        suspects += [finding for finding in missing if finding.system_id not in known]
        findings = [*await self.again(suspects[:LOOKS]), *suspects[LOOKS:]]
        return Verified(entity, rows, len(seen), tuple(findings))

    async def _of_pages(self, entity: Entity, pages: Sequence[Page]) -> list[Finding]:
        """Return what seems wrong with pages that a query showed."""
        async with self._parts.pool.connection() as conn:
            known = await looks.linked(conn, [page.page_id for page in pages])
            ids = [page.system_id for page in pages if page.page_id not in known and page.system_id is not None]
            being_made = await looks.being_made(conn, entity.table, ids)
        linked = {
            link.system_id: page
            for page in pages
            if (link := known.get(page.page_id)) is not None and link.entity_type == entity.table
        }
        suspects = [
            Finding(entity, What.NO_ROW, None, page.page_id)
            for page in pages
            if page.page_id not in {one.page_id for one in linked.values()} and page.system_id not in being_made
        ]
        for now in await self._read(entity, list(linked)) if linked else ():
            finding = self._finding(now, linked[now.claim.system_id])
            if finding is not None:
                suspects.append(finding)
        return suspects

    async def _of_rows(self, entity: Entity, seen: set[PageId]) -> tuple[int, list[Finding]]:
        """Return the number of rows that are due a page, and those whose page was not among those seen."""
        rows, after = 0, ""
        suspects: list[Finding] = []
        one_way = self._parts.settings.direction_of(entity) == "from_notion"
        while ids := await self._parts.rows.page_of_ids(entity, after, ROWS):
            rows, after = rows + len(ids), ids[-1]
            async with self._parts.pool.connection() as conn:
                known = await links.load(conn, entity.table, ids)
            for system_id in ids:
                link = known.get(system_id)
                if link is None and one_way:
                    continue
                if link is None or link.state != PageState.LIVE or link.page_id not in seen:
                    suspects.append(without_page(entity, system_id, link))
        return rows, suspects

    async def _looked_again(self, finding: Finding) -> Finding | None:
        """Return what is to be said of it by now; None: nothing."""
        entity = finding.entity
        if finding.system_id is None:
            assert finding.page_id is not None
            return await self._stray(entity, finding.page_id)
        (now,) = await self._read(entity, [finding.system_id])
        link = now.link
        if link is None or link.page_id is None or link.state == PageState.UNLINKED:
            due = now.ours is not None and now.ours.member and now.direction != "from_notion"
            shown = due or (link is not None and link.state == PageState.UNLINKED)
            return without_page(entity, finding.system_id, link) if shown else None
        try:
            async with self._sink.turn(Priority.BACKFILL):
                page = await self._sink.read(entity, link.page_id)
        except PageGone:
            return lost(now, "Notion knows no such page, or it is not shared")
        if page.in_trash:
            return lost(now, "its page is in Notion's trash")
        if not self._sink.holds(entity, page):
            return lost(now, "its page was moved out of the database")
        return self._finding(now, page, thoroughly=True)

    async def _stray(self, entity: Entity, page_id: PageId) -> Finding | None:
        async with self._parts.pool.connection() as conn:
            known = await looks.linked(conn, [page_id])
            stray = (await strays.load(conn, [page_id])).get(page_id)
        link = known.get(page_id)
        if link is not None and link.entity_type == entity.table:
            return None
        note = "it belongs to a row of another database" if link is not None else told(stray)
        return Finding(entity, What.NO_ROW, None, page_id, note)

    def _finding(self, now: Situation, page: Page, *, thoroughly: bool = False) -> Finding | None:
        """Return what the row and its page make; values that were not read to their end want a closer look."""
        assert now.link is not None
        entity, system_id = now.entity, now.claim.system_id
        if now.link.state == PageState.UNLINKED:
            return without_page(entity, system_id, now.link)
        if now.ours is None or now.row is None:
            return Finding(entity, What.NO_ROW, system_id, page.page_id, "its row is gone")
        found = differences(
            entity, now.row, now.ours, now.link.base, now.link.pushing or {}, page, direction=now.direction,
            opened=self._parts.settings.opened, time_zone=self._parts.settings.zone,
        )
        if not found and (thoroughly or not unread(page)) and now.link.state == PageState.LIVE:
            return None
        return Finding(entity, What.DIFFERS, system_id, page.page_id, why(now, found), found)

    async def _read(self, entity: Entity, ids: Sequence[str]) -> Sequence[Situation]:
        return await self._reader.read(entity, [unclaimed(entity, system_id) for system_id in ids])

    async def _with_queue(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        keys = [finding.key for finding in findings]
        async with self._parts.pool.connection() as conn:
            cursor = await conn.execute(
                QUEUED, {"entities": [key.entity for key in keys], "ids": [key.system_id for key in keys]}
            )
            queued = {Key(row[0], row[1]) for row in await cursor.fetchall()}
        return tuple(replace(finding, queued=finding.key in queued) for finding in findings)


async def mark(parts: Parts, findings: Sequence[Finding]) -> None:
    """Have what was found compared on both sides and put right, as after any change; not what a person unlinked."""
    keys: Mapping[Key, int | None] = {
        finding.key: None for finding in findings if finding.what is not What.UNLINKED
    }
    async with parts.pool.connection() as conn, conn.transaction():
        await work.mark(conn, keys, reason=Reason.OURS | Reason.THEIRS, priority=Priority.BACKFILL)
