"""Whoever writes to MapAble's tables: the page follows. The log is read; no writer has to tell anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.system.one_of_each import PLACES, ROWS
from tests.system.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITES: Final[tuple[tuple[str, str, str, Any], ...]] = (
    ("Participants", "name = 'Pat Lee-Wong'", "Name", "Pat Lee-Wong"),
    ("Participants", "email = 'pat@example.net'", "Email", "pat@example.net"),
    ("Incidents", """"ndisReported" = true, status = 'NDIS_REPORTED'""", "NDIS Reported", True),
    ("Complaints", "status = 'ACKNOWLEDGED', \"acknowledgedAt\" = now()", "Status", "ACKNOWLEDGED"),
    ("Complaints", "status = 'RESOLVED', resolution = 'Said sorry'", "Status", "RESOLVED"),
    ("Risks", "status = 'MITIGATED'", "Status", "MITIGATED"),
    ("Care Plans", """goals = '[{"description": "Bake"}]'""", "Goals", "Bake"),
    ("NDIS Plans", """"remainingBudget" = "remainingBudget" - 99.95""", "Remaining Budget", 300.55),
    ("Payment Transactions", "status = 'COMPLETED'", "Status", "COMPLETED"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(scene_dsn: str) -> AsyncIterator[Scene]:
    async with staged(scene_dsn) as scene:
        await scene.run(ROWS)
        await scene.settled()
        yield scene


@pytest.mark.parametrize(("database", "written", "name", "shown"), WRITES, ids=[write[1] for write in WRITES])
async def test_a_write_that_tells_nobody_shows(
    scene: Scene, database: str, written: str, name: str, shown: Any
) -> None:
    table, system_id, _ = PLACES[database]

    await scene.run(f"""update "{table}" set {written} where id = '{system_id}'""")  # noqa: S608

    await scene.until(lambda: scene.shows(database, system_id, **{name: shown}))
