"""Lookups: when a name that pages show of another row changes, the pages that show it are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from sinks.mapable.rows import Rows, lookup_fields
from sinks.mapping.model import Entity, Field, Lookup, LookupVia
from state import lookups, work
from state.changes import Key, Priority, Reason
from state.database import Pool
from state.work import Claim

WINDOW: Final = 5_000
LOOKUP_KINDS: Final = frozenset(via.value for via in LookupVia)
log = structlog.get_logger(__name__)


def looked_up_by(kind: str, entities: Sequence[Entity]) -> tuple[tuple[Entity, Field], ...]:
    """Return the fields that show a row of this kind: a user is shown directly, and through the worker it is."""
    return tuple(
        (entity, field)
        for entity in entities
        for field in lookup_fields(entity)
        if isinstance(field.source, Lookup) and kind in {field.source.via.value, LookupVia.USER.value}
    )


class Fanout:
    """Works off marked lookup keys."""

    def __init__(self, pool: Pool, rows: Rows, entities: Sequence[Entity]) -> None:
        self._pool = pool
        self._rows = rows
        self._entities = entities

    async def settle(self, claim: Claim) -> bool:
        """Mark the dependents if the shown name changed; False when the mark's transaction is not visible yet."""
        shown, visible = await self._rows.shown(claim.key, LookupVia(claim.entity), claim.xid)
        if not visible:
            return False
        digest = lookups.digest(shown)
        # Never shown before: nobody depends on it. The seed stays, so that a page which read an older name at this
        # very moment finds a difference when it seeds in its turn, and reads again.
        async with self._pool.connection() as conn:
            before = (await lookups.seed(conn, {claim.key: digest})).get(claim.key)
        if before != digest:
            marked = await self._mark_dependents(claim.key)
            log.info("lookup.fanned_out", kind=claim.entity, marked=marked)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, claim)
            await lookups.remember(conn, claim.key, digest)
            await work.finish(conn, [claim])
        return True

    async def _mark_dependents(self, key: Key) -> int:
        marked = 0
        for entity, field in looked_up_by(key.entity, self._entities):
            after: str | None = ""
            while after is not None:
                ids, after = await self._rows.dependents(entity, field, key, after, WINDOW)
                async with self._pool.connection() as conn:
                    await work.mark(
                        conn,
                        {Key(entity.name, system_id): None for system_id in ids},
                        reason=Reason.OURS,
                        priority=Priority.BACKFILL,
                    )
                marked += len(ids)
        return marked
