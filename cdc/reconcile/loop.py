"""The loop: claim due keys, read both sides, do the one thing that is due, clear. Bounded, and live work first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Final

import psycopg
import structlog

from cdc.reconcile.acting import Acting
from cdc.reconcile.fanout import LOOKUP_KINDS, Fanout
from cdc.reconcile.meeting import Meeting
from cdc.reconcile.plan import Look
from cdc.reconcile.reading import Reader, Situation
from cdc.reconcile.returning import FORESEEN, INTERNAL, Observer, Returning, not_visible_wait_s
from cdc.tasks import end
from cdc.watch.adoption import Adoption
from cdc.watch.looking import Looks
from cdc.watch.pausing import Paused
from cdc.watch.strays import Strays
from sinks.base import Page
from sinks.mapping.model import Entity
from state import work
from state.changes import PageId, Priority
from state.database import Pool, said
from state.errors import PoisonError, internal
from state.strays import KIND as STRAY
from state.work import Claim, LeaseLost, WorkQueue

BATCH: Final = 100
IN_HAND: Final = 400
IN_HAND_BULK: Final = 48
"""Backfill holds fewer keys at a time, so that a live change is always claimed at once."""
BURST: Final = 3
"""From so many changes on, one query for what was edited lately costs less than a read of each page."""
ADOPTING: Final = IN_HAND // 2
"""No more keys of one entity wait for its pages to be looked through: others need hands, too."""
IDLE_S: Final = 1.0
MOMENT_S: Final = 0.02
"""What is sent at once is on its way by then."""
FREE_LOST_S: Final = 5.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Works the queue off. One instance is active per sidecar; leases and fences hold should there be two."""

    def __init__(
        self,
        pool: Pool,
        queue: WorkQueue,
        reader: Reader,
        acting: Acting,
        returning: Returning,
        fanout: Fanout,
        strays: Strays,
        adoption: Adoption,
        meeting: Meeting,
        looks: Looks,
        paused: Paused,
        entities: Mapping[str, Entity],
        *,
        observer: Observer = lambda *_: None,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._reader = reader
        self._acting = acting
        self._returning = returning
        self._fanout = fanout
        self._strays = strays
        self._adoption = adoption
        self._meeting = meeting
        self._looks = looks
        self._entities = entities
        self._observer = observer
        self._wake = asyncio.Event()
        self._held: Counter[int] = Counter()        # fences of what is in hand, twice while handed on
        self._adopting: Counter[str] = Counter()    # keys that wait for the pages of their entity
        self._freed_s = 0.0
        self._stopping = False
        self.paused = paused

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
                await self._free_lost()
                claims = await self._claim()
                for name, group in _by_entity(claims).items():
                    await self._take(tasks, name, group)
                if len(claims) < BATCH:
                    await self._rest(claimed=bool(claims))

    async def _claim(self) -> tuple[Claim, ...]:
        if self._in_hand >= IN_HAND:
            return ()
        lowest = Priority.BACKFILL if self._in_hand < IN_HAND_BULK else Priority.MANUAL
        return await self._queue.claim(limit=BATCH, lowest=lowest, paused=self._left_alone())

    def _left_alone(self) -> tuple[str, ...]:
        """Return the entities of which nothing is claimed now."""
        waiting = tuple(name for name, keys in self._adopting.items() if keys >= ADOPTING)
        return (*self.paused.names(self._now_s()), *waiting)

    async def _free_lost(self) -> None:
        """Give back what is claimed and in nobody's hands: the answer to a claim, or what had it in hand, was lost."""
        if self._now_s() - self._freed_s < FREE_LOST_S:
            return
        self._freed_s = self._now_s()
        freed = await self._queue.free_lost(tuple(self._held))
        if freed:
            log.warning("claims.lost", keys=freed)

    @property
    def _in_hand(self) -> int:
        return self._held.total()

    async def _rest(self, *, claimed: bool) -> None:
        """Wait until woken, until the next key is due, or a moment."""
        # what was just claimed goes first: to ask takes as long as to send a request
        if await self._woken(MOMENT_S):
            return
        due_s = await self._queue.next_due_s(self._left_alone()) if self._in_hand < IN_HAND else None
        if due_s is None or (due_s <= 0 and not claimed):
            # what is due but was not claimed waits for room, which wakes us
            due_s = IDLE_S
        await self._woken(min(IDLE_S, due_s))

    async def _woken(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _take(self, tasks: asyncio.TaskGroup, name: str, claims: Sequence[Claim]) -> None:
        """Read a batch of one entity; what needs nothing is cleared at once, the rest gets a task each.

        Nothing here waits for Notion, so that no entity keeps another one's keys from being claimed.
        """
        try:
            if name in LOOKUP_KINDS:
                unchanged = await self._fanout.unchanged(claims)
                self.paused.heal(name)
                async with self._pool.connection() as conn:
                    await work.finish(conn, tuple(unchanged))
                for claim in claims:
                    if claim not in unchanged:
                        self._spawn(tasks, [claim], self._one(claim, partial(self._look_up, claim)))
                return
            if name == STRAY:
                for claim in claims:
                    self._spawn(tasks, [claim], self._one(claim, partial(self._judge, claim)))
                return
            entity = self._entities.get(name)
            if entity is None:
                # switched off: what is marked now is compared again when it is switched on
                await self._returning.finish(claims)
                return
            if not self._adoption.done(entity):
                self._spawn(tasks, claims, self._adopt_first(tasks, entity, claims))
                return
            situations = await self._reader.read(entity, claims)
            self.paused.heal(name)
            quiet = [now for now in situations if now.quiet]
            await self._returning.finish([now.claim for now in quiet])
        except psycopg.DataError as error:
            await self._narrow_down(tasks, name, claims, error)
            return
        except FORESEEN as error:
            await self._returning.failed_batch(name, claims, error)
            return
        except Exception as error:  # noqa: BLE001 - a fault of ours that one row meets must not stop the others
            await self._narrow_down(tasks, name, claims, error)
            return
        for now in quiet:
            self._observer(name, "unchanged", now.claim)
        self._spawn_all(tasks, entity, [now for now in situations if not now.quiet])

    def _spawn_all(self, tasks: asyncio.TaskGroup, entity: Entity, situations: Sequence[Situation]) -> None:
        """Give each key a task. Many changes, or some that follow them, share a look at what was edited lately."""
        burst = [now for now in situations if isinstance(now.plan, Look) and self._meeting.may_share_a_look(now)]
        if len(burst) >= BURST or (burst and self._looks.lately(entity)):
            self._spawn(tasks, [now.claim for now in burst], self._look_for_all(tasks, entity, burst))
        else:
            burst = []
        for now in situations:
            if now not in burst:
                self._spawn(tasks, [now.claim], self._one(now.claim, partial(self._acting.act, now)))

    async def _look_for_all(self, tasks: asyncio.TaskGroup, entity: Entity, burst: Sequence[Situation]) -> None:
        """Look once at what was edited lately; if that fails, each looks at its own page."""
        edited: Mapping[PageId, Page] | None = None
        try:
            # no longer than the keys are ours: the first look of all sees every page
            async with asyncio.timeout(self._queue.lease_s / 2):
                edited = await self._looks.shared(entity)
        except Exception as error:  # noqa: BLE001 - one page that trips us up must not end all
            log.info("look.failed", entity=entity.name, why=said(error))
        if self._stopping:
            return
        for now in burst:
            go_on = partial(self._acting.act, now) if edited is None else partial(self._after_look, now, edited)
            self._spawn(tasks, [now.claim], self._one(now.claim, go_on))

    async def _after_look(self, now: Situation, edited: Mapping[PageId, Page]) -> str:
        return await self._acting.go_on(await self._meeting.after_look(now, edited))

    async def _adopt_first(self, tasks: asyncio.TaskGroup, entity: Entity, claims: Sequence[Claim]) -> None:
        """Link the pages that stand already, then take the keys: given back, they would come after their children."""
        keys = len(claims)
        self._adopting[entity.name] += keys
        try:
            adopting = asyncio.create_task(self._adoption.ensure(entity), name="adopt")
            try:
                # which may take longer than the keys are ours
                while not (await asyncio.wait([adopting], timeout=self._queue.lease_s / 3))[0]:
                    claims = await self._still_ours(claims)
            finally:
                self._adopting[entity.name] -= keys
                await end([adopting])
            await adopting
        except FORESEEN as error:
            await self._returning.failed_batch(entity.name, claims, error)
        except Exception as error:  # noqa: BLE001 - whatever stands on these pages, other entities go on
            await self._returning.failed_batch(entity.name, claims, PoisonError(INTERNAL, internal(error)))
        else:
            if claims and not self._stopping:
                await self._take(tasks, entity.name, claims)

    async def _still_ours(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew what is still ours; a key that was taken over costs the others nothing."""
        kept = []
        for claim in claims:
            try:
                kept.append(await self._queue.renew(claim))
            except LeaseLost:
                log.info("lease.lost", entity=claim.entity)
        return kept

    def _spawn(self, tasks: asyncio.TaskGroup, claims: Sequence[Claim], task: Coroutine[None, None, None]) -> None:
        fences = [claim.fence for claim in claims]

        def ended(_: asyncio.Task[None]) -> None:
            self._held.subtract(fences)
            for fence in fences:
                if not self._held[fence]:
                    del self._held[fence]
            self.wake()

        self._held.update(fences)
        tasks.create_task(task, name="reconcile").add_done_callback(ended)

    async def _one(self, claim: Claim, do: Callable[[], Awaitable[str | None]]) -> None:
        """Do what is due about one key; whatever goes wrong with it stays with it."""
        try:
            done = await do()
            if done is not None:
                self._observer(claim.entity, done, claim)
        except FORESEEN as error:
            await self._returning.failed(claim, error)
        except Exception as error:  # noqa: BLE001 - see _take
            await self._returning.park(claim, INTERNAL, internal(error))

    async def _look_up(self, claim: Claim) -> None:
        if not await self._fanout.settle(claim):
            await self._returning.release(claim, not_visible_wait_s(claim))

    async def _judge(self, claim: Claim) -> str:
        """Find out what becomes of a page that no row is linked to."""
        await self._strays.work(claim)
        self.paused.heal(claim.entity)
        return "judged"

    async def _narrow_down(
        self, tasks: asyncio.TaskGroup, name: str, claims: Sequence[Claim], error: Exception
    ) -> None:
        """Find the key that trips us up, by taking them one by one, and set that one aside."""
        if len(claims) == 1:
            await self._returning.park(claims[0], INTERNAL, internal(error))
            return
        for claim in claims:
            await self._take(tasks, name, [claim])

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _by_entity(claims: Sequence[Claim]) -> Mapping[str, Sequence[Claim]]:
    """Group the claims, in the order in which they came: parents are marked first, and their pages made first."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(claim.entity, []).append(claim)
    return groups
