"""How a claimed key goes back: done with, due later, set aside; an error says which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import psycopg
import structlog

from cdc.reconcile.delivery import deliver
from cdc.reconcile.leaving import DatabaseTrashed
from cdc.reconcile.plan import backoff_s
from cdc.watch.schema import SchemaWatch
from sinks.base import EntityUnavailable, SinkUnavailable
from sinks.mapable.rows import SourceChanged
from sinks.mapping.model import Entity
from state import work
from state.database import Pool, readable, said
from state.errors import FatalError, PoisonError, RateLimited, SyncError, TransientError
from state.work import Claim, LeaseLost

PAUSE_S: Final = 15.0
PARK_AFTER: Final = 12
BATCH_WAIT_S: Final = 1.0
NOT_VISIBLE_S: Final = 0.1
LONGEST_NOT_VISIBLE_S: Final = 5.0
INTERNAL: Final = "internal_error"

Observer = Callable[[str, str, Claim], None]
"""Called with (entity, what was done, claim) for each key that is through."""

Foreseen = SyncError | psycopg.Error
FORESEEN: Final = (SyncError, psycopg.Error)
"""What can go wrong with a key without being a fault of ours."""

log = structlog.get_logger(__name__)


class Returning:
    """Gives keys back to the queue."""

    def __init__(
        self,
        pool: Pool,
        schema: SchemaWatch,
        entities: Mapping[str, Entity],
        *,
        sink_down: Callable[[], bool],
        observer: Observer,
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._entities = entities
        self._sink_down = sink_down
        self._observer = observer

    async def finish(self, claims: Sequence[Claim]) -> None:
        """These are done with; who waits for their pages is told."""
        if not claims:
            return
        async with self._pool.connection() as conn:
            await deliver(conn, [claim.key for claim in claims])
            await work.finish(conn, claims)

    async def failed_batch(self, name: str, claims: Sequence[Claim], error: Foreseen) -> None:
        """The whole batch met the error, so it is no single key's fault: nothing is counted or parked."""
        if isinstance(error, FatalError):
            raise error
        wait_s = BATCH_WAIT_S
        if isinstance(error, SourceChanged | EntityUnavailable | PoisonError):
            wait_s = PAUSE_S
            self._schema.paused.pause(name, str(error), _now_s() + wait_s)
            self._schema.ask(name)
        else:
            log.warning("batch.failed", entity=name, keys=len(claims), why=said(error))
        for claim in claims:
            await self.release(claim, wait_s)

    async def failed(self, claim: Claim, error: Foreseen) -> None:
        """Put the key where its error says: aside for good, back for later, back until its entity heals."""
        if isinstance(error, psycopg.Error):
            # a lock or statement timeout of one key; a database that is gone fails again right here, and ends the loop
            error = TransientError(f"the sidecar failed: {readable(error)}")
        match error:
            case LeaseLost():
                log.info("lease.lost", entity=claim.entity)
            case PoisonError(reason="notion_validation_error") if await self._moved(claim):
                await self.release(claim, backoff_s(claim.attempts), counts=True)
            case PoisonError():
                await self.park(claim, error.reason, str(error))
            case SourceChanged() | EntityUnavailable() | DatabaseTrashed():
                self._schema.paused.pause(claim.entity, str(error), _now_s() + PAUSE_S)
                self._schema.ask(claim.entity)
                await self.release(claim, PAUSE_S)
            case RateLimited() | SinkUnavailable():
                await self.release(claim, 0.5)
            case TransientError() if claim.attempts >= PARK_AFTER and not self._sink_down():
                await self.park(claim, "kept_failing", str(error))
            case TransientError():
                self._observer(claim.entity, "retried", claim)
                await self.release(claim, backoff_s(claim.attempts), counts=not self._sink_down())
            case _:
                raise error

    async def _moved(self, claim: Claim) -> bool:
        """Whether Notion refused a write because people changed the database under it: then it is made again."""
        entity = self._entities.get(claim.entity)
        if entity is None:
            return False
        try:
            return await self._schema.check_now(entity)
        except TransientError as error:
            log.info("schema.not_told", entity=claim.entity, why=str(error))
            return True

    async def park(self, claim: Claim, reason: str, message: str) -> None:
        """Set the key aside for a person, unless somebody else has it in hand by now."""
        try:
            async with self._pool.connection() as conn:
                await work.park(conn, claim, reason=reason, message=message)
        except LeaseLost:
            log.info("lease.lost", entity=claim.entity)
            return
        log.warning("work.parked", entity=claim.entity, reason=reason, attempts=claim.attempts)
        self._observer(claim.entity, "parked", claim)

    async def release(self, claim: Claim, wait_s: float, *, counts: bool = False, hold_marks: bool = False) -> None:
        """The key is due again in so long (see `work.release`)."""
        async with self._pool.connection() as conn:
            await work.release(conn, claim, wait_s=wait_s, counts=counts, hold_marks=hold_marks)


def not_visible_wait_s(claim: Claim) -> float:
    """Return when to look again for a commit that is not visible yet: soon at first, seldom when it lasts."""
    age_s = (datetime.now(UTC) - claim.marked_at).total_seconds()
    return min(LONGEST_NOT_VISIBLE_S, max(NOT_VISIBLE_S, age_s / 4))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
