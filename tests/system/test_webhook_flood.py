"""A bulk push comes back as hundreds of events at once: the limit on calls of people is none for them."""

from __future__ import annotations

import asyncio

from tests.system.desk import ADMIN, SECRET, deliver, event
from tests.system.scene import staged


async def test_however_many_events_come_at_once_none_is_turned_away(mapable_dsn: str) -> None:
    async with staged(
        mapable_dsn, NOTION_WEBHOOK_SECRET=SECRET, ADMIN_TOKEN=ADMIN, SYNC_REQUESTS_PER_MINUTE="1"
    ) as scene:
        await scene.participant("ana", "Ana")
        page_id = scene.page_id("Participants", "ana")

        answers = await asyncio.gather(*(deliver(scene, event(page_id)) for _ in range(200)))

        assert {answer.status for answer in answers} == {200}
        assert await scene.value("select count(*) from notion_sync.inbox") == 200
