"""What waits for a person, made by hand: conflicts, parked work and held deletes of any records."""

from __future__ import annotations

from typing import Any, Final

from tests.system.scene import Scene

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "participantId", "updatedAt")
values (%(id)s, %(title)s, '', 'LOW', 'Access', '', %(participant)s, now())
"""
# Of a row that has no page: the service finds nothing to do about it, so the conflict stays as the test made it
OPEN: Final = """
insert into notion_sync.conflict (
    "entityType", "systemId", page_id, field, base, mapable, notion, mapable_at, notion_at, notion_by, rule)
values ('Risk', %(id)s, 'page-1', %(field)s, to_jsonb('before'::text), to_jsonb(%(mapable)s::text),
    to_jsonb(%(notion)s::text), '2026-03-01T08:00:00Z', null, 'ana', 'manual-review')
returning id
"""
PARKED: Final = """
insert into notion_sync.parked (entity, system_id, reason, message, attempts)
values ('risk', %(id)s, 'notion_validation_error', %(message)s, 3)
"""
# A row that is gone while its page stands
HELD: Final = """
with link as (
    insert into notion_sync."NotionSyncMapping" ("entityType", "systemId", "notionPageId", "pageState")
    values ('Risk', %(id)s, md5(%(id)s)::uuid::text, 'live')
)
insert into notion_sync.deletion (entity, system_id, page_id, group_entity, group_id, deleted_at, state)
values ('risk', %(id)s, md5(%(id)s)::uuid::text, 'risk', %(id)s, now(), 'held')
"""


async def risk(scene: Scene, system_id: str, title: str, participant: str | None = "ana") -> None:
    await scene.run(RISK, id=system_id, title=title, participant=participant)
    await scene.until(lambda: scene.page("Risks", system_id) is not None)
    await scene.settled()


async def opened(scene: Scene, system_id: str, field: str = "title", mapable: str = "ours", notion: str = "s") -> int:
    return int(await scene.value(OPEN, id=system_id, field=field, mapable=mapable, notion=notion))


async def conflict(scene: Scene, system_id: str) -> dict[str, Any]:
    found = await scene.rows("select * from notion_sync.conflict")
    return next(each for each in found if each["systemId"] == system_id)


async def actions(scene: Scene, system_id: str) -> list[tuple[str, str]]:
    rows = await scene.db.execute(
        b"select action, actor from notion_sync.audit_log where system_id = %s order by id", (system_id,)
    )
    return [(row[0], row[1]) for row in await rows.fetchall()]
