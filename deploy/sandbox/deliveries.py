"""Sending webhooks: attempts with doubling waits, lost, repeated and overtaken events, and a log of it all.

Guesses, where nothing is documented: any 2xx within webhook_timeout_s is a receipt, a redirect is not; the handshake
is sent once; an event's timestamp stays the same in every attempt.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final

import aiohttp

from deploy.sandbox.envelopes import minified, signature
from deploy.sandbox.errors import Json
from deploy.sandbox.subscriptions import Subscription
from deploy.sandbox.switches import Switches

HANDSHAKE: Final = "verification"
"""What the log calls the request that brings the token."""
_KEPT: Final = 100_000
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Delivered:
    """One attempt. `status` is None when no answer came. `event` is the type, `event_id` the same on every attempt."""

    event: str
    event_id: str
    entity_id: str
    subscription_id: str
    url: str
    attempt: int
    status: int | None
    took_s: float

    def as_dict(self) -> Json:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What the switches have in store for an event: drawn when it is raised, so that a seed repeats it."""

    lost: bool
    doubled: bool
    delay_s: float


class Deliveries:
    """The tasks that send. Works between start and stop; what is pending at the stop is lost."""

    def __init__(
        self,
        switches: Switches,
        rng: random.Random,
        current: Callable[[str], Subscription | None],
        moved: Callable[[], None],
    ) -> None:
        self._switches = switches
        self._rng = rng
        self._current = current
        self._moved = moved
        self._log: deque[Delivered] = deque(maxlen=_KEPT)
        self._lost: deque[Json] = deque(maxlen=_KEPT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._owner: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return self._group is not None

    @property
    def delivered(self) -> tuple[Delivered, ...]:
        """Every attempt so far, oldest first."""
        return tuple(self._log)

    @property
    def lost(self) -> tuple[Json, ...]:
        """The events that webhook_loss kept from being sent."""
        return tuple(self._lost)

    def idle(self) -> bool:
        """True when nothing waits to be sent."""
        return not self._under_way

    async def start(self) -> None:
        """Begin to send."""
        ready = asyncio.Event()
        self._owner = asyncio.create_task(self._own(ready), name="webhook deliveries")
        await ready.wait()

    async def stop(self) -> None:
        """Cancel everything pending; raises what went wrong in a task."""
        if self._owner is not None:
            owner, self._owner = self._owner, None
            owner.cancel()
            await asyncio.wait({owner})
            if not owner.cancelled():
                owner.result()

    def forget(self) -> None:
        """Cancel everything pending and clear the log."""
        for task in self._under_way:
            task.cancel()
        self._log.clear()
        self._lost.clear()

    def later(self, wait_s: float, act: Callable[[], None]) -> None:
        """Call `act` after a while; until then something is pending."""

        async def waited() -> None:
            await asyncio.sleep(wait_s)
            act()

        self._spawn(waited())

    def greet(self, subscription: Subscription) -> None:
        """Send the handshake with the token, signed with it."""
        self._spawn(self._handshake(subscription))

    def offer(self, subscription: Subscription, envelope: Json) -> None:
        """Send an event until it is answered, or as the switches have it."""
        fate = self._fate()
        if fate.lost:
            self._lost.append(envelope)
            self._moved()
        else:
            self._spawn(self._deliver(subscription.id, envelope, fate))

    def _fate(self) -> _Fate:
        switches = self._switches
        lost, doubled, held, part = (self._rng.random() for _ in range(4))
        held_s = part * switches.webhook_reorder_s if held < switches.webhook_reorder else 0.0
        return _Fate(
            lost < switches.webhook_loss, doubled < switches.webhook_duplicate, switches.webhook_delay_s + held_s
        )

    async def _own(self, ready: asyncio.Event) -> None:
        """Hold the task group open; it ends by being cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            ready.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                # Before the group waits for its tasks: what joined it now would not be cancelled.
                self._group = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            work.close()
            return
        task = self._group.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._moved()

    async def _handshake(self, subscription: Subscription) -> None:
        await self._attempt(subscription, {"verification_token": subscription.token})

    async def _deliver(self, subscription_id: str, envelope: Json, fate: _Fate) -> None:
        await asyncio.sleep(fate.delay_s)
        unconfirmed = fate.doubled
        for attempt in range(1, int(self._switches.webhook_attempts) + 1):
            if attempt > 1:
                await asyncio.sleep(self._switches.webhook_retry_s * 2 ** (attempt - 2))
            subscription = self._current(subscription_id)
            if subscription is None or not subscription.active:
                return
            status = await self._attempt(subscription, {**envelope, "attempt_number": attempt})
            if status is not None and 200 <= status < 300:
                if not unconfirmed:
                    return
                unconfirmed = False

    async def _attempt(self, subscription: Subscription, body: Json) -> int | None:
        raw = minified(body)
        async with self._slots:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            status = await self._post(subscription, raw)
        self._log.append(
            Delivered(
                event=body.get("type", HANDSHAKE),
                event_id=body.get("id", ""),
                entity_id=body.get("entity", {}).get("id", ""),
                subscription_id=subscription.id,
                url=subscription.url,
                attempt=body.get("attempt_number", 1),
                status=status,
                took_s=loop.time() - began_s,
            )
        )
        self._moved()
        return status

    async def _post(self, subscription: Subscription, raw: bytes) -> int | None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "notion-api",
            "X-Notion-Signature": signature(subscription.token, raw),
        }
        timeout = aiohttp.ClientTimeout(total=self._switches.webhook_timeout_s)
        # A connection per attempt: one kept from earlier may be dead by now, which a receiver would not have deserved.
        connector = aiohttp.TCPConnector(ssl=False, force_close=True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.post(subscription.url, data=raw, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None
