"""Who may ask: whoever holds ADMIN_TOKEN, and so often a minute. Without that setting nobody may."""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from cdc.spelling import ADMIN_TOKEN_LENGTH
from cdc.web.answers import Refusal
from cdc.web.application import Handler
from cdc.web.ratelimit import Window

WINDOW_S: Final = 60.0
LOOKS_PER_MINUTE: Final = 600
"""A dashboard asks every few seconds; more than this is a mistake somewhere."""


def admitted(headers: Sequence[str], token: str) -> bool:
    """Whether there is exactly one Authorization header and it carries the token, compared in constant time."""
    if len(headers) != 1:
        return False
    scheme, _, given = headers[0].partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )


def now_s() -> float:
    """Return the time by which calls are counted."""
    return asyncio.get_running_loop().time()


def patiently(wait_s: float, why: str = "too many calls within a minute") -> None:
    """Refuse who has to wait."""
    if wait_s > 0:
        raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, headers={"Retry-After": str(math.ceil(wait_s))})


class Guard:
    """The door in front of the operator's endpoints."""

    def __init__(self, token: SecretStr | None, *, orders_per_minute: int) -> None:
        self._token = token
        self._orders = Window(orders_per_minute, WINDOW_S)
        self._looks = Window(LOOKS_PER_MINUTE, WINDOW_S)

    def looking(self, handler: Handler) -> Handler:
        """Return `handler` behind the door."""
        return self._behind(handler, self._looks)

    def ordering(self, handler: Handler) -> Handler:
        """Return `handler` behind the door, for SYNC_REQUESTS_PER_MINUTE calls a minute of all of them together."""
        return self._behind(handler, self._orders)

    def _behind(self, handler: Handler, window: Window) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self._admit(request)
            patiently(window.take(now_s()))
            return await handler(request)

        return guarded

    def count_order(self) -> None:
        """Count an order that came by another door; refuses it where there were too many."""
        patiently(self._orders.take(now_s()))

    def _admit(self, request: web.Request) -> None:
        if self._token is None:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "ADMIN_TOKEN is not set, so nobody may: set it to a long random text, "
                f"{ADMIN_TOKEN_LENGTH} characters at least, start again, and send it as "
                "Authorization: Bearer <ADMIN_TOKEN>",
            )
        if not admitted(request.headers.getall("Authorization", []), self._token.get_secret_value()):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "one header Authorization: Bearer <ADMIN_TOKEN> is expected",
                headers={"WWW-Authenticate": "Bearer"},
            )
