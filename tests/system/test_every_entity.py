"""What an operator may ask about one record, asked about one of every entity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from sinks.mapping.entities import by_name
from sinks.mapping.model import Mirror
from state.changes import Priority, Reason
from tests.system.desk import ADMIN, marks, watch
from tests.system.one_of_each import PLACES, ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED: Final = (int(Reason.OURS | Reason.THEIRS | Reason.RESTORE), int(Priority.MANUAL))
EACH: Final = pytest.mark.parametrize(
    ("database", "system_id", "entity"), [(name, place[1], place[2]) for name, place in PLACES.items()],
    ids=[place[2] for place in PLACES.values()],
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn, ADMIN_TOKEN=ADMIN) as scene:
        await watch(scene)
        await scene.run(ROWS)
        await scene.settled()
        yield scene


async def lines(scene: Scene, query: str) -> list[dict[str, Any]]:
    status, body, _ = await scene.call("GET", f"/api/notion/audit?limit=1000&{query}", token=ADMIN)
    assert status == 200
    found: list[dict[str, Any]] = body["lines"]
    return found


@EACH
async def test_a_record_of_any_entity_is_compared_on_demand(
    scene: Scene, database: str, system_id: str, entity: str
) -> None:
    before = await marks(scene, entity, system_id)

    status, body, _ = await scene.call("POST", f"/api/notion/sync/{entity}?id={system_id}", token=ADMIN)

    assert (status, body) == (202, {"marked": 1})
    assert await marks(scene, entity, system_id) == [*before, ASKED]
    (line, *_) = await lines(scene, f"entity={entity}&id={system_id}")
    assert (line["action"], line["actor"], line["participantId"]) == ("sync.requested", "operator", "p")
    assert line["pageId"] == scene.page_id(database, system_id)


@EACH
async def test_what_went_to_notion_about_a_person_is_told_of_any_entity(
    scene: Scene, database: str, system_id: str, entity: str
) -> None:
    sent = {field.key for field in by_name(entity).fields if not isinstance(field.source, Mirror)}

    found = [line for line in await lines(scene, "person=p") if line["entity"] == entity]

    (made,) = [line for line in found if line["action"] == "page.created"]
    assert (made["systemId"], made["pageId"]) == (system_id, scene.page_id(database, system_id))
    # a relation to a page that is not there yet follows it
    written = [line for line in found if line["action"] in ("page.created", "page.updated")]
    assert {name for line in written for name in line["properties"]} == sent
    assert all(line["participantId"] == "p" for line in found)


async def test_of_another_person_nothing_is_told_with_it(scene: Scene) -> None:
    found = await lines(scene, "person=p2")

    assert {(line["entity"], line["systemId"]) for line in found} == {("participant", "p2")}
