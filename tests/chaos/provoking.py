"""What makes the service come to each of its durable steps: a method a cause, named in `moments.STEPS`."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.chaos.fields import BY_NAME, TABLES, Prop, Table
from tests.chaos.samples import Samples
from tests.chaos.stage import Stage
from tests.chaos.statements import delete, insert, now, update

Arm = Callable[[], None]
"""Called when only what is wanted is still to come."""
SWEEP: Final = "update notion_sync.look set sweep_requested_at = clock_timestamp()"
MANAGERS: Final = 'select "planManagerId" from "NDISPlan" where "planManagerId" is not null order by id'
DELETED: Final = ("Incident", "Complaint", "Risk", "CarePlan")


class Provoking:
    """The hands on both sides of one stage. `again`: what may befall the same record while the service is dead."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._people = stage.sandbox.people
        self._some = Samples(random.Random(f"{stage.seed}/steps"), f"s{abs(stage.seed)}")
        self._turn = 0
        self.again: Callable[[], Awaitable[None]] | None = None

    # The process and its slot

    async def start_again(self, arm: Arm) -> None:
        self._stage.running.kill()
        await self._stage.running.bury()
        arm()
        await self._stage.running.start()

    async def lose_the_slot(self, arm: Arm) -> None:
        arm()
        await self._stage.faults.begin("slot dropped", self._some, ())

    async def sweep(self, arm: Arm) -> None:
        arm()
        await self._stage.rows(f"{SWEEP} returning 1")

    # MapAble

    async def change_a_row(self, arm: Arm) -> None:
        row = await self._next_row("Risk")

        async def change() -> None:
            await self._stage.application.run(update("Risk", [row], {"category": self._some.text()}))

        arm()
        await change()
        self.again = change

    async def change_what_is_not_shown(self, arm: Arm) -> None:
        row = await self._next_row("Risk")
        arm()
        await self._stage.application.run(update("Risk", [row], {"mitigationPlan": self._some.text()}))

    async def change_nothing_known(self, arm: Arm) -> None:
        arm()
        await self._stage.application.change_what_is_unknown(self._some)

    async def insert_a_row(self, arm: Arm) -> None:
        arm()
        row = await self._insert_risk(None)

        async def change() -> None:
            await self._stage.application.run(update("Risk", [row], {"category": self._some.text()}))

        self.again = change

    async def insert_child_first(self, arm: Arm) -> None:
        """A row whose participant has no page yet."""
        application, person = self._stage.application, self._some.fresh("new")
        columns = {
            "id": person, "name": self._some.text(), "email": self._some.column("User", "email"),
            "role": "PARTICIPANT", "updatedAt": now(),
        }
        self._stage.sandbox.faults.script(
            kind="slow", method="POST", path_pattern="/v1/pages", body_contains=str(columns["email"]), delay_s=1.0
        )
        arm()
        await application.run(insert("User", columns), insert("Risk", self._risk(person)))

    async def rename_a_manager(self, arm: Arm) -> None:
        managers = await self._stage.rows(MANAGERS)
        arm()
        await self._stage.application.run(update("User", [managers[0][0]], {"name": self._some.text()}))

    async def delete_a_row(self, arm: Arm) -> None:
        table = DELETED[self._turn % len(DELETED)]
        row = await self._next_row(table)
        arm()
        await self._stage.application.run(delete(table, row))

    async def bring_a_row_back(self, arm: Arm) -> None:
        """Insert a row with a key whose page is in the trash."""
        row = await self._insert_risk(None)
        await self._stage.quiet()
        await self._stage.application.run(delete("Risk", row))
        await self._stage.quiet()
        arm()
        await self._stage.application.run(insert("Risk", {**self._risk(None), "id": row}))

    # Notion does not answer

    async def lose_a_create(self, arm: Arm) -> None:
        self._stage.sandbox.faults.script(kind="reset", when="before", method="POST", path_pattern="/v1/pages")
        await self.insert_a_row(arm)

    async def lose_the_answer_of_a_create(self, arm: Arm) -> None:
        self._stage.sandbox.faults.script(kind="reset", when="after", method="POST", path_pattern="/v1/pages")
        await self.insert_a_row(arm)

    async def lose_the_answer_of_a_write(self, arm: Arm) -> None:
        self._stage.sandbox.faults.script(kind="reset", when="after", method="PATCH", path_pattern="/v1/pages/.*")
        await self.change_a_row(arm)

    # People

    async def edit_a_page(self, arm: Arm) -> None:
        page = self._next_page(BY_NAME["Risk"])
        arm()
        self._edit(BY_NAME["Risk"], page, "Category", self._some.text())

    async def edit_on_both_sides(self, arm: Arm) -> None:
        table = BY_NAME["Risk"]
        page = self._next_page(table)
        row = str(self._stage.pages.live(table)[page]["System ID"])
        arm()
        self._edit(table, page, "Category", self._some.text())
        await self._stage.application.run(update("Risk", [row], {"category": self._some.text()}))

    async def edit_what_is_kept(self, arm: Arm) -> None:
        """Another field every time: of one that is put back often people are told only sometimes."""
        kept = [
            (table, prop) for table in TABLES for prop in table.kept
            if prop.kind in ("text", "money", "email") and prop.name != "System ID"
        ]
        table, prop = kept[self._turn % len(kept)]
        page = self._next_page(table)
        arm()
        self._edit(table, page, prop.name, self._value(prop))

    async def make_a_page(self, arm: Arm) -> None:
        arm()
        await self._stage.coordinators.create(self._some)

    async def make_half_a_page(self, arm: Arm) -> None:
        arm()
        await self._stage.coordinators.create_half(self._some)

    async def trash_a_page(self, arm: Arm) -> None:
        page = self._next_page(BY_NAME["Complaint"])
        arm()
        self._people.trash(page)

    async def trash_and_restore_a_page(self, arm: Arm) -> None:
        page = self._next_page(BY_NAME["Incident"])
        self._people.trash(page)
        await self._stage.quiet()
        arm()
        self._people.restore(page)

    async def remove_an_option(self, arm: Arm) -> None:
        table, labels = BY_NAME["Risk"], ("LOW", "MEDIUM", "HIGH", "CRITICAL")
        arm()
        self._people.remove_option(table.database, "Risk Level", labels[self._turn % len(labels)])

    # Parts

    def _risk(self, participant: str | None) -> dict[str, Any]:
        some = self._some
        return {
            "id": some.fresh("risk"), "title": some.text(), "description": some.text(), "identifiedBy": some.text(),
            "riskLevel": some.column("Risk", "riskLevel"), "category": some.text(), "participantId": participant,
            "updatedAt": now(),
        }

    async def _insert_risk(self, participant: str | None) -> str:
        columns = self._risk(participant)
        await self._stage.application.run(insert("Risk", columns))
        return str(columns["id"])

    async def _next_row(self, table: str) -> str:
        """Return another row every time: one that was just written is written again only after a while."""
        rows = [row[0] for row in await self._stage.rows(f'select id from "{table}" order by id')]  # noqa: S608
        self._turn += 1
        return str(rows[self._turn % len(rows)])

    def _next_page(self, table: Table) -> str:
        pages = sorted(self._stage.pages.live(table).items(), key=lambda item: str(item[1]["System ID"]))
        self._turn += 1
        return pages[self._turn % len(pages)][0]

    def _edit(self, table: Table, page: str, name: str, value: object) -> None:
        self._people.edit(page, {self._stage.pages.name_now(table, name): value})

    def _value(self, prop: Prop) -> object:
        return self._some.kept(prop, []) or self._some.text()
