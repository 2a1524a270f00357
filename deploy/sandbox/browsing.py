"""The page for people: the stand-in's databases as tables that can be edited, at /sandbox/workspace.

It does what a person does, through the control API, so what is typed there is told to webhooks like any other edit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from deploy.sandbox.boards import board
from deploy.sandbox.control import answering
from deploy.sandbox.errors import Json

if TYPE_CHECKING:
    from deploy.sandbox.server import Sandbox

FILES: Final = Path(__file__).parent / "page"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def add_routes(app: web.Application, sandbox: Sandbox) -> None:
    """Serve the page from `app`."""

    async def page(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(FILES / "index.html", headers=HEADERS)

    async def rows(request: web.Request) -> Json:
        source = sandbox.people.source(request.query["database"])
        return board(sandbox.state, source, request.query.get("find", ""))

    app.router.add_get("/sandbox/workspace", page)
    app.router.add_get("/sandbox/board", answering(rows))
    app.router.add_static("/sandbox/files", FILES)
