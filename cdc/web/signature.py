"""Notion's signature of a webhook: HMAC-SHA256 of the raw body, keyed with the subscription's verification token."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

HEADER: Final = "X-Notion-Signature"
_FORM: Final = re.compile(r"sha256=([0-9a-fA-F]{64})")


def digest_in(headers: Sequence[str]) -> str | None:
    """Return the digest of the one header that there is; None when it is missing, malformed, or one of several."""
    if len(headers) != 1:
        return None
    found = _FORM.fullmatch(headers[0])
    return found[1].lower() if found is not None else None


def signed(digest: str, raw: bytes, token: str) -> bool:
    """Whether the digest is the one of these very bytes, compared in constant time."""
    return hmac.compare_digest(hmac.new(token.encode(), raw, hashlib.sha256).hexdigest(), digest)
