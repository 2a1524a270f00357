"""Webhook subscriptions: made and confirmed by a person in Notion's own app, kept in the workspace.

    pending  --verify(token)-->  active  <--pause / resume-->  paused        delete: from any state

The token goes out to the URL only, in the handshake. It belongs to the subscription for good: another token needs
another subscription. The URL can change only while pending, the types of events always.
"""

from __future__ import annotations

import ipaddress
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from deploy.sandbox import events, ids
from deploy.sandbox.envelopes import VERSIONS
from deploy.sandbox.errors import Json
from deploy.sandbox.store import Store

_ALPHABET: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription as it is now."""

    id: str
    url: str
    token: str = field(repr=False)
    state: str
    api_version: str
    events: tuple[str, ...]

    @property
    def active(self) -> bool:
        """True when events are sent to it."""
        return self.state == "active"

    def as_dict(self) -> Json:
        """Return what Notion shows of it: everything but the token."""
        return {
            "id": self.id, "url": self.url, "state": self.state, "api_version": self.api_version,
            "events": list(self.events),
        }  # fmt: skip


class Subscriptions:
    """All of them. LookupError for what does not exist, ValueError for what can't be."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self._store = store
        self._rng = rng

    def all(self) -> tuple[Subscription, ...]:
        """Return every subscription, oldest first."""
        return tuple(_subscription(stored) for stored in self._store.all("subscription").values())

    def active(self) -> tuple[Subscription, ...]:
        """Return those that events go to."""
        return tuple(one for one in self.all() if one.active)

    def find(self, subscription_id: str) -> Subscription | None:
        """Return the subscription as it is now, or None."""
        stored = self._store.get("subscription", subscription_id)
        return None if stored is None else _subscription(stored)

    def get(self, subscription_id: str) -> Subscription:
        """Return the subscription as it is now."""
        found = self.find(subscription_id)
        if found is None:
            raise LookupError("no such subscription")
        return found

    def add(self, url: str, api_version: str, kinds: Sequence[str] | None) -> Subscription:
        """Make a pending subscription; without `kinds` for every type of event there is."""
        if api_version not in VERSIONS:
            raise ValueError(f"api_version is one of {', '.join(VERSIONS)}")
        token = "secret_" + "".join(self._rng.choices(_ALPHABET, k=43))
        wanted = events.TYPES if kinds is None else _known(kinds)
        return self._put(Subscription(ids.fresh_uuid(self._rng), _loopback(url), token, "pending", api_version, wanted))

    def verify(self, token: str) -> Subscription:
        """A person pastes the token back: the pending subscription that has it becomes active."""
        for one in self.all():
            if one.state == "pending" and one.token == token:
                return self._put(one, state="active")
        raise LookupError("no pending subscription has this verification token")

    def pause(self, subscription_id: str) -> Subscription:
        """Stop the events of an active subscription; what happens meanwhile is never told."""
        return self._step(subscription_id, "active", "paused")

    def resume(self, subscription_id: str) -> Subscription:
        """Start them again."""
        return self._step(subscription_id, "paused", "active")

    def change_url(self, subscription_id: str, url: str) -> Subscription:
        """Give a pending subscription another URL."""
        found = self.get(subscription_id)
        if found.state != "pending":
            raise ValueError("the URL can only change before the subscription is verified")
        return self._put(found, url=_loopback(url))

    def change_events(self, subscription_id: str, kinds: Sequence[str]) -> Subscription:
        """Choose the types of events anew."""
        return self._put(self.get(subscription_id), events=list(_known(kinds)))

    def delete(self, subscription_id: str) -> None:
        """Forget a subscription and its token."""
        self._store.delete("subscription", self.get(subscription_id).id)

    def _step(self, subscription_id: str, before: str, after: str) -> Subscription:
        found = self.get(subscription_id)
        if found.state != before:
            raise ValueError(f"the subscription is {found.state}, not {before}")
        return self._put(found, state=after)

    def _put(self, subscription: Subscription, **changes: object) -> Subscription:
        stored = {**subscription.as_dict(), "token": subscription.token, **changes}
        self._store.put("subscription", subscription.id, stored)
        return _subscription(stored)


def _subscription(stored: Json) -> Subscription:
    return Subscription(
        stored["id"], stored["url"], stored["token"], stored["state"], stored["api_version"], tuple(stored["events"])
    )


def _known(kinds: Sequence[str]) -> tuple[str, ...]:
    unknown = [kind for kind in kinds if kind not in events.TYPES]
    if unknown:
        raise ValueError(f"no events {unknown}; there are {', '.join(events.TYPES)}")
    return tuple(dict.fromkeys(kinds))


def _loopback(url: str) -> str:
    """Return a URL on this machine; the stand-in sends nothing anywhere else."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme not in ("http", "https") or not local or parts.username is not None:
        raise ValueError("the URL must be http or https on this machine, such as http://127.0.0.1:8080/hook")
    return url
