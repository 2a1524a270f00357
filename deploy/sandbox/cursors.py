"""Cursors: opaque to the client, refused when tampered with or used for another list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from deploy.sandbox.errors import Invalid, Json

_MAC_BYTES = 12


class Cursors:
    """Seals the place in a list; sealed with the workspace's id, so that cursors outlive a restart."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, listing: str, place: Json) -> str:
        """Return the cursor of a place in a list."""
        body = json.dumps([listing, place], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).decode()

    def open(self, listing: str, cursor: Any) -> Json | None:
        """Return the place, or None for the start of the list."""
        if cursor is None:
            return None
        try:
            sealed = base64.b64decode(str(cursor), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            sealed = b""
        mac, body = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not isinstance(cursor, str) or not hmac.compare_digest(mac, self._mac(body)):
            raise Invalid("start_cursor provided is invalid.")
        sealed_listing, place = json.loads(body)
        if sealed_listing != listing:
            raise Invalid("start_cursor provided is invalid: it belongs to another list.")
        return dict(place)

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()[:_MAC_BYTES]

    def page(self, listing: str, items: list[Any], size: int, cursor: Any) -> tuple[list[Any], str | None]:
        """Return (items of this page, next cursor) of a list that keeps its order."""
        start = int((self.open(listing, cursor) or {"from": 0})["from"])
        end = start + size
        return items[start:end], self.seal(listing, {"from": end}) if end < len(items) else None
