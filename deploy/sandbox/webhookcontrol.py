"""The control API's part for webhooks, under /sandbox/webhooks: what a person does in the connection's Webhooks tab.

| call                                                   | does                                                      |
|--------------------------------------------------------|-----------------------------------------------------------|
| GET /sandbox/webhooks                                  | the subscriptions, without their tokens                   |
| POST /sandbox/webhooks {url, api_version?, events?}    | subscribe: the token goes to the URL                      |
| POST /sandbox/webhooks/verify {token}                  | paste the token back                                      |
| POST /sandbox/webhooks/{id}/{action}                   | resend, pause or resume                                   |
| PATCH, DELETE /sandbox/webhooks/{id} {url?, events?}   | change, delete                                            |
| GET /sandbox/webhooks/deliveries                       | every attempt, the lost events, and whether all is idle   |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from deploy.sandbox.control import answering, body_of
from deploy.sandbox.errors import Json
from deploy.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from deploy.sandbox.server import Sandbox


def add_routes(app: web.Application, sandbox: Sandbox) -> None:
    """Serve the control API of `sandbox.webhooks` from `app`."""
    api = _WebhookControl(sandbox.webhooks)
    for method, path, answer in (
        ("GET", "/sandbox/webhooks", api.subscriptions),
        ("POST", "/sandbox/webhooks", api.subscribe),
        ("POST", "/sandbox/webhooks/verify", api.verify),
        ("GET", "/sandbox/webhooks/deliveries", api.deliveries),
        ("POST", "/sandbox/webhooks/{id}/{action}", api.act),
        ("PATCH", "/sandbox/webhooks/{id}", api.change),
        ("DELETE", "/sandbox/webhooks/{id}", api.delete),
    ):
        app.router.add_route(method, path, answering(answer))


class _WebhookControl:
    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def subscriptions(self, _request: web.Request) -> list[Json]:
        return [subscription.as_dict() for subscription in self._webhooks.subscriptions]

    async def subscribe(self, request: web.Request) -> Json:
        body = await body_of(request)
        return self._webhooks.subscribe(_url(body.pop("url", None)), **body).as_dict()

    async def verify(self, request: web.Request) -> Json:
        return self._webhooks.verify((await body_of(request))["token"]).as_dict()

    async def act(self, request: web.Request) -> Json:
        action = request.match_info["action"]
        if action not in ("resend", "pause", "resume"):
            raise LookupError(f"no action {action!r}; there are resend, pause and resume")
        getattr(self._webhooks, action)(request.match_info["id"])
        return {"ok": True}

    async def change(self, request: web.Request) -> Json:
        body = await body_of(request)
        if "url" in body:
            body["url"] = _url(body["url"])
        self._webhooks.change(request.match_info["id"], **body)
        return {"ok": True}

    async def delete(self, request: web.Request) -> Json:
        self._webhooks.delete(request.match_info["id"])
        return {"ok": True}

    async def deliveries(self, _request: web.Request) -> Json:
        return {
            "idle": self._webhooks.idle(),
            "delivered": [attempt.as_dict() for attempt in self._webhooks.delivered],
            "lost": list(self._webhooks.lost),
        }


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("url must be a string")
    return value
