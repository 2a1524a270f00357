"""What a failed call to Notion means: one pure function from (status, code, body) to our error vocabulary.

Source: Notion's "Status codes" and "Request limits" pages. Decided on status and `code`, never on message texts, which
may change at any time; the one exception is the archived-page refusal, which has no code of its own.

What is not Notion's own answer (a proxy's page, a redirect, a 404 without Notion's code) says nothing about the piece
of work at hand: believing a wrong address' 404 would unlink every page.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from sinks.base import EntityUnavailable, OutcomeUnknown, PageGone, PageTrashed, SinkUnavailable
from sinks.notion.ids import parse_id
from state.changes import PageId
from state.errors import PoisonError, RateLimited, SyncError, TransientError

DEFAULT_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3600.0
"""A longer wait than this is a server's mistake, or worth asking again about."""
BLOCKED: Final = "public_api_request_blocked"
BLOCK_LIMIT: Final = "notion_block_limit"
OURS_TO_MEND: Final = frozenset({"missing_version", "invalid_beta", "invalid_grant"})
"""What is wrong with every request of ours, whatever the piece of work."""
# Anchored: a refusal of a value may quote the value, and a row's text may hold any word
_ARCHIVED: Final = re.compile(r"Can['’]t (?:edit|update) .*\b(?:archived|trash)\b", re.IGNORECASE)
_CODE: Final = re.compile(r"[a-z_]{1,60}")


class NotionOutage(TransientError):
    """Notion (or the way to it) failed. `sent`: the request may have been carried out."""

    def __init__(self, message: str, *, sent: bool, page_id: PageId | None = None, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.sent = sent
        self.page_id = page_id
        self.retry_after_s = retry_after_s


class ConflictOnSave(TransientError):
    """409: two writes met; this one says it was not saved."""


def parse_body(text: str) -> Mapping[str, Any]:
    """Return the JSON object of an error body, or an empty one (a proxy's HTML, for example)."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """Return the wait that the server asked for, in seconds; 0 when it did not say. Seconds or an HTTP date."""
    return _seconds(headers.get("retry-after", ""), now_s)


def _seconds(text: str, now_s: float) -> float:
    value = text.strip()
    if not value:
        return 0.0
    try:
        wait_s = float(value)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(value)
            # a date that says "-0000", or nothing, of its zone is in UTC, not in this machine's zone
            wait_s = (until if until.tzinfo is not None else until.replace(tzinfo=UTC)).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return DEFAULT_PAUSE_S
    return min(max(0.0, wait_s), LONGEST_PAUSE_S) if math.isfinite(wait_s) else DEFAULT_PAUSE_S


def lacks_content(said: str) -> SyncError:
    """Return what it means that the connection may not do what nothing works without."""
    return SinkUnavailable(f"{said}: the connection lacks a capability (read, update and insert content)")


def classify(
    status: int,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    now_s: float,
    lacking: Callable[[str], SyncError] = lacks_content,
) -> SyncError:
    """Return the error that this answer is. Its text names status and code, never a value.

    `lacking` makes the error of a missing capability: not every one of them is needed by all.
    """
    code = _text(body.get("code"))
    code = code if _CODE.fullmatch(code) else ""
    more = body.get("additional_data")
    more = more if isinstance(more, dict) else {}
    said = f"Notion answered {status} {code or 'without a code'}"
    asked_s = retry_after_s(headers, now_s)
    match status:
        case _ if status < 400:
            return SinkUnavailable(f"{said}: that is not Notion; check NOTION_BASE_URL and the way there")
        case 429 if more.get("rate_limit_reason") == BLOCKED:
            return SinkUnavailable(f"{said}: access is blocked ({BLOCKED}); ask Notion's support")
        case 429:
            return RateLimited(said, asked_s or _seconds(_text(more.get("retry_after")), now_s) or DEFAULT_PAUSE_S)
        case 401:
            return SinkUnavailable(f"{said}: the token is invalid or was revoked; set NOTION_API_KEY to a valid one")
        case 403 if more.get("block_limit"):
            # edits, reads and what goes to the trash still work: only what would be made is refused
            return PoisonError(BLOCK_LIMIT, f"{said}: the workspace has used all of its free blocks")
        case 403 if more.get("rate_limit_reason") == BLOCKED:
            return SinkUnavailable(f"{said}: access is blocked ({BLOCKED}); ask Notion's support")
        case 403 if code == "restricted_resource":
            return lacking(said)
        case 403:
            return lacks_content(said)
        case 404 if code != "object_not_found":
            return SinkUnavailable(f"{said}: that is not Notion; check NOTION_BASE_URL and the way there")
        case 404:
            return PageGone(f"{said}: not there, or not shared with the connection")
        case 409 if code == "row_limit_exceeded":
            return PoisonError(f"notion_{code}", f"{said}: the database is full")
        case 409:
            return ConflictOnSave(said)
        case 407:
            return SinkUnavailable(f"{said}: a proxy wants to know who asks")
        case 408 | 425:
            return NotionOutage(said, sent=True, retry_after_s=asked_s)
        case _ if status >= 500:
            return NotionOutage(said, sent=True, page_id=_made(more), retry_after_s=asked_s)
        case 400 if code in OURS_TO_MEND:
            return SinkUnavailable(f"{said}: every request is refused alike; update this program")
        case 400 if _ARCHIVED.match(_text(body.get("message"))):
            return PageTrashed(f"{said}: the page or its database is in the trash")
        case _:
            return PoisonError(f"notion_{code or status}", said)


def create_failed(error: SyncError) -> SyncError:
    """Return what a failed create means: unless it certainly did not happen, its outcome is unknown.

    409 says "not saved", yet a create that is repeated wrongly makes a second page, and a look-up is one request.
    """
    match error:
        case NotionOutage(sent=True):
            return OutcomeUnknown(str(error), error.page_id)
        case ConflictOnSave():
            return OutcomeUnknown(str(error))
        case PageGone() | PageTrashed():
            return EntityUnavailable(f"{error} (the database)")
        case _:
            return error


def _made(more: Mapping[str, Any]) -> PageId | None:
    """Return the page that Notion says it made although it failed then."""
    try:
        return PageId(parse_id(_text(more.get("committed_resource_id"))))
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
