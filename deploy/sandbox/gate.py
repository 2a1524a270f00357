"""One request on its way in and out: token, version, rate, scripted faults and latency around the endpoint."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from deploy.sandbox.calls import Call
from deploy.sandbox.endpoints import Endpoints
from deploy.sandbox.errors import Invalid, Json, NotionError
from deploy.sandbox.faults import Fault, Faults
from deploy.sandbox.ids import canonical_uuid, fresh_uuid
from deploy.sandbox.limits import PAYLOAD_BYTES, RateWindow, whole_seconds
from deploy.sandbox.rendering import VERSIONS
from deploy.sandbox.requestlog import Request, RequestLog
from deploy.sandbox.workspace import Workspace

_WRITES = ("POST", "PATCH", "DELETE")


class Gate:
    """Everything between the socket and the endpoints. `moved` is told of every step that somebody may wait for."""

    def __init__(
        self,
        *,
        token: str,
        workspace: Workspace,
        endpoints: Endpoints,
        faults: Faults,
        rate: RateWindow,
        requests: RequestLog,
        rng: random.Random,
        moved: Callable[[], None],
    ) -> None:
        self._token = token
        self._workspace = workspace
        self._switches = workspace.switches
        self._endpoints = endpoints
        self._faults = faults
        self._rate = rate
        self._requests = requests
        self._rng = rng
        self._moved = moved
        self._writing: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the waits of requests under way."""
        self._stopping.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        log = Request(self._workspace.monotonic(), request.method, request.path, request_id=fresh_uuid(self._rng))
        for name, value in request.query.items():
            log.query.setdefault(name, []).append(value)
        self._requests.add(log)
        self._moved()
        try:
            raw = await request.read()
            response = await self._answered(request, raw, log)
        except NotionError as error:
            response = _json(error.status, error.body(log.request_id))
            if error.additional_data and (retry_after := error.additional_data.get("retry_after")):
                response.headers["Retry-After"] = retry_after
        if response is not None:
            log.status = response.status
            response.headers["x-notion-request-id"] = log.request_id
            response.headers["Date"] = formatdate(self._workspace.clock(), usegmt=True)
        self._moved()
        return response or web.Response()

    async def _answered(self, request: web.Request, raw: bytes, log: Request) -> web.Response | None:
        parsed = _parsed(raw)
        log.body = None if isinstance(parsed, NotionError) else parsed
        if self._switches.outage:
            log.fault = "outage"
            raise NotionError(503, "service_unavailable", "Notion is unavailable, please try again later.")
        version = self._checked_headers(request)
        self._within_rate()
        if isinstance(parsed, NotionError):
            raise parsed
        if (fault := self._faults.take(log, "before")) is not None:
            log.fault = f"{fault.kind} before"
            if fault.kind != "slow":
                return await self._fail(request, fault, log, None)
            await self._dawdle(fault.delay_s)
        answer = await self._execute(Call(version, request.method, request.path, log.query, parsed or {}), log)
        answer["request_id"] = log.request_id
        log.object_id = answer.get("id")
        self._moved()
        if (fault := self._faults.take(log, "after")) is not None:
            log.fault = f"{fault.kind} after"
            if fault.kind != "slow":
                created = log.object_id if request.method == "POST" and request.path.count("/") == 2 else None
                return await self._fail(request, fault, log, created)
            await self._dawdle(fault.delay_s)
        return _json(200, answer)

    def _checked_headers(self, request: web.Request) -> str:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            raise NotionError(401, "unauthorized", "API token is invalid.")
        version = request.headers.get("Notion-Version")
        text = "Notion-Version header failed validation: Notion-Version header should be"
        if version is None:
            raise NotionError(400, "missing_version", f"{text} defined, instead was `undefined`.")
        if version not in VERSIONS:
            known = " or ".join(f'`"{one}"`' for one in VERSIONS)
            raise Invalid(f'{text} {known}, instead was `"{version[:20]}"`.')
        return version

    def _within_rate(self) -> None:
        message = "You have been rate limited. Please try again in a few minutes."
        if self._switches.blocked:
            reason = {"rate_limit_reason": "public_api_request_blocked"}
            raise NotionError(429, "rate_limited", message, reason)
        wait_s = self._rate.take()
        if wait_s is not None:
            told = {"rate_limit_reason": "public_api_request_rate_limit", "retry_after": str(whole_seconds(wait_s))}
            raise NotionError(429, "rate_limited", message, told)

    async def _execute(self, call: Call, log: Request) -> Json:
        """Run the endpoint; between arrival and commit another write to the same page may collide with this one."""
        target = _written_page(call)
        if target is not None and self._switches.conflict_on_concurrent_writes and self._writing[target]:
            log.fault = "concurrent write"
            raise NotionError(409, "conflict_error", "Conflict occurred while saving. Please try again.")
        if target is not None:
            self._writing[target] += 1
        try:
            # Even without latency a write yields once, so that requests that arrive together overlap.
            await asyncio.sleep(self._switches.latency_s)
            return self._endpoints.answer(call)
        finally:
            if target is not None:
                self._writing[target] -= 1
                if not self._writing[target]:
                    del self._writing[target]

    async def _fail(
        self, request: web.Request, fault: Fault, log: Request, created_id: str | None
    ) -> web.Response | None:
        if fault.kind == "malformed":
            return web.Response(text='{"object": "page", "id": ', content_type="application/json")
        if fault.kind == "timeout":
            self._moved()
            while not self._stopping.is_set() and request.transport is not None:
                await self._pause(0.02)
            return None
        if fault.kind == "reset":
            if request.transport is not None:
                request.transport.abort()
            return None
        status, headers, content_type, body = fault.answer(log.request_id, created_id)
        return web.Response(status=status, headers=headers, content_type=content_type, text=body)

    async def _dawdle(self, seconds: float) -> None:
        """Say that it has begun, and wait."""
        self._moved()
        await self._pause(seconds)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the stand-in runs."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _written_page(call: Call) -> str | None:
    parts = call.path.split("/")
    if call.method not in _WRITES or len(parts) < 4 or parts[2] not in ("pages", "blocks"):
        return None
    try:
        return canonical_uuid(parts[3], "path")
    except NotionError:
        return None


def _parsed(raw: bytes) -> Any:
    """Return the JSON object of a body, None for an empty one, or the error to raise once the token was checked."""
    if len(raw) > PAYLOAD_BYTES:
        return Invalid(f"body failed validation: body should be ≤ `{PAYLOAD_BYTES}` bytes, instead was `{len(raw)}`.")
    if not raw:
        return None
    try:
        parsed = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return NotionError(400, "invalid_json", "Error parsing JSON body.")
    return parsed if isinstance(parsed, dict) else Invalid("body failed validation: body should be an object.")


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _json(status: int, body: Json) -> web.Response:
    try:
        encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; JavaScript escapes it too.
        encoded = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=encoded, content_type="application/json", charset="utf-8")
