"""Notion's clock, as the Date header of its answers tells it."""

from __future__ import annotations

import email.utils
import time

import httpx


async def ahead_s(base_url: str, *, timeout_s: float) -> float | None:
    """Return by how many seconds Notion's clock is ahead of ours, to about a second; None when it does not tell.

    Asked without a token: also the refusal has the header. One request, and no retry.
    """
    async with httpx.AsyncClient(timeout=timeout_s) as client:
        try:
            asked_s = time.time()
            answer = await client.get(f"{base_url}/v1/users/me")
            answered_s = time.time()
        except httpx.HTTPError:
            return None
    said = email.utils.parsedate_tz(answer.headers.get("date", ""))
    if said is None:
        return None
    # the header has whole seconds: on average half a second is cut off
    return email.utils.mktime_tz(said) + 0.5 - (asked_s + answered_s) / 2
