"""An edit that MapAble does not take stands for a while: a person who is still typing is not fought.

One scene, and all three edits at once: each test looks at one of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRACE_S: Final = 2.5
PATIENT, CORRECTED, AGAIN = "patient", "corrected", "again"
REFUSED: Final = """
select count(*) >= %(times)s from notion_sync.audit_log where system_id = %(id)s and action = 'edit.refused'
"""
AT: Final = "select min(at) from notion_sync.audit_log where system_id = %(id)s and action = %(action)s"
LAST_AT: Final = AT.replace("min", "max")
LINKS: Final = """select count(*) from notion_sync."NotionSyncMapping" where refused <> '{}'"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    """Three people typed an e-mail address where they may not, and everything that came of it is over."""
    async with staged(
        scene_dsn, NOTION_REVERT_GRACE_SECONDS=str(GRACE_S), NOTION_POLL_SECONDS="0.2"
    ) as scene:
        for system_id in (PATIENT, CORRECTED, AGAIN):
            await scene.participant(system_id)
        await scene.settled()
        scene.sandbox.clear_requests()
        for system_id in (PATIENT, CORRECTED, AGAIN):
            typed(scene, system_id, "wrong@example.org")
        for system_id in (PATIENT, CORRECTED, AGAIN):
            await scene.until_true(REFUSED, id=system_id, times=1)
        assert scene.writes() == ()
        typed(scene, CORRECTED, f"{CORRECTED}@example.org")
        typed(scene, AGAIN, "wrong.again@example.org")
        await scene.until_true(REFUSED, id=AGAIN, times=2)
        await scene.settled()
        yield scene


def typed(scene: Scene, system_id: str, email: str) -> None:
    scene.sandbox.people.edit(scene.page_id("Participants", system_id), {"Email": email})


async def at(scene: Scene, query: str, system_id: str, action: str) -> Any:
    return await scene.value(query, id=system_id, action=action)


async def test_an_edit_is_put_back_once_its_grace_is_over_and_not_before(scene: Scene) -> None:
    refused = await at(scene, AT, PATIENT, "edit.refused")
    put_back = await at(scene, AT, PATIENT, "edit.put_back")

    assert timedelta(seconds=GRACE_S) <= put_back - refused < timedelta(seconds=GRACE_S + 5)
    assert scene.shows("Participants", PATIENT, Email=f"{PATIENT}@example.org")
    assert len(scene.writes(scene.page_id("Participants", PATIENT))) == 1


async def test_who_typed_the_right_value_meanwhile_is_not_corrected(scene: Scene) -> None:
    page = scene.page_id("Participants", CORRECTED)

    assert scene.writes(page) == ()
    assert scene.sandbox.people.comments(page) == []
    assert "edit.put_back" not in await scene.audited(CORRECTED)
    assert await scene.value(LINKS) == 0


async def test_another_wrong_value_has_a_grace_of_its_own(scene: Scene) -> None:
    second = await at(scene, LAST_AT, AGAIN, "edit.refused")
    put_back = await at(scene, AT, AGAIN, "edit.put_back")

    assert await at(scene, AT, AGAIN, "edit.refused") < second
    assert put_back - second >= timedelta(seconds=GRACE_S)
    assert len(scene.writes(scene.page_id("Participants", AGAIN))) == 1
