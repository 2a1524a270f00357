"""The HTTP side as a whole: the routes of its parts, and one way to fail."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from cdc.web.answers import Refusal, problem
from cdc.web.headers import secure
from state.errors import FatalError

BODY_BYTES: Final = 1_000_000
LINE_BYTES: Final = 64 * 1024
"""A long URL is refused by the endpoint that knows why, not by the server's parser."""

RETRY_AFTER_S: Final = 5

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Routes = Iterable[web.AbstractRouteDef]

log = structlog.get_logger(__name__)


@web.middleware
async def _plain_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 503 to what fails unexpectedly: the server's own way is a traceback in the log, with texts of others."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except web.HTTPException as error:
        return _in_json(request, error)
    except Exception as error:  # noqa: BLE001 # whatever it is, it ends here and is told by its kind
        return _later(request, error)


def _later(request: web.Request, error: Exception) -> web.StreamResponse:
    log.warning("request.failed", path=_route(request), kind=type(error).__name__)
    return problem(
        503, f"this can't be done just now ({type(error).__name__})", headers={"Retry-After": str(RETRY_AFTER_S)}
    )


def _in_json(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Return what the server itself refuses in our form."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return problem(405, f"{request.method} is not allowed here, {allowed} is", headers={"Allow": allowed})
        case web.HTTPNotFound():
            return problem(404, "there is nothing at this address")
        case _ if error.status >= 400:
            return problem(error.status, error.reason)
        case _:
            raise error


def _route(request: web.Request) -> str:
    """Return the endpoint's pattern: a path may hold an id."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def application(*sides: Routes, around: Iterable[Middleware] = ()) -> web.Application:
    """Return the application with the routes of its parts; of two that match the earlier one counts.

    What is `around` sees every answer, failures too.
    """
    app = web.Application(middlewares=[*around, _plain_failures], client_max_size=BODY_BYTES)
    app.on_response_prepare.append(secure)
    for routes in sides:
        app.add_routes(list(routes))
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` until the block ends; gives the port that is listened on."""
    # of what is hardly HTTP aiohttp logs a traceback that quotes it; what else fails is told by the middleware
    unheard = logging.getLogger(f"{__name__}.server")
    unheard.setLevel(logging.CRITICAL + 1)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, max_line_size=LINE_BYTES, logger=unheard)
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
