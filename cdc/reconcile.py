"""The loop: claim due keys, read both sides, do the one thing that is due, clear. Bounded, and live work first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg
import structlog

from cdc.adoption import Adoption
from cdc.effects import DatabaseTrashed, Effects, deliver
from cdc.fanout import LOOKUP_KINDS, Fanout
from cdc.looking import Looks
from cdc.meeting import Meeting
from cdc.plan import (
    Create,
    Later,
    Look,
    Nothing,
    NotVisible,
    Park,
    Resolve,
    Restore,
    Settle,
    Trash,
    Update,
    backoff_s,
    cooling_s,
)
from cdc.reading import Reader, Situation
from cdc.schema_watch import SchemaWatch
from cdc.strays import Strays
from sinks.base import EntityUnavailable, Page, PageGone, PageSink, PageTrashed, SinkUnavailable
from sinks.mapable.rows import SourceChanged
from sinks.mapping.model import Entity
from state import work
from state.changes import PageId, Priority
from state.database import Pool, readable
from state.errors import FatalError, PoisonError, RateLimited, SyncError, TransientError
from state.strays import KIND as STRAY
from state.work import Claim, LeaseLost, WorkQueue

BATCH: Final = 100
IN_HAND: Final = 400
IN_HAND_BULK: Final = 48
"""Backfill holds fewer keys at a time, so that a live change is always claimed at once."""
STALE_AFTER_S: Final = 0.05
"""What was read longer ago than this before its turn came is read again."""
BURST: Final = 3
"""From so many changes on, one query for what was edited lately costs less than a read of each page."""
IDLE_S: Final = 1.0
PAUSE_S: Final = 15.0
PARK_AFTER: Final = 12
BATCH_WAIT_S: Final = 1.0
NOT_VISIBLE_S: Final = 0.1
LONGEST_NOT_VISIBLE_S: Final = 5.0

log = structlog.get_logger(__name__)
Observer = Callable[[str, str, Claim], None]
"""Called with (entity, what was done, claim) for each key that is through."""


class Reconciler:
    """Works the queue off. One instance is active per sidecar; leases and fences hold should there be two."""

    def __init__(
        self,
        pool: Pool,
        queue: WorkQueue,
        reader: Reader,
        effects: Effects,
        fanout: Fanout,
        strays: Strays,
        adoption: Adoption,
        meeting: Meeting,
        looks: Looks,
        sink: PageSink,
        schema: SchemaWatch,
        entities: Sequence[Entity],
        *,
        sink_down: Callable[[], bool] = lambda: False,
        observer: Observer = lambda *_: None,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._reader = reader
        self._effects = effects
        self._fanout = fanout
        self._strays = strays
        self._adoption = adoption
        self._meeting = meeting
        self._looks = looks
        self._sink = sink
        self._schema = schema
        self._entities: Mapping[str, Entity] = {entity.name: entity for entity in entities}
        self._sink_down = sink_down
        self._observer = observer
        self._wake = asyncio.Event()
        self._in_hand = 0
        self._stopping = False
        self.paused = schema.paused

    def wake(self) -> None:
        """Say that there may be something due."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what is under way has ended."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Work until cancelled, or stopped: then what is being sent ends and nothing new begins."""
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping:
                self._wake.clear()
                claims = await self._claim()
                if not claims:
                    await self._rest()
                    continue
                for name, group in _by_entity(claims).items():
                    await self._take(tasks, name, group)

    async def _claim(self) -> tuple[Claim, ...]:
        if self._in_hand >= IN_HAND:
            return ()
        lowest = Priority.BACKFILL if self._in_hand < IN_HAND_BULK else Priority.MANUAL
        return await self._queue.claim(limit=BATCH, lowest=lowest, paused=self.paused.names(self._now_s()))

    async def _rest(self) -> None:
        """Wait until woken, until the next key is due, or a moment."""
        due_s = await self._queue.next_due_s(self.paused.names(self._now_s())) if self._in_hand < IN_HAND else None
        # what is due but was not claimed waits for room, which wakes us
        wait_s = IDLE_S if due_s is None or due_s <= 0 else min(IDLE_S, due_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _take(self, tasks: asyncio.TaskGroup, name: str, claims: Sequence[Claim]) -> None:
        """Read a batch of one entity; what needs nothing is cleared at once, the rest gets a task each."""
        try:
            if name in LOOKUP_KINDS:
                unchanged = await self._fanout.unchanged(claims)
                async with self._pool.connection() as conn:
                    await work.finish(conn, tuple(unchanged))
                for claim in claims:
                    if claim not in unchanged:
                        self._spawn(tasks, name, self._look_up(claim))
                return
            if name == STRAY:
                for claim in claims:
                    self._spawn(tasks, name, self._judge(claim))
                return
            entity = self._entities.get(name)
            if entity is None:
                # switched off: what is marked now is compared again when it is switched on
                await self._finish(claims)
                return
            await self._adoption.ensure(entity)
            situations = await self._reader.read(entity, claims)
        except LeaseLost:
            return
        except SyncError as error:
            await self._failed_batch(name, claims, error)
            return
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours that one row meets must not stop the others
            await self._narrow_down(tasks, name, claims, error)
            return
        self.paused.heal(name)
        quiet = [now for now in situations if now.quiet]
        await self._finish([now.claim for now in quiet])
        for now in quiet:
            self._observer(name, "unchanged", now.claim)
        await self._spawn_all(tasks, entity, [now for now in situations if not now.quiet])

    async def _spawn_all(self, tasks: asyncio.TaskGroup, entity: Entity, situations: Sequence[Situation]) -> None:
        """Give each key a task. Many changes at once share one look at what was edited lately in Notion."""
        burst = [now for now in situations if isinstance(now.plan, Look) and self._meeting.may_share_a_look(now)]
        edited: Mapping[PageId, Page] | None = None
        if len(burst) >= BURST:
            try:
                edited = await self._looks.edited(entity, Priority.LIVE)
            except SyncError as error:
                log.info("look.failed", entity=entity.name, why=str(error))
        for now in situations:
            shared = edited if now in burst else None
            self._spawn(tasks, entity.name, self._work(now, shared))

    def _spawn(self, tasks: asyncio.TaskGroup, name: str, task: Coroutine[None, None, None]) -> None:
        self._in_hand += 1
        tasks.create_task(task, name=f"reconcile {name}").add_done_callback(self._spawned_ended)

    def _spawned_ended(self, _: asyncio.Task[None]) -> None:
        self._in_hand -= 1
        self.wake()

    async def _work(self, now: Situation, edited: Mapping[PageId, Page] | None = None) -> None:
        try:
            done = await self._act(now) if edited is None else await self._go_on(
                await self._meeting.after_look(now, edited)
            )
            self._observer(now.entity.name, done, now.claim)
        except LeaseLost:
            log.info("lease.lost", entity=now.entity.name)
        except SyncError as error:
            await self._failed(now.claim, error)
        except psycopg.Error as error:
            # a lock or statement timeout of one key; a database that is gone fails again right here, and ends the loop
            await self._failed(now.claim, TransientError(f"the sidecar failed: {readable(error)}"))
        except Exception as error:  # noqa: BLE001 - see _take
            await self._park(now.claim, "internal_error", _internal(error))

    async def _act(self, now: Situation) -> str:
        match now.plan:
            case Create() | Update() | Trash() | Restore():
                return await self._send(now)
            case Look(page_id):
                return await self._look(now, page_id)
            case Resolve() as plan:
                await self._effects.resolve(now, plan)
                return "resolved"
            case Settle() as plan:
                await self._effects.settle(now, plan)
                return "compared"
            case Later(wait_s):
                await self._release(now.claim, wait_s, hold_marks=True)
                return "later"
            case NotVisible():
                await self._release(now.claim, not_visible_wait_s(now.claim))
                return "not_visible"
            case Park(reason, message):
                raise PoisonError(reason, message)
            case Nothing() if now.waiting:
                await self._effects.wait(now)
                return "unchanged"
            case Nothing():
                await self._finish([now.claim])
                return "unchanged"

    async def _look(self, now: Situation, page_id: PageId) -> str:
        """Wait for the turn, read the page, merge, and do what is left."""
        try:
            async with asyncio.timeout(self._queue.lease_s / 2) as patience, self._sink.turn(
                Priority(now.claim.priority)
            ) as turn:
                patience.reschedule(None)
                claim = await self._queue.renew(now.claim)
                if turn.waited_s > STALE_AFTER_S:
                    (now,) = await self._reader.read(now.entity, [claim])
                turn.spent = isinstance(now.plan, Look)
                page = await self._sink.read(now.entity, page_id) if turn.spent else None
        except TimeoutError:
            await self._release(now.claim, 0)
            return "no_turn"
        except PageGone:
            await self._gone(now)
            return "unlinked"
        if page is None:
            return await self._act(now)
        return await self._go_on(await self._meeting.seen(now, page))

    async def _go_on(self, now: Situation | None) -> str:
        """Send what a look at the page left to be sent."""
        if now is None:
            return "merged"
        wait_s = cooling_s(now.link) if now.link is not None and now.left is not None else 0.0
        if wait_s > 0:
            await self._release(now.claim, wait_s, hold_marks=True)
            return "later"
        return await self._act(now)

    async def _send(self, now: Situation) -> str:
        """Wait for the turn, look once more if that took long, and send."""
        try:
            async with asyncio.timeout(self._queue.lease_s / 2) as patience, self._sink.turn(
                Priority(now.claim.priority)
            ) as turn:
                patience.reschedule(None)
                if turn.waited_s > (STALE_AFTER_S if now.left is None else now.left.good_for_s):
                    claim = await self._queue.renew(now.claim)
                    (now,) = await self._reader.read(now.entity, [claim])
                match now.plan:
                    case Create() as plan:
                        await self._effects.create(now, plan)
                        return "created"
                    case Update() as plan:
                        await self._effects.update(now, plan)
                        return "updated"
                    case Trash() as plan:
                        turn.spent = await self._effects.trash(now, plan)
                        return "trashed" if turn.spent else "held"
                    case Restore() as plan:
                        await self._effects.restore(now, plan)
                        return "restored"
                turn.spent = False
        except TimeoutError:
            await self._release(now.claim, 0)
            return "no_turn"
        except PageTrashed:
            # outside of the turn: reading the page takes a turn of its own
            await self._effects.find_out_trashed(now)
            return "unlinked"
        except PageGone:
            await self._gone(now)
            return "unlinked"
        return await self._act(now)

    async def _gone(self, now: Situation) -> None:
        """Ask for the database first: what is out of reach with all its pages was taken from none of them."""
        await self._schema.check_now(now.entity)
        await self._effects.gone(now)

    async def _look_up(self, claim: Claim) -> None:
        try:
            if not await self._fanout.settle(claim):
                await self._release(claim, not_visible_wait_s(claim))
        except LeaseLost:
            log.info("lease.lost", entity=claim.entity)
        except SyncError as error:
            await self._failed(claim, error)
        except psycopg.Error as error:
            await self._failed(claim, TransientError(f"the sidecar failed: {readable(error)}"))

    async def _judge(self, claim: Claim) -> None:
        """Find out what becomes of a page that no row is linked to."""
        try:
            await self._strays.work(claim)
            self._observer(claim.entity, "judged", claim)
        except LeaseLost:
            log.info("lease.lost", entity=claim.entity)
        except SyncError as error:
            await self._failed(claim, error)
        except psycopg.Error as error:
            await self._failed(claim, TransientError(f"the sidecar failed: {readable(error)}"))
        except Exception as error:  # noqa: BLE001 - see _take
            await self._park(claim, "internal_error", _internal(error))

    async def _finish(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        async with self._pool.connection() as conn:
            await deliver(conn, [claim.key for claim in claims])
            await work.finish(conn, claims)

    async def _failed_batch(self, name: str, claims: Sequence[Claim], error: SyncError) -> None:
        """The whole batch met the error, so it is no single key's fault: nothing is counted or parked."""
        if isinstance(error, FatalError):
            raise error
        wait_s = BATCH_WAIT_S
        if isinstance(error, SourceChanged | EntityUnavailable | PoisonError):
            wait_s = PAUSE_S
            self.paused.pause(name, str(error), self._now_s() + wait_s)
            self._schema.ask(name)
        for claim in claims:
            await self._release(claim, wait_s)

    async def _narrow_down(
        self, tasks: asyncio.TaskGroup, name: str, claims: Sequence[Claim], error: Exception
    ) -> None:
        """Find the key that trips us up, by taking them one by one, and set that one aside."""
        if len(claims) == 1:
            await self._park(claims[0], "internal_error", _internal(error))
            return
        for claim in claims:
            await self._take(tasks, name, [claim])

    async def _failed(self, claim: Claim, error: SyncError) -> None:
        """Put the key where its error says: aside for good, back for later, back until its entity heals."""
        match error:
            case PoisonError(reason="notion_validation_error") if await self._moved(claim):
                await self._release(claim, backoff_s(claim.attempts), counts=True)
            case PoisonError():
                await self._park(claim, error.reason, str(error))
            case SourceChanged() | EntityUnavailable() | DatabaseTrashed():
                self.paused.pause(claim.entity, str(error), self._now_s() + PAUSE_S)
                self._schema.ask(claim.entity)
                await self._release(claim, PAUSE_S)
            case RateLimited() | SinkUnavailable():
                await self._release(claim, 0.5)
            case TransientError() if claim.attempts >= PARK_AFTER and not self._sink_down():
                await self._park(claim, "kept_failing", str(error))
            case TransientError():
                await self._release(claim, backoff_s(claim.attempts), counts=not self._sink_down())
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

    async def _park(self, claim: Claim, reason: str, message: str) -> None:
        log.warning("work.parked", entity=claim.entity, reason=reason, attempts=claim.attempts)
        async with self._pool.connection() as conn:
            await work.park(conn, claim, reason=reason, message=message)
        self._observer(claim.entity, "parked", claim)

    async def _release(self, claim: Claim, wait_s: float, *, counts: bool = False, hold_marks: bool = False) -> None:
        async with self._pool.connection() as conn:
            await work.release(conn, claim, wait_s=wait_s, counts=counts, hold_marks=hold_marks)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _internal(error: Exception) -> str:
    """Return what may be said of a fault of ours: its type and place, never its text, which may hold values."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else "unknown"
    return f"an internal error ({type(error).__name__} at {where}): please report it"


def not_visible_wait_s(claim: Claim) -> float:
    """Return when to look again for a commit that is not visible yet: soon at first, seldom when it lasts."""
    age_s = (datetime.now(UTC) - claim.marked_at).total_seconds()
    return min(LONGEST_NOT_VISIBLE_S, max(NOT_VISIBLE_S, age_s / 4))


def _by_entity(claims: Sequence[Claim]) -> Mapping[str, Sequence[Claim]]:
    """Group the claims, in the order in which they came: parents are marked first, and their pages made first."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(claim.entity, []).append(claim)
    return groups
