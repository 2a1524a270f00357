"""The small HTTP side: does it live, is it ready, what does it measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import web

from state.errors import FatalError

Readiness = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
"""Returns (ready, what to tell)."""

Render = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Probes:
    """What the endpoints ask."""

    readiness: Readiness
    metrics: Render


log = structlog.get_logger(__name__)
PROBES: Final = web.AppKey("probes", Probes)


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    ready, told = await request.app[PROBES].readiness()
    return web.json_response(dict(told), status=200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    body = await request.app[PROBES].metrics()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


@web.middleware
async def _plain_failures(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 503 to what fails unexpectedly: the server's own way is a traceback in the log, with texts of others."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 # whatever it is, it ends here and is told by its kind
        log.warning("request.failed", path=request.path, kind=type(error).__name__)
        return web.json_response({"status": "failed", "kind": type(error).__name__}, status=503)


def application(probes: Probes) -> web.Application:
    """Return the application with its routes."""
    app = web.Application(middlewares=[_plain_failures])
    app[PROBES] = probes
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` until the block ends; gives the port that is listened on."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise FatalError(
                f"HTTP_HOST and HTTP_PORT can't be listened on ({error.strerror or type(error).__name__})",
                "Set HTTP_PORT to a free port, or stop what listens there.",
            ) from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
