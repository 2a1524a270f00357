"""Headers that every answer carries: no page of ours may be framed, sniffed, kept, or run what is not our own file."""

from __future__ import annotations

from typing import Final

from aiohttp import web

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


async def secure(_: web.Request, response: web.StreamResponse) -> None:
    """Add what the answer does not say for itself; which versions answer is nobody's business."""
    response.headers["Server"] = "mapable-cdc"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
