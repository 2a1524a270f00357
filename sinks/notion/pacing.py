"""How often Notion may be asked: a window that is never overrun, a breaker for outages, live work first.

`Budget` and `Breaker` are pure (the caller owns the clock); `Pacer` is their asyncio shell.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from state.changes import Priority

BULK_RESERVE: Final = 2
"""So many requests, of the window and of those in flight, bulk work leaves to live changes: a look and a write."""

FAILURES_TO_OPEN: Final = 3
PROBE_S: Final = 7.5
"""While Notion is down it is asked once in this many seconds: eight times a minute."""

LEDGER_BLOCK: Final = 16
LEDGER_BLOCK_S: Final = 1.0
"""What was noted ahead is used within this time or noted again: else a note could be older than its requests."""
LEDGER_SLACK_S: Final = 2 * LEDGER_BLOCK_S
"""How much later than its note a request may have reached Notion."""
MAX_IN_FLIGHT: Final = 12
"""Enough for bulk work alone to fill the larger window at Notion's usual latency; no more is caught by an outage."""


@dataclass(slots=True)
class Budget:
    """At most `limit` requests in any `window_s` seconds (0: no limit of ours).

    Notion's window is fixed but its phase is unknown. A slot is free again one window after its answer came, so that
    two requests that share a slot reached the server at least one window apart: no phase can see more than `limit`,
    and with work waiting every window is filled.
    """

    limit: int
    window_s: float = 60.0
    in_flight: int = 0
    finished_s: deque[float] = field(default_factory=deque)

    def wait_s(self, now_s: float, *, bulk: bool = False) -> float | None:
        """Return how long until a request may start (0: now), or None: not before one in flight ends."""
        if self.limit == 0:
            return 0.0
        self._let_go(now_s)
        # of a window that small, bulk work gets half
        allowed = self.limit - (min(BULK_RESERVE, self.limit // 2) if bulk else 0)
        over = self.in_flight + len(self.finished_s) - allowed
        if over < 0:
            return 0.0
        return self.finished_s[over] + self.window_s - now_s if over < len(self.finished_s) else None

    def used(self, now_s: float) -> int:
        """Return how many requests the window holds now."""
        self._let_go(now_s)
        return self.in_flight + len(self.finished_s)

    def _let_go(self, now_s: float) -> None:
        while self.finished_s and self.finished_s[0] + self.window_s <= now_s:
            self.finished_s.popleft()

    def started(self) -> None:
        self.in_flight += 1

    def finished(self, now_s: float, *, spent: bool = True) -> None:
        self.in_flight -= 1
        if self.limit and spent:
            self.finished_s.append(now_s)

    def preload(self, now_s: float, age_s: float, requests: int) -> None:
        """Count requests of an earlier process. Call with falling ages."""
        if self.limit:
            self.finished_s.extend([now_s - age_s] * requests)


@dataclass(slots=True)
class Breaker:
    """Closed while Notion answers; open after a few failures in a row: then one probe at a time, seldom.

    A wait that Notion asked for holds whatever else it answers; our own ends with the first success.
    """

    failures: int = 0
    not_before_s: float = 0.0       # what Notion asked for
    next_probe_s: float = 0.0       # ours, counts while open
    probe_due_s: float | None = None    # while a probe is out: when it was due
    reason: str | None = None

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN

    def until_s(self) -> float:
        """Return when the next request may start, as far as is known."""
        return max(self.not_before_s, self.next_probe_s) if self.open else self.not_before_s

    def wait_s(self, now_s: float, in_flight: int) -> float | None:
        """Return how long until a request may start (0: now), or None: not before one in flight ends."""
        # After the first failure already: of what an outage meets in flight, none is replaced until one gets through
        if self.failures and in_flight:
            return None
        return max(0.0, self.until_s() - now_s)

    def started(self, now_s: float) -> None:
        """A request starts. While open it is a probe, and whatever becomes of it the next is a while away."""
        if self.open:
            self.probe_due_s, self.next_probe_s = self.next_probe_s, now_s + PROBE_S

    def unused(self) -> None:
        """A turn ends without a request: if it was to be the probe, that is still due."""
        if self.probe_due_s is not None:
            self.next_probe_s = self.probe_due_s
            self.probe_due_s = None

    def succeeded(self) -> None:
        self.failures = 0
        self.probe_due_s = None
        self.reason = None

    def failed(self, now_s: float, reason: str, *, asked_s: float = 0.0, at_once: bool = False) -> None:
        """Count a failure of Notion as a whole; `at_once` opens without waiting for more (a revoked token)."""
        self.failures = max(self.failures + 1, FAILURES_TO_OPEN if at_once else 0)
        self.reason = reason
        self.probe_due_s = None
        self.pause(now_s, asked_s)
        if self.open:
            self.next_probe_s = max(self.next_probe_s, now_s + PROBE_S)

    def pause(self, now_s: float, wait_s: float) -> None:
        """Nobody asks anything for `wait_s`."""
        self.not_before_s = max(self.not_before_s, now_s + wait_s)


class Ledger(Protocol):
    """Where the use of the window outlives the process (`state.settings.RequestLedger`)."""

    async def take(self, requests: int) -> None:
        """Note, durably, that up to `requests` requests are about to be sent."""
        ...

    async def taken(self) -> tuple[tuple[float, int], ...]:
        """Return (age of the note in seconds, requests) of a little more than the last window, oldest first."""
        ...


@dataclass(slots=True)
class Turn:
    """Leave to send one request. `spent` is set to False by a holder that found nothing to send."""

    waited_s: float
    spent: bool = True


Waiter = tuple[int, bool, int, asyncio.Future[None]]
"""Priority, whether it begins something, arrival; the smallest is next."""


class Pacer:
    """Hands out turns to send one request each: live before manual before backfill.

    Within these, what goes on with something begun comes first, then first come first served. A write that queued
    behind a window's worth of reads would come too late for what it had read, which would be read again, for ever.
    """

    def __init__(
        self,
        requests_per_minute: int,
        *,
        window_s: float = 60.0,
        ledger: Ledger | None = None,
        clock: Callable[[], float] = time.monotonic,
        observer: Callable[[str, float], None] = lambda *_: None,
    ) -> None:
        self._observer = observer
        self.budget = Budget(requests_per_minute, window_s)
        self.breaker = Breaker()
        self._ledger = ledger
        self._clock = clock
        self._waiters: list[Waiter] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._noted = 0
        self._noted_s = 0.0
        self._note_lock = asyncio.Lock()

    async def open(self) -> None:
        """Count what earlier processes sent within the window."""
        if self._ledger is not None and self.budget.limit:
            for age_s, requests in await self._ledger.taken():
                self.budget.preload(self._clock(), max(0.0, age_s - LEDGER_SLACK_S), requests)

    @asynccontextmanager
    async def turn(self, priority: Priority, *, begun: bool = False) -> AsyncIterator[Turn]:
        """Wait for leave to send one request; it is held until the block ends. `begun`: it follows an earlier one."""
        asked_s = self._clock()
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        waiter = (int(priority), not begun, self._arrivals, granted)
        heapq.heappush(self._waiters, waiter)
        self._pump()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._end(spent=False)
            else:
                self._forget(waiter)
            raise
        turn = Turn(0.0, spent=False)
        try:
            await self._note()
            turn.waited_s, turn.spent = self._clock() - asked_s, True
            self._observer(priority.name.lower(), turn.waited_s)
            yield turn
        finally:
            self._end(spent=turn.spent)

    async def follow_up(self) -> None:
        """Count one more request of who holds a turn; it does not wait, later ones do."""
        self.budget.started()
        try:
            await self._note()
        finally:
            self._end(spent=True)

    def succeeded(self) -> None:
        """Notion answered: an outage, if there was one, is over."""
        self.breaker.succeeded()
        self._pump()

    def failed(self, reason: str, *, asked_s: float = 0.0, at_once: bool = False) -> None:
        """Notion as a whole failed; its own wait counts when it is longer than ours."""
        self.breaker.failed(self._clock(), reason, asked_s=asked_s, at_once=at_once)

    def pause(self, wait_s: float) -> None:
        """Notion asked everybody to wait."""
        self.breaker.pause(self._clock(), wait_s)

    def send_away(self) -> None:
        """Cancel everybody who waits for a turn; who has one keeps it."""
        for *_, granted in self._waiters:
            granted.cancel()
        self._waiters.clear()

    @property
    def used(self) -> int:
        """How many requests count against the limit now."""
        return self.budget.used(self._clock())

    def _end(self, *, spent: bool) -> None:
        self.budget.finished(self._clock(), spent=spent)
        if not spent:
            self.breaker.unused()
        self._pump()

    def _forget(self, waiter: Waiter) -> None:
        """Drop who gave up waiting: in a long outage those would pile up behind the one who waits first."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            heapq.heapify(self._waiters)

    def _wait_s(self, priority: int) -> float | None:
        bulk = priority >= Priority.BACKFILL
        if self.budget.in_flight >= MAX_IN_FLIGHT - (BULK_RESERVE if bulk else 0):
            return None
        now_s = self._clock()
        waits = (
            self.breaker.wait_s(now_s, self.budget.in_flight),
            self.budget.wait_s(now_s, bulk=bulk),
        )
        return None if None in waits else max(wait for wait in waits if wait is not None)

    def _pump(self) -> None:
        """Grant every turn that is due, best first; set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            priority, _, _, granted = self._waiters[0]
            if granted.done():
                heapq.heappop(self._waiters)
                continue
            wait_s = self._wait_s(priority)
            if wait_s is None:
                return
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)
                return
            heapq.heappop(self._waiters)
            self.budget.started()
            self.breaker.started(self._clock())
            granted.set_result(None)

    async def _note(self) -> None:
        """Write ahead, in blocks, that requests are sent: a killed process must not forget them."""
        if self._ledger is None or not self.budget.limit:
            return
        async with self._note_lock:
            if self._noted == 0 or self._clock() - self._noted_s > LEDGER_BLOCK_S:
                block = min(LEDGER_BLOCK, len(self._waiters) + 1)
                self._noted = 0
                noted_s = self._clock()
                await self._ledger.take(block)
                self._noted, self._noted_s = block, noted_s
            self._noted -= 1
