"""Webhooks as a whole: the person's side (subscriptions), what is told (events), and how it gets there (deliveries).

    subscription = sandbox.webhooks.subscribe(url)        # the token goes to the URL
    sandbox.webhooks.verify(token)                        # a person pastes back what the receiver got
    sandbox.people.edit(page, {"Budget": 5})              # and the receiver hears of it
    await sandbox.wait_for(sandbox.webhooks.idle)

Time here is the event loop's, whatever clock the stand-in was given; timestamps of events are the given clock's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deploy.sandbox import aggregation, envelopes, events, ids
from deploy.sandbox.deliveries import Delivered, Deliveries
from deploy.sandbox.errors import Json
from deploy.sandbox.events import Event
from deploy.sandbox.store import Change
from deploy.sandbox.subscriptions import Subscription, Subscriptions
from deploy.sandbox.workspace import Workspace


class Webhooks:
    """What a person can do with subscriptions, and what became of the events."""

    def __init__(self, workspace: Workspace, moved: Callable[[], None]) -> None:
        self._workspace = workspace
        self._moved = moved
        self._rng = workspace.own_rng("webhooks")
        self._subscriptions = Subscriptions(workspace.store, self._rng)
        self._deliveries = Deliveries(
            workspace.switches, workspace.own_rng("deliveries"), self._subscriptions.find, moved
        )
        self._windows: dict[tuple[str, str], list[Event]] = {}

    # The person's side; see Subscriptions for what is possible when

    def subscribe(
        self, url: str, *, api_version: str = "2026-03-11", events: Sequence[str] | None = None
    ) -> Subscription:
        """Make a subscription and send its token to the URL. Without `events`: all types there are."""
        made = self._subscriptions.add(url, api_version, events)
        self._deliveries.greet(made)
        self._moved()
        return made

    def resend(self, subscription_id: str) -> None:
        """Send the token of a pending subscription once more."""
        found = self._subscriptions.get(subscription_id)
        if found.state != "pending":
            raise ValueError(f"the subscription is {found.state}, not pending")
        self._deliveries.greet(found)

    def verify(self, token: str) -> Subscription:
        """Paste the token back: its subscription becomes active."""
        return self._done(self._subscriptions.verify(token))

    def pause(self, subscription_id: str) -> Subscription:
        """Stop the events; what happens meanwhile is never told."""
        return self._done(self._subscriptions.pause(subscription_id))

    def resume(self, subscription_id: str) -> Subscription:
        """Start them again."""
        return self._done(self._subscriptions.resume(subscription_id))

    def change(self, subscription_id: str, *, url: str | None = None, events: Sequence[str] | None = None) -> None:
        """Change the URL of a pending subscription, or the types of events of any."""
        if url is not None:
            self._deliveries.greet(self._subscriptions.change_url(subscription_id, url))
        if events is not None:
            self._subscriptions.change_events(subscription_id, events)
        self._moved()

    def delete(self, subscription_id: str) -> None:
        """Forget a subscription; nothing more is sent to it."""
        self._subscriptions.delete(subscription_id)
        self._moved()

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All of them, oldest first."""
        return self._subscriptions.all()

    # What became of it

    @property
    def delivered(self) -> tuple[Delivered, ...]:
        """Every attempt to send, oldest first."""
        return self._deliveries.delivered

    @property
    def lost(self) -> tuple[Json, ...]:
        """The events that webhook_loss kept from being sent."""
        return self._deliveries.lost

    def idle(self) -> bool:
        """True when no window is open and nothing waits to be sent."""
        return self._deliveries.idle()

    # The running stand-in

    async def start(self) -> None:
        """Begin to send."""
        await self._deliveries.start()

    async def stop(self) -> None:
        """Stop sending; what is pending is lost."""
        await self._deliveries.stop()

    def forget(self) -> None:
        """Drop everything pending and the log; subscriptions go with the store."""
        self._windows.clear()
        self._deliveries.forget()

    def notice(self, change: Change) -> None:
        """Something changed: tell those who subscribed, now or when the entity's window closes."""
        if not self._deliveries.running or not self._subscriptions.active():
            return
        window_s = self._workspace.switches.webhook_aggregation_s
        for event in events.of(self._workspace, change):
            entity = (event.entity_type, event.entity_id)
            if window_s <= 0 or not aggregation.aggregated(event):
                self._tell(event)
            elif entity in self._windows:
                self._windows[entity].append(event)
            else:
                self._windows[entity] = [event]
                self._deliveries.later(window_s, partial(self._close, entity))

    def _close(self, entity: tuple[str, str]) -> None:
        document = self._workspace.store.get(*entity)
        for event in aggregation.collapsed(self._windows.pop(entity, ())):
            # Nothing is told about what was unshared meanwhile; about what is gone for good, only that it went.
            if self._workspace.visible(document) if document is not None else event.step == "deleted":
                self._tell(event)

    def _tell(self, event: Event) -> None:
        for subscription in self._subscriptions.active():
            known = envelopes.translated(event, subscription.api_version)
            if known is not None and known.kind in subscription.events:
                event_id = ids.fresh_uuid(self._rng)
                envelope = envelopes.envelope(
                    self._workspace, known, event_id, subscription.id, subscription.api_version
                )
                self._deliveries.offer(subscription, envelope)

    def _done(self, subscription: Subscription) -> Subscription:
        self._moved()
        return subscription
