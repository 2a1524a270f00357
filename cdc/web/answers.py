"""How endpoints say no: a status, and a reason that tells a person what to do. Never a value, token or traceback."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

REASON: Final = web.ResponseKey("reason", str)
"""Where an answer keeps its reason for who makes another form of it."""


class Refusal(Exception):
    """The request is refused, and nothing was changed. `more` goes into the answer beside the reason."""

    def __init__(
        self, status: HTTPStatus, reason: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.more = more

    def response(self) -> web.Response:
        """Return the answer."""
        return problem(self.status, self.reason, headers=self.headers, **self.more)


def problem(status: int, reason: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> web.Response:
    """Return a JSON answer that something is not done, and why."""
    kind = HTTPStatus(status).phrase.lower().replace(" ", "_")
    answer = web.json_response({"error": kind, "reason": reason, **more}, status=status, headers=dict(headers or {}))
    answer[REASON] = reason
    return answer
