"""Scripted faults: which request goes wrong, how, and whether before or after its change is committed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from deploy.sandbox.errors import Json
from deploy.sandbox.requestlog import Request

STATUSES: Final[dict[str, tuple[str, str]]] = {
    "400": ("validation_error", "body failed validation: scripted fault."),
    "401": ("unauthorized", "API token is invalid."),
    "403": ("restricted_resource", "API token does not have access to this resource."),
    "404": ("object_not_found", "Could not find object. Make sure it is shared with your integration."),
    "409": ("conflict_error", "Conflict occurred while saving. Please try again."),
    "429": ("rate_limited", "You have been rate limited. Please try again in a few minutes."),
    "500": ("internal_server_error", "Unexpected error occurred."),
    "502": ("bad_gateway", "Bad Gateway"),
    "503": ("service_unavailable", "Notion is unavailable, please try again later."),
    "504": ("gateway_timeout", "Gateway Timeout"),
    "529": ("service_overload", "Notion is overloaded, please try again later."),
}
"""The kinds of fault that are an answer; the others are SILENT or SPOILT."""
SILENT: Final = ("timeout", "reset")
SPOILT: Final = ("malformed", "slow")
KINDS: Final = (*STATUSES, *SILENT, *SPOILT)
HTML: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body></html>\r\n"
)


@dataclass(slots=True)
class Fault:
    """One script. `times` and `skip` count matching requests; None for `times` means without end."""

    kind: str
    when: str = "before"
    method: str | None = None
    path_pattern: str = ".*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    retry_after: int | None = None
    reason: str = "public_api_request_rate_limit"
    code: str | None = None
    message: str | None = None
    with_committed_id: bool = True
    delay_s: float = 1.0
    body_contains: str | None = None
    where: Callable[[Request], bool] | None = None
    applied: int = 0

    def matches(self, request: Request) -> bool:
        """True when this script is about `request`."""
        return (
            (self.method is None or self.method == request.method)
            and re.fullmatch(self.path_pattern, request.path) is not None
            and (self.body_contains is None or self.body_contains in json.dumps(request.body, ensure_ascii=False))
            and (self.where is None or self.where(request))
        )

    def as_dict(self) -> Json:
        """Return it for JSON, without the Python predicate."""
        shown = asdict(self)
        del shown["where"]
        return shown

    def answer(self, request_id: str, created_id: str | None) -> tuple[int, dict[str, str], str, str]:
        """Return (status, headers, content type, body) of a fault that is an answer."""
        code, message = STATUSES[self.kind]
        code, message = self.code or code, self.message or message
        status = int(self.kind)
        headers: dict[str, str] = {}
        if self.kind == "502":
            return status, headers, "text/html", HTML
        body: Json = {"object": "error", "status": status, "code": code, "message": message}
        body["request_id"] = request_id
        retry_after = self.retry_after
        if retry_after is None and self.kind in ("429", "529") and self.reason != "public_api_request_blocked":
            retry_after = 1
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        if self.kind == "429":
            body["additional_data"] = {"rate_limit_reason": self.reason}
            if retry_after is not None:
                body["additional_data"]["retry_after"] = str(retry_after)
        if self.kind == "503" and self.when == "after":
            body["message"] = "The change was saved, but the answer could not be made in time."
            body["additional_data"] = {
                "from": "publicApi.write",
                "elapsed_ms": "55012",
                "deadline_ms": "55000",
                "retry_guidance": ["Read the object again to see the change.", "Do not repeat the write."],
            }
            if created_id is not None and self.with_committed_id:
                body["additional_data"]["committed_resource_id"] = created_id
        return status, headers, "application/json", json.dumps(body)


class Faults:
    """The scripts in force, oldest first; the first that matches a request is applied."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._scripts: list[Fault] = []

    @property
    def scripts(self) -> tuple[Fault, ...]:
        """Those that still have something to do."""
        return tuple(self._scripts)

    def script(self, **settings: Any) -> Fault:
        """Add a fault; see `Fault` for the settings. Its `applied` tells how often it struck."""
        fault = Fault(**{**settings, "kind": str(settings.get("kind"))})
        if fault.kind not in KINDS:
            raise ValueError(f"no kind of fault {fault.kind!r}; there are {', '.join(KINDS)}")
        if fault.when not in ("before", "after"):
            raise ValueError("when is before or after")
        re.compile(fault.path_pattern)
        self._scripts.append(fault)
        return fault

    def clear(self) -> None:
        """Forget every script."""
        self._scripts.clear()

    def take(self, request: Request, when: str) -> Fault | None:
        """Return the fault to apply to `request` now, counting it, or None."""
        for fault in self._scripts:
            if fault.when != when or not fault.matches(request):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1.0 and self._rng.random() >= fault.probability:
                continue
            fault.applied += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._scripts.remove(fault)
            return fault
        return None
