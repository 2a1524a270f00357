"""What a backfill would do, without a call that writes to Notion and without a change in the sidecar."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

from cdc.app import Parts, reader_of, sink_of
from cdc.reconcile.plan import Bury, Create, Nothing, Resolve, Settle, Trash
from cdc.reconcile.reading import Reader, Situation, unclaimed
from cdc.watch.adoption import found_pages
from sinks.mapping.model import Entity
from state import settings as facts
from state.changes import PageId
from state.links import Link, PageState
from state.merge import Base, base_to_json

PAGE: Final = 500
TWO_PAGES: Final = "two pages carry this System ID: trash one of them in Notion"

LINKED: Final[LiteralString] = """
select "systemId" from "NotionSyncMapping"
where "entityType" = %(entity_type)s and "systemId" > %(after)s
order by "systemId"
limit %(limit)s
"""

Pages = Mapping[str, tuple[tuple[PageId, Base], ...]]
"""Pages that stand already but are not linked yet, by System ID."""


@dataclass(slots=True)
class Forecast:
    """What a backfill of one entity would do. `invalid` rows hold what Notion can't show, or need a person."""

    entity: str
    create: int = 0
    update: int = 0
    unchanged: int = 0
    trash: int = 0
    invalid: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)   # (field or "page", reason) -> rows

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity, "create": self.create, "update": self.update, "unchanged": self.unchanged,
            "trash": self.trash, "invalid": self.invalid,
            "reasons": [
                {"field": name, "reason": reason, "rows": rows}
                for (name, reason), rows in sorted(self.reasons.items())
            ],
        }

    def count(self, now: Situation) -> None:
        """Count one row."""
        left_out = now.ours.left_out if now.ours is not None else {}
        self.reasons.update(left_out.items())
        if now.link is not None and now.link.state == PageState.AMBIGUOUS:
            self.invalid += 1
            self.reasons["page", TWO_PAGES] += 1
            return
        match now.plan:
            case Create() | Resolve():
                self.create += 1
            case Nothing() | Settle() | Bury():
                self.unchanged += 1
            case Trash():
                self.trash += 1
            case _:
                self.update += 1
        self.invalid += bool(left_out)


async def forecast(parts: Parts, entities: Sequence[Entity]) -> tuple[Forecast, ...]:
    """Return what would be done to every row and every linked page of these entities."""
    sink = await sink_of(parts, remembers=False)
    reader = reader_of(parts, sink, remembers=False)
    async with parts.pool.connection() as conn:
        sources = await facts.data_sources(conn)
    forecasts = []
    for entity in entities:
        pages = {} if sources[entity.name].scanned_at is not None else await found_pages(sink, entity)
        told = Forecast(entity.name)
        async for now in _situations(parts, reader, entity):
            told.count(_adopted(now, pages.get(now.claim.system_id, ())))
        forecasts.append(told)
    return tuple(forecasts)


async def _situations(parts: Parts, reader: Reader, entity: Entity) -> AsyncIterator[Situation]:
    """Return every row that is due a page, and then every link whose row is not."""
    after = ""
    while ids := await parts.rows.page_of_ids(entity, after, PAGE):
        after = ids[-1]
        for now in await reader.read(entity, [unclaimed(entity, system_id) for system_id in ids]):
            yield now
    after = ""
    while ids := await _linked(parts, entity, after):
        after = ids[-1]
        for now in await reader.read(entity, [unclaimed(entity, system_id) for system_id in ids]):
            member = now.ours is not None and now.ours.member
            gone_and_done = now.ours is None and isinstance(now.plan, Nothing)
            if not member and not gone_and_done:
                yield now


async def _linked(parts: Parts, entity: Entity, after: str) -> tuple[str, ...]:
    async with parts.pool.connection() as conn:
        cursor = await conn.execute(LINKED, {"entity_type": entity.table, "after": after, "limit": PAGE})
        return tuple(row[0] for row in await cursor.fetchall())


def _adopted(now: Situation, pages: Sequence[tuple[PageId, Base]]) -> Situation:
    """Return the situation as it would be once what stands already was adopted."""
    if now.link is not None or not pages:
        return now
    state = PageState.LIVE if len(pages) == 1 else PageState.AMBIGUOUS
    page_id, base = pages[0]
    link = Link(
        now.entity.table, now.claim.system_id, page_id, state.value, now.direction, None,
        base_to_json(base), None, {}, None, 0.0, datetime.now(UTC),
    )
    return Situation(now.claim, now.entity, now.ours, link, now.visible, now.direction, now.participant_id)
