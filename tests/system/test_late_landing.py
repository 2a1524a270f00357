"""A write that a killed process had on its way comes to land when the next one runs: it is nobody's edit."""

from __future__ import annotations

from typing import Final

from tests.system.scene import staged

RISK: Final = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
values ('late', 'Old', '', 'LOW', 'Home', '', '2026-01-01')
"""
LANDS_S: Final = 4.0


async def test_a_write_that_lands_late_is_ours_and_what_mapable_says_by_now_comes_after_it(mapable_dsn: str) -> None:
    async with staged(mapable_dsn) as scene:
        await scene.run(RISK)
        await scene.settled()
        page = scene.page_id("Risks", "late")
        late = scene.sandbox.faults.script(
            kind="slow", when="before", method="PATCH", path_pattern=f"/v1/pages/{page}", delay_s=LANDS_S
        )
        await scene.run("""update "Risk" set title = 'Between' where id = 'late'""")
        await scene.until(lambda: late.applied == 1)
        await scene.run("""update "Risk" set title = 'Old' where id = 'late'""")
        scene.service.kill()
        await scene.start_again()

        await scene.until(lambda: scene.shows("Risks", "late", Title="Between"))
        await scene.look("risk", "late")

        await scene.until(lambda: scene.shows("Risks", "late", Title="Old"))
        assert await scene.value("""select title from "Risk" where id = 'late'""") == "Old"
        assert "row.updated" not in await scene.audited("late")
