"""Who may see the dashboard: whoever typed ADMIN_TOKEN, for a while. Every form proves that it is one of our pages'."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import structlog
from aiohttp import web
from pydantic import SecretStr

from cdc.spelling import ADMIN_TOKEN_LENGTH
from cdc.web.answers import Refusal
from cdc.web.application import Handler, Routes
from cdc.web.auth import LOOKS_PER_MINUTE, WINDOW_S, now_s, patiently
from cdc.web.dashboard.forms import Form, form_of
from cdc.web.dashboard.pages import Pages
from cdc.web.dashboard.sessions import SESSION_S, Session, Sessions
from cdc.web.ratelimit import Window

GUESSES_PER_MINUTE: Final = 10
"""Wrong tokens, of all people together, that are answered with the form, and logged: nobody mistypes more often.

The right token opens all the same, else any stranger could keep every operator out; what stops guesses is its length.
"""

PAGE_S: Final = 6.0
"""A page that takes longer is told as a failure: with the database away, the pool would go on waiting for it."""

CLOSED: Final = (
    f"ADMIN_TOKEN is not set, so nobody may look: set it to a long random text, {ADMIN_TOKEN_LENGTH} characters at "
    "least, and start again, then sign in with it"
)
GUESSED: Final = "too many wrong tokens within a minute; the right one opens at any time"
STALE: Final = "this form is from another session, or too old: go back, load the page again and repeat it"

_VISITOR: Final = re.compile(r"[\w-]{32}", re.ASCII)

Page = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]
Act = Callable[[web.Request, Session, Form], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


class Door:
    """Signs people in and out, and keeps everybody else outside."""

    def __init__(self, token: SecretStr | None, pages: Pages) -> None:
        self._sessions = Sessions(token.get_secret_value()) if token is not None else None
        self._pages = pages
        self._guesses = Window(GUESSES_PER_MINUTE, WINDOW_S)
        self._looks = Window(LOOKS_PER_MINUTE, WINDOW_S)

    def routes(self) -> Routes:
        return (
            web.get("/sign-in", self._form),
            web.post("/sign-in", self._sign_in),
            web.post("/sign-out", self.acting(self._sign_out)),
        )

    def looking(self, page: Page) -> Handler:
        """Return the handler of a page for people who are signed in; others are sent to sign in, and back."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._session(request)
            if session is None:
                raise web.HTTPSeeOther("/sign-in?" + urlencode({"next": request.path_qs}))
            patiently(self._looks.take(now_s()))
            async with asyncio.timeout(PAGE_S):
                return await page(request, session)

        return guarded

    def acting(self, act: Act) -> Handler:
        """Return the handler of a form that somebody who is signed in sent from a page of this session."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._session(request)
            if session is None:
                raise web.HTTPSeeOther("/sign-in")
            patiently(self._looks.take(now_s()))
            form = await form_of(request)
            if not self._open.form_is_ours(session, form.text("form_token") or ""):
                raise Refusal(HTTPStatus.FORBIDDEN, STALE)
            return await act(request, session, form)

        return guarded

    def form_token(self, session: Session) -> str:
        """Return what the forms of this session carry."""
        return self._open.form_token(session)

    @property
    def _open(self) -> Sessions:
        if self._sessions is None:
            raise Refusal(HTTPStatus.FORBIDDEN, CLOSED)
        return self._sessions

    def _session(self, request: web.Request) -> Session | None:
        return self._open.opened(request.cookies.get(_cookie_name(request), ""), time.time())

    async def _form(self, request: web.Request) -> web.StreamResponse:
        """Show the form. Nothing made from the token is given to strangers: they could guess at it at their leisure."""
        if self._session(request) is not None:
            raise web.HTTPSeeOther("/")
        return self._asked(request, request.query.get("next"), HTTPStatus.OK)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        sessions = self._open
        form = await form_of(request)
        visitor = request.cookies.get(_visitor_name(request), "")
        if not visitor or not _equal(form.text("form_token") or "", visitor):
            raise Refusal(HTTPStatus.FORBIDDEN, STALE)
        if not sessions.admits((form.text("token") or "").strip()):
            patiently(self._guesses.take(now_s()), GUESSED)
            log.warning("session.refused")
            return self._asked(request, form.text("next"), HTTPStatus.UNAUTHORIZED, wrong=True)
        session = sessions.begin(secrets.token_urlsafe(24), time.time())
        answer = web.HTTPSeeOther(_own_path(form.text("next")))
        _set_cookie(request, answer, _cookie_name(request), sessions.sealed(session))
        _forget_cookie(request, answer, _visitor_name(request))
        log.info("session.began")
        raise answer

    async def _sign_out(self, request: web.Request, session: Session, _: Form) -> web.StreamResponse:
        self._open.end(session, time.time())
        answer = web.HTTPSeeOther("/sign-in")
        _forget_cookie(request, answer, _cookie_name(request))
        raise answer

    def _asked(
        self, request: web.Request, then: str | None, status: HTTPStatus, *, wrong: bool = False
    ) -> web.Response:
        # kept where there is one: two tabs may ask at once
        visitor = request.cookies.get(_visitor_name(request), "")
        if _VISITOR.fullmatch(visitor) is None:
            visitor = secrets.token_urlsafe(24)
        answer = self._pages.answer(
            "sign_in.html", status=status, wrong=wrong, form_token=visitor, next=_own_path(then)
        )
        _set_cookie(request, answer, _visitor_name(request), visitor)
        return answer


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode("utf-8", "surrogateescape"))


def _own_path(path: str | None) -> str:
    """Return a path on this very host to go on to: anything else could lead people who just signed in elsewhere."""
    if path is None or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return "/"
    return path


def _secure(request: web.Request) -> bool:
    """Whether the browser came by HTTPS. A proxy's word is as good as any: who lies spoils a cookie of their own."""
    first, _, _ = request.headers.get("X-Forwarded-Proto", "").partition(",")
    return request.secure or first.strip().lower() == "https"


def _cookie_name(request: web.Request) -> str:
    return "__Host-mapable-cdc" if _secure(request) else "mapable-cdc"


def _visitor_name(request: web.Request) -> str:
    return _cookie_name(request) + "-visitor"


def _set_cookie(request: web.Request, answer: web.StreamResponse, name: str, value: str) -> None:
    answer.set_cookie(
        name, value, max_age=SESSION_S, path="/", httponly=True, samesite="Strict", secure=_secure(request)
    )


def _forget_cookie(request: web.Request, answer: web.StreamResponse, name: str) -> None:
    # with all that it was set with: browsers take nothing else for a name that begins with __Host-
    answer.del_cookie(name, path="/", httponly=True, samesite="Strict", secure=_secure(request))
