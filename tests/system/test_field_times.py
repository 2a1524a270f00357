"""Under timestamp-based each field that both sides changed goes to the side that changed that field last."""

from __future__ import annotations

from typing import Final

from tests.system.scene import Scene, staged

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('r', 'Ramp', '', 'LOW', 'Home', '', '2026-01-01')
"""
TOLD: Final = """
insert into notion_sync.inbox (event_id, happened_at, kind, entity_type, entity_id, authors, properties, attempt)
select %(field)s, now() + %(from_now)s::interval, 'page.properties_updated', 'page', %(page)s,
    '[{"id": "ana", "type": "person"}]', array[properties ->> %(field)s], 1
from notion_sync.data_source where entity = 'risk'
"""


async def test_each_field_has_its_own_winner_and_the_losers_are_kept(mapable_dsn: str) -> None:
    async with staged(mapable_dsn, NOTION_CONFLICT_STRATEGY="timestamp-based") as scene:
        await scene.run(RISK)
        await scene.settled()
        page = scene.page_id("Risks", "r")
        scene.sandbox.people.edit(page, {"Title": "Notion's", "Category": "Notion's"})
        await told(scene, page, "title", "0 seconds")
        await told(scene, page, "category", "1 hour")

        await scene.run("""update "Risk" set title = 'MapAble''s', category = 'MapAble''s' where id = 'r'""")
        await scene.settled()

        assert scene.shows("Risks", "r", Title="MapAble's", Category="Notion's")
        row = (await scene.rows("""select title, category from "Risk" where id = 'r'"""))[0]
        assert row == {"title": "MapAble's", "category": "Notion's"}
        lines = await scene.rows("select * from notion_sync.audit_log where action = 'conflict.decided'")
        assert {(line["properties"][0], line["detail"]["winner"]) for line in lines} == {
            ("title", "mapable"), ("category", "notion"),
        }
        assert all((line["detail"]["mapable"], line["detail"]["notion"]) == ("MapAble's", "Notion's") for line in lines)


async def told(scene: Scene, page: str, field: str, from_now: str) -> None:
    """Let a webhook have told when the property was edited."""
    await scene.run(TOLD, page=page, field=field, from_now=from_now)
