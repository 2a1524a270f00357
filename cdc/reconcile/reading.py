"""Reading one batch of keys: rows, links, pages of the rows they point at; everything a decision needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cdc.reconcile.holding import rows_back
from cdc.reconcile.plan import Nothing, Ours, Plan, Update, decide, ours_of, references
from sinks.mapable.rows import Read, Rows
from sinks.mapping.entities import by_name
from sinks.mapping.model import Entity, Owner, Rendered, Row
from sinks.mapping.rendering import owner_of, render
from state import links, lookups, work
from state.changes import Key, PageId, Priority, Reason
from state.database import Connection, Pool
from state.links import Link
from state.work import Claim


def unclaimed(entity: Entity, system_id: str) -> Claim:
    """Return what stands in for a claim where a record is only looked at: nobody works on it."""
    return Claim(entity.name, system_id, 0, 0, int(Priority.BACKFILL), 0, 0, None, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a look at the page left to do. `wait_s`: then look again, in so long; None: be done."""

    update: Update | None
    wait_s: float | None
    refused: Mapping[str, Any]            # edits that are to be put back later
    written: Mapping[str, Any] | None     # see cdc.reconcile.crossing
    good_for_s: float = 5.0               # people may edit the page meanwhile: then it has to be looked at again


@dataclass(frozen=True, slots=True)
class Situation:
    """One claimed key with all that was read of it."""

    claim: Claim
    entity: Entity
    ours: Ours | None
    link: Link | None
    visible: bool
    direction: str
    participant_id: str | None
    row: Row | None = None
    hashes: bytes = b""             # of the row's columns, see state.stamps
    left: Absorbed | None = None    # the page was looked at, and this is left to do
    seen_before_s: float = 0.0      # that look was, at most, so long before the link was read

    @property
    def plan(self) -> Plan:
        if self.left is not None and self.left.update is not None:
            return self.left.update
        return decide(
            self.ours, self.link, visible=self.visible, direction=self.direction, reasons=Reason(self.claim.reasons)
        )

    @property
    def waiting(self) -> frozenset[Key]:
        """The rows that this row's relations point at and that have no page."""
        return self.ours.waiting if self.ours is not None else frozenset()

    @property
    def quiet(self) -> bool:
        """Whether there is neither anything to do nor a page to wait for."""
        return isinstance(self.plan, Nothing) and not self.waiting


class Reader:
    """Reads batches of one entity. Ours is read before the links: what is agreed meanwhile is newer, never older."""

    def __init__(
        self,
        pool: Pool,
        rows: Rows,
        *,
        time_zone: ZoneInfo,
        directions: Mapping[str, str],
        enabled: frozenset[str],
        opened: frozenset[tuple[str, str]] = frozenset(),
        paused: Callable[[Entity], frozenset[str]] = lambda _: frozenset(),
        remembers: bool = True,
    ) -> None:
        self._pool = pool
        self._rows = rows
        self._time_zone = time_zone
        self._directions = directions
        self._enabled = enabled
        self._opened = opened
        self._paused = paused
        self._remembers = remembers     # False: only looks, and changes nothing in the sidecar

    async def read(self, entity: Entity, claims: Sequence[Claim]) -> tuple[Situation, ...]:
        """Return the situation of every claim, in order."""
        found = await self._rows.read(entity, {claim.system_id: claim.xid for claim in claims})
        if self._remembers:
            found = await self._with_current_names(entity, claims, found)
        paused = self._paused(entity)
        rendered = {
            system_id: _without(paused, render(entity, read.row, self._time_zone))
            for system_id, read in found.items()
            if read.row is not None
        }
        targets = {key for values in rendered.values() for key in references(entity, values)}
        async with self._pool.connection() as conn:
            if self._remembers:
                await rows_back(conn, entity, [system_id for system_id, read in found.items() if read.row is not None])
            pages = await self.pages(conn, targets)
            known = await links.load(conn, entity.table, list(found))
        due = await self._due({key for key in targets if key not in pages})
        situations = []
        for claim in claims:
            read, link, ours = found[claim.system_id], known.get(claim.system_id), None
            direction = link.direction if link is not None else self._directions.get(entity.name, "both")
            if read.row is not None:
                ours = ours_of(
                    entity, rendered[claim.system_id], pages, due, member=entity.is_due(read.row),
                    shared=self._shared(entity, read.row) if direction == "both" else frozenset(),
                )
            situations.append(
                Situation(
                    claim, entity, ours, link, read.visible, direction,
                    entity.participant_of(claim.system_id, read.row), read.row, read.hashes,
                )
            )
        return tuple(situations)

    def _shared(self, entity: Entity, row: Row) -> frozenset[str]:
        return frozenset(
            declared.key
            for declared in entity.fields
            if owner_of(declared, row, self._time_zone, opened=(entity.name, declared.key) in self._opened)
            is Owner.SHARED
        )

    async def pages(self, conn: Connection, keys: set[Key]) -> Mapping[Key, PageId]:
        """Return the live pages of these rows; an entity that is switched off has none."""
        pages: dict[Key, PageId] = {}
        for name in sorted({key.entity for key in keys} & self._enabled):
            ids = [key.system_id for key in keys if key.entity == name]
            found = await links.pages_of(conn, by_name(name).table, ids)
            pages |= {Key(name, system_id): page_id for system_id, page_id in found.items()}
        return pages

    async def _due(self, keys: set[Key]) -> frozenset[Key]:
        """Return those of `keys` that are due a page which they don't have yet."""
        due: set[Key] = set()
        for name in sorted({key.entity for key in keys} & self._enabled):
            ids = await self._rows.due(by_name(name), [key.system_id for key in keys if key.entity == name])
            due |= {Key(name, system_id) for system_id in ids}
        return frozenset(due)

    async def _with_current_names(
        self, entity: Entity, claims: Sequence[Claim], found: Mapping[str, Read]
    ) -> Mapping[str, Read]:
        """Remember the names that are about to be shown; where another one is remembered, read once more.

        A name that still differs then is one whose fan-out was missed or is under way: its key is marked, and counts as
        changed, even if the name is by then what it was before.
        """
        stale = await self._differing(found)
        if not stale:
            return found
        again = {claim.system_id: claim.xid for claim in claims if stale & set(found[claim.system_id].shown)}
        found = {**found, **await self._rows.read(entity, again)}
        still = await self._differing(found)
        if still:
            async with self._pool.connection() as conn, conn.transaction():
                # in this order, as whoever spreads a name locks them
                await work.mark(
                    conn, dict.fromkeys(still, None), reason=Reason.OURS, priority=Priority.BACKFILL
                )
                await lookups.doubt(conn, still)
        return found

    async def _differing(self, found: Mapping[str, Read]) -> frozenset[Key]:
        # every one of them: what was read again, and what was not, may show one row's name before and after a change
        shown = [(key, lookups.digest(name)) for read in found.values() for key, name in read.shown.items()]
        if not shown:
            return frozenset()
        async with self._pool.connection() as conn:
            remembered = await lookups.seed(conn, dict(shown))
        return frozenset(
            key for key, digest in shown if not lookups.is_shown(remembered.get(key, digest), digest)
        )


def _without(paused: frozenset[str], rendered: Mapping[str, Rendered]) -> Mapping[str, Rendered]:
    return {key: value for key, value in rendered.items() if key not in paused} if paused else rendered
