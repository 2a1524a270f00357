"""POST /api/notion/webhook: verified, kept and marked before it is answered; whatever is wrong with it changes nothing.

A handshake brings the verification token. It is accepted once, within a quarter of an hour of `webhook await`, and
only when it is signed with the very token it carries: nobody can slip us another one later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from pydantic import SecretStr

from cdc.watch import inbound
from cdc.web.answers import Refusal
from cdc.web.application import Routes
from cdc.web.bodies import raw_body, require_json
from cdc.web.envelope import Malformed, event_in, token_in
from cdc.web.ratelimit import Window
from cdc.web.signature import HEADER, digest_in, signed
from state import audit, handshake
from state.changes import Key
from state.database import Pool

PATH: Final = "/api/notion/webhook"
PATIENCE_S: Final = 5.0
AT_ONCE: Final = 4
"""A flood of events must leave connections to the workers."""

KNOWN_IN: Final = "webhook"
"""The entity's name in audit lines about the subscription."""

log = structlog.get_logger(__name__)
Observer = Callable[[str, float], None]
"""Called with (outcome, how long it took in seconds) for each request."""


class Webhook:
    """The receiver. `on_marked` is called when there may be something due."""

    def __init__(
        self, pool: Pool, secret: SecretStr | None, *, on_marked: Callable[[], None], observer: Observer
    ) -> None:
        self._pool = pool
        self._secret = secret
        self._on_marked = on_marked
        self._observer = observer
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._complaints = Window(1, 60.0)

    def routes(self) -> Routes:
        return (web.post(PATH, self._post),)

    async def _post(self, request: web.Request) -> web.Response:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        outcome = "failed"
        try:
            outcome = await self._receive(request)
        except Refusal as refusal:
            outcome = "refused"
            if self._complaints.take(clock()) == 0:
                log.warning("webhook.refused", status=int(refusal.status), why=refusal.reason)
            raise
        finally:
            self._observer(outcome, clock() - began_s)
        return web.json_response({"status": outcome})

    async def _receive(self, request: web.Request) -> str:
        raw = await raw_body(request)
        digest = digest_in(request.headers.getall(HEADER, []))
        if digest is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"one header {HEADER}: sha256=<64 hexadecimal digits> is expected")
        async with asyncio.timeout(PATIENCE_S), self._slots:
            if (token := token_in(raw)) is not None:
                return await self._shake_hands(digest, raw, token)
            await self._verify(digest, raw)
            require_json(request)
            try:
                event = event_in(raw)
            except Malformed as error:
                raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
            async with self._pool.connection() as conn, conn.transaction():
                taken = await inbound.take(conn, event)
        if taken.marked is not None:
            self._on_marked()
        log.debug("webhook.received", kind=event.kind, new=taken.new, marked=taken.marked is not None)
        return "received" if taken.new else "repeated"

    async def _verify(self, digest: str, raw: bytes) -> None:
        token = self._secret.get_secret_value() if self._secret is not None else await self._stored()
        if token is None:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "no verification token is known: run `mapable-cdc webhook await`, then make the subscription in Notion",
            )
        if not signed(digest, raw, token):
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"{HEADER} is not the signature of this body")

    async def _stored(self) -> str | None:
        async with self._pool.connection() as conn:
            return await handshake.token(conn)

    async def _shake_hands(self, digest: str, raw: bytes, token: str) -> str:
        if self._secret is not None:
            raise Refusal(
                HTTPStatus.CONFLICT, "NOTION_WEBHOOK_SECRET is set, so no token is accepted: remove it first"
            )
        if not signed(digest, raw, token):
            raise Refusal(HTTPStatus.CONFLICT, "the handshake is not signed with the token it carries")
        async with self._pool.connection() as conn, conn.transaction():
            if not await handshake.store(conn, token):
                raise Refusal(
                    HTTPStatus.CONFLICT,
                    "no token is expected now: run `mapable-cdc webhook await`, then send it again within "
                    f"{handshake.EXPECTED_MINUTES} minutes",
                )
            await audit.append(conn, audit.Entry("webhook.token_stored", Key(KNOWN_IN, "*"), actor="notion"))
        log.info("webhook.token_stored")
        return "stored"


def switched_off() -> Routes:
    """Return the route of a sync that is disabled: Notion tries again for a day."""

    async def later(_: web.Request) -> web.Response:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "the sync is disabled (NOTION_SYNC_ENABLED=false)",
            headers={"Retry-After": "300"},
        )

    return (web.post(PATH, later),)
