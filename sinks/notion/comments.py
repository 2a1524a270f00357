"""Comments on Notion pages: the port of `sinks.base` over the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sinks.base import Comment, CommentsForbidden, OutcomeUnknown
from sinks.notion.client import NotionClient
from sinks.notion.failures import ConflictOnSave, NotionOutage
from sinks.notion.pacing import Turn
from sinks.notion.queries import listed
from state.changes import PageId, Priority


class NotionComments:
    """Writes and reads comments. What the connection may not do here says nothing about pages."""

    def __init__(self, client: NotionClient) -> None:
        self._client = client

    def turn(self, priority: Priority) -> AbstractAsyncContextManager[Turn]:
        """Wait for leave to send one request."""
        return self._client.turn(priority)

    async def comment(self, page_id: PageId, text: str) -> str | None:
        """Write a comment, one attempt within a turn, and return the request's id."""
        body = {"parent": {"page_id": page_id}, "rich_text": [{"type": "text", "text": {"content": text}}]}
        try:
            answer = await self._client.request("POST", "comments", body=body, lacking=_forbidden)
        except NotionOutage as error:
            if error.sent:
                raise OutcomeUnknown(str(error)) from None
            raise
        except ConflictOnSave as error:
            raise OutcomeUnknown(str(error)) from None
        request_id = answer.get("request_id")
        return request_id if isinstance(request_id, str) else None

    async def comments(self, page_id: PageId, priority: Priority) -> Sequence[Comment]:
        """Return the page's open comments, taking turns itself; raises rather than stop short."""
        async def ask(more: Mapping[str, Any]) -> Mapping[str, Any]:
            query = {"block_id": page_id, **more}
            async with self._client.turn(priority):
                return await self._client.request("GET", "comments", query=query, lacking=_forbidden)

        return [_comment(each) async for answer in listed(ask) for each in answer.get("results") or []]


def _forbidden(said: str) -> CommentsForbidden:
    return CommentsForbidden(f"{said}: the connection lacks a capability (read and insert comments)")


def _comment(answer: Mapping[str, Any]) -> Comment:
    made_at = answer.get("created_time")
    author = (answer.get("created_by") or {}).get("id")
    return Comment(
        text="".join(str(item.get("plain_text") or "") for item in answer.get("rich_text") or []),
        author=author if isinstance(author, str) else None,
        made_at=datetime.fromisoformat(made_at) if isinstance(made_at, str) else None,
    )
