"""Lookups: when a name that pages show of another row changes, the pages that show it are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    async def unchanged(self, claims: Sequence[Claim]) -> frozenset[Claim]:
        """Return those claims (of one kind) whose shown name is the one remembered, or was never shown before.

        Most changes of a looked-up row are none of its name, and a bulk change of "User" marks every one of them.
        """
        shown = await self._shown(claims)
        digests = {
            claim.key: lookups.digest(shown[claim.system_id][0]) for claim in claims if shown[claim.system_id][1]
        }
        # Never shown before: nobody depends on it. The seed stays, so that a page which read an older name at this
        # very moment finds a difference when it seeds in its turn, and reads again.
        async with self._pool.connection() as conn:
            remembered = await lookups.seed(conn, digests)
        return frozenset(
            claim for claim in claims if claim.key in digests and remembered.get(claim.key) == digests[claim.key]
        )

    async def settle(self, claim: Claim) -> bool:
        """Mark the dependents if the shown name changed; False when the mark's transaction is not visible yet."""
        name, visible = (await self._shown([claim]))[claim.system_id]
        if not visible:
            return False
        digest = lookups.digest(name)
        async with self._pool.connection() as conn:
            before = (await lookups.seed(conn, {claim.key: digest})).get(claim.key)
        if before != digest:
            async with self._pool.connection() as conn:
                await lookups.spread(conn, claim.key, digest)
            marked = await self._mark_dependents(claim.key)
            log.info("lookup.fanned_out", kind=claim.entity, marked=marked)
        async with self._pool.connection() as conn, conn.transaction():
            await work.hold(conn, claim)
            await lookups.remember(conn, claim.key, digest)
            await work.finish(conn, [claim])
        return True

    async def _shown(self, claims: Sequence[Claim]) -> Mapping[str, tuple[str | None, bool]]:
        return await self._rows.shown(LookupVia(claims[0].entity), {claim.system_id: claim.xid for claim in claims})

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
