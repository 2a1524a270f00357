"""What a merge has to know beside the two sides: open conflicts, when each side changed, what keeps changing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from zoneinfo import ZoneInfo

from cdc.reconcile.merging import Rules
from cdc.reconcile.reading import Situation
from cdc.reconcile.strategy import Moment, Times, Verdict, verdict
from sinks.base import Page, PageSink
from sinks.mapping.entities import columns_of
from sinks.mapping.model import Column, Field
from state import conflicts, inbox, stamps
from state.conflicts import Conflict
from state.database import Connection, Pool
from state.inbox import Edits
from state.settings import BOT, get
from state.stamps import Stamp

RESTLESS_AFTER: Final = 3
"""So many writes of a field in each direction, within ten minutes, are nobody's work."""

RESTLESS: Final[LiteralString] = """
select property
from (select action, unnest(properties) as property from audit_log
      where entity = %(entity)s and system_id = %(system_id)s
        and action in ('row.updated', 'page.updated') and at > clock_timestamp() - interval '10 minutes') as written
group by property
having least(count(*) filter (where action = 'row.updated'), count(*) filter (where action = 'page.updated'))
    >= %(least)s
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known of one record's two sides."""

    rules: Rules
    conflicts: Mapping[str, Conflict]
    edits: Edits
    property_ids: Mapping[str, str]    # by field
    edited_at: datetime | None    # the newest edit by somebody who is not us; the minute, where no webhook told
    edited_by: str | None


class Gatherer:
    """Gathers the facts of one record, on one connection."""

    def __init__(
        self,
        pool: Pool,
        sink: PageSink,
        *,
        strategy: str,
        opened: frozenset[tuple[str, str]],
        time_zone: ZoneInfo,
    ) -> None:
        self._pool = pool
        self._sink = sink
        self._strategy = strategy
        self._opened = opened
        self._time_zone = time_zone

    async def of(self, now: Situation, page: Page) -> Facts:
        """Return what is known of the record whose page was just read."""
        entity, system_id = now.entity, now.claim.system_id
        async with self._pool.connection() as conn:
            found = await conflicts.open_of(conn, entity.table, [system_id])
            stamp = (await stamps.load(conn, entity.name, columns_of(entity), [system_id])).get(system_id)
            bot_id = (await get(conn, BOT) or {}).get("id")
            edits = await inbox.edits(conn, page.page_id, bot_id)
            restless = await _restless(conn, now)
        by_field = {conflict.field: conflict for conflict in found.get(system_id, ())}
        moment = _newest(edits, page, bot_id)
        rules = Rules(
            direction=now.direction, opened=self._opened, time_zone=self._time_zone,
            verdict=self._verdict(now, stamp, edits, moment), conflicts=by_field,
            restored=lambda declared, label: isinstance(label, str)
            and self._sink.was_restored(entity, declared.key, label),
            restless=lambda declared: declared.key in restless,
        )
        by = edits.by if edits.at is not None else page.edited_by if moment is not None else None
        return Facts(rules, by_field, edits, self._sink.properties_of(entity), moment.at if moment else None, by)

    def _verdict(
        self, now: Situation, stamp: Stamp | None, edits: Edits, moment: Moment | None
    ) -> Callable[[Field], Verdict]:
        property_ids = self._sink.properties_of(now.entity)
        synced_at = now.link.synced_at if now.link is not None else None

        def of(declared: Field) -> Verdict:
            if self._strategy != "timestamp-based":
                return verdict(self._strategy, Times(stamp.changed_at if stamp else None, moment))
            column = declared.source.name if isinstance(declared.source, Column) else ""
            edit = edits.properties.get(property_ids.get(declared.key, ""))
            if edit is not None and synced_at is not None and edit.at < synced_at:
                edit = None     # taken by then: the edit that is looked at is a later one, which no webhook told of
            ours_at = stamp.columns.get(column) if stamp is not None else None
            return verdict(self._strategy, Times(ours_at, Moment(edit.at) if edit is not None else moment))

        return of


def _newest(edits: Edits, page: Page, bot_id: str | None) -> Moment | None:
    """Return when somebody other than us last edited the page: a webhook's time, else the page's own, in minutes."""
    if edits.at is not None:
        later_than_told = (
            page.edited_at is not None and page.edited_by != bot_id and page.edited_at > edits.at
        )
        return Moment(page.edited_at, floored=True) if later_than_told and page.edited_at else Moment(edits.at)
    if page.edited_at is None or page.edited_by is None or page.edited_by == bot_id:
        return None
    return Moment(page.edited_at, floored=True)


async def _restless(conn: Connection, now: Situation) -> frozenset[str]:
    cursor = await conn.execute(
        RESTLESS, {"entity": now.entity.name, "system_id": now.claim.system_id, "least": RESTLESS_AFTER}
    )
    return frozenset(row[0] for row in await cursor.fetchall())
