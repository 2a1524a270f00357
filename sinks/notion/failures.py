"""What a failed call to Notion means: one pure function from (status, code, body) to our error vocabulary.

Source: Notion's "Status codes" and "Request limits" pages. Decided on status and `code`, never on message texts, which
may change at any time; the one exception is the archived-page refusal, which has no code of its own.
"""

from __future__ import annotations

import email.utils
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from sinks.base import EntityUnavailable, OutcomeUnknown, PageGone, PageTrashed, SinkUnavailable
from state.changes import PageId
from state.errors import PoisonError, RateLimited, SyncError, TransientError

DEFAULT_PAUSE_S: Final = 5.0
OUTAGE_STATUS: Final = frozenset({500, 502, 503, 504})
BLOCKED: Final = "public_api_request_blocked"


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
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """Return the wait that the server asked for, in seconds; 0 when it did not say. Seconds or an HTTP date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return DEFAULT_PAUSE_S
    return max(0.0, wait_s) if math.isfinite(wait_s) else DEFAULT_PAUSE_S


def classify(status: int, body: Mapping[str, Any], headers: Mapping[str, str], now_s: float) -> SyncError:
    """Return the error that this answer is. Its text names status and code, never a value."""
    code = _text(body.get("code")) or "no code"
    more = body.get("additional_data")
    more = more if isinstance(more, dict) else {}
    said = f"Notion answered {status} {code}"
    asked_s = retry_after_s(headers, now_s)
    match status:
        case 429 if more.get("rate_limit_reason") == BLOCKED:
            return SinkUnavailable(f"{said}: access is blocked ({BLOCKED}); ask Notion's support")
        case 429:
            return RateLimited(said, asked_s or DEFAULT_PAUSE_S)
        case 401:
            return SinkUnavailable(f"{said}: the token is invalid or was revoked; set NOTION_API_KEY to a valid one")
        case 403 if more.get("block_limit"):
            return SinkUnavailable(f"{said}: the workspace has used all of its free blocks")
        case 403 if more.get("rate_limit_reason") == BLOCKED:
            return SinkUnavailable(f"{said}: access is blocked ({BLOCKED}); ask Notion's support")
        case 403:
            return SinkUnavailable(f"{said}: the connection lacks a capability (read, update and insert content)")
        case 404:
            return PageGone(f"{said}: not there, or not shared with the connection")
        case 409 if code == "row_limit_exceeded":
            return EntityUnavailable(f"{said}: the database is full")
        case 409:
            return ConflictOnSave(said)
        case 529:
            return NotionOutage(said, sent=True, retry_after_s=asked_s)
        case _ if status in OUTAGE_STATUS or status >= 500:
            made = _text(more.get("committed_resource_id"))
            return NotionOutage(said, sent=True, page_id=PageId(made) if made else None, retry_after_s=asked_s)
        case 400 if "archived" in _text(body.get("message")).lower():
            return PageTrashed(f"{said}: the page or its database is in the trash")
        case _:
            return PoisonError(f"notion_{code}", said)


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


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
