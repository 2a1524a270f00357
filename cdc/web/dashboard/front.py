"""What every page behind the door has: tabs with what waits there, the form token, what was done just now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from aiohttp import web

from cdc.operate.phrases import counted
from cdc.web.dashboard.door import Door
from cdc.web.dashboard.pages import Pages
from cdc.web.dashboard.sessions import Session
from state import conflicts, deletions, parking
from state.database import Pool

DONE: Final[dict[str, Callable[[int], str]]] = {
    "decided": lambda _: "Noted. The choice is carried out in a moment.",
    "retried": lambda count: f"{counted(count, 'record')} will be tried again in a moment.",
    "dropped": lambda count: f"{counted(count, 'record')} dropped: the next change brings it up again.",
    "approved": lambda count: f"{counted(count, 'page follows its row', 'pages follow their rows')} into the trash.",
    "rejected": lambda count: counted(
        count, "page stays, and nothing is written to it any more.",
        "pages stay, and nothing is written to them any more.",
    ),
    "synced": lambda _: "Marked. Both sides are compared in a moment.",
}
"""What is said after a form, by a word in the address: a text in the address could be anybody's."""


class Front:
    """Makes the pages behind the door."""

    def __init__(self, door: Door, pages: Pages, pool: Pool) -> None:
        self.door = door
        self._pages = pages
        self._pool = pool

    async def answer(
        self, request: web.Request, session: Session, template: str, *, status: HTTPStatus = HTTPStatus.OK,
        failure: str | None = None, here: str | None = None, waiting: Mapping[str, int] | None = None, **facts: Any,
    ) -> web.Response:
        """Return a page.

        `failure`: why what was just asked for was not done; `here`: its tab, else the address; `waiting`: how much
        waits behind each tab, where that is known already.
        """
        return self._pages.answer(
            template, status=status, form_token=self.door.form_token(session), here=here or request.path,
            waiting=waiting if waiting is not None else await self._waiting(),
            done=_done(request) if failure is None else None, failure=failure, **facts,
        )

    async def _waiting(self) -> Mapping[str, int]:
        async with self._pool.connection() as conn:
            return {
                "/conflicts": await conflicts.count(conn),
                "/parked": await parking.count(conn),
                "/deletes": await deletions.count_held(conn),
            }


def go_on(path: str, done: str, count: int = 1, **more: str) -> NoReturn:
    """End a form: the page is loaded anew, so that loading it once more repeats nothing."""
    raise web.HTTPSeeOther(f"{path}?{urlencode({**more, 'done': done, 'count': count})}")


def _done(request: web.Request) -> str | None:
    said = DONE.get(request.query.get("done", ""))
    count = request.query.get("count", "")
    if said is None or not (count.isascii() and count.isdigit() and len(count) < 10):
        return None
    return said(int(count))
