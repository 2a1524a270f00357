"""What people do in Notion in a run: edits, right and wrong, and what else can be done to pages and databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from deploy.sandbox.errors import NotionError
from tests.chaos.application import Application
from tests.chaos.fields import BY_DATABASE, ENUMS, TABLES, Prop, Table
from tests.chaos.rows import Skipped
from tests.chaos.samples import TAG, UNIQUE, Samples
from tests.chaos.witness import Pages

MADE: Final = ("Incidents", "Complaints", "Risks")
"""The databases of which new pages become rows."""
CLOSED: Final = frozenset(ENUMS) - {("CarePlan", "status")}
"""The columns that take these values and no others."""


class Coordinators:
    """People at work. Each method is one operation."""

    def __init__(self, pages: Pages, application: Application) -> None:
        self._pages = pages
        self._people = pages.sandbox.people
        self._application = application
        self.wrong: set[tuple[str, str, str]] = set()
        """(page, property, value as text) of what was typed although MapAble can't take it."""
        self._renamed = 0

    async def edit(self, some: Samples) -> None:
        """Change one to three shared properties of a page."""
        table, page, _ = self._any_page(some, shared=True)
        props = {some.pick(table.shared) for _ in range(1 + int(some.rng.random() * 3))}
        self._edit(table, page, {prop: some.typed(table, prop) for prop in sorted(props, key=lambda one: one.name)})

    async def edit_twice(self, some: Samples) -> None:
        """Type, and type something else at once."""
        table, page, _ = self._any_page(some, shared=True)
        prop = some.pick(table.shared)
        self._edit(table, page, {prop: some.typed(table, prop)})
        self._edit(table, page, {prop: some.typed(table, prop)})

    async def edit_as_mapable_does(self, some: Samples) -> None:
        """Change a field that MapAble changes at the same time."""
        table, page, shown = self._any_page(some, shared=True)
        prop = some.pick(table.shared)
        typed_first = some.rng.random() < 0.5
        if typed_first:
            self._edit(table, page, {prop: some.typed(table, prop)})
        await self._application.change_column(some, table.name, str(shown["System ID"]), str(prop.column))
        if not typed_first:
            self._edit(table, page, {prop: some.typed(table, prop)})

    async def edit_beside_mapable(self, some: Samples) -> None:
        """Change a field while MapAble changes another one of the record."""
        table, page, shown = self._any_page(some, shared=True)
        one, other = some.pick(table.shared), some.pick(table.shared)
        self._edit(table, page, {one: some.typed(table, one)})
        if one is not other:
            await self._application.change_column(some, table.name, str(shown["System ID"]), str(other.column))

    async def edit_while_mapable_wavers(self, some: Samples) -> None:
        """Change a property while a field of the record gets a new value for a moment, and then the old one back."""
        table, page, shown = self._any_page(some, shared=True)
        wavering = some.pick(table.shared)
        texts = [prop for prop in table.kept if prop.kind in ("text", "email") and prop.name != "System ID"]
        others = [prop for prop in table.shared if prop is not wavering]
        if some.rng.random() < 0.5 or not others + texts:
            self._use_own_property(some, table, page)
        else:
            other = some.pick(others + texts)
            self._edit(table, page, {other: some.text() if other in texts else some.typed(table, other)})
        await self._application.waver(
            some, table.name, str(shown["System ID"]), str(wavering.column), lambda: self._written(page)
        )

    async def change_again_once_written(self, some: Samples) -> None:
        """MapAble changes a field, and again as soon as the page is written to."""
        table, page, shown = self._any_page(some, shared=True)
        row, column = str(shown["System ID"]), str(some.pick(table.shared).column)
        await self._application.change_column(some, table.name, row, column)
        with suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await self._written(page)
        await self._application.change_column(some, table.name, row, column)

    async def _written(self, page: str) -> None:
        """Return at the next write to the page."""
        sandbox = self._pages.sandbox
        before = sandbox.count("PATCH", f"/v1/pages/{page}")
        await sandbox.wait_for(lambda: sandbox.count("PATCH", f"/v1/pages/{page}") > before)

    async def edit_who_is_pointed_at(self, some: Samples) -> None:
        """Change a participant's page while a plan becomes this participant's, which shows on both pages."""
        table = BY_DATABASE["Participants"]
        without = await self._application.without_plan()
        pages = [(page, shown["System ID"]) for page, shown in self._sorted(table) if shown["System ID"] in without]
        if not pages:
            raise Skipped
        page, person = some.pick(pages)
        name = table.prop("Name")
        self._edit(table, page, {name: some.typed(table, name)})
        await self._application.move_a_plan(some, person)

    async def edit_wrongly(self, some: Samples) -> None:
        """Type what MapAble can't take."""
        table, page, _ = self._any_page(some, shared=True)
        prop = some.pick(table.shared)
        value = some.wrong(table, prop)
        self.wrong.add((page, prop.name, str(value)))
        self._edit(table, page, {prop: value})

    async def copy_a_number(self, some: Samples) -> None:
        """Type a number that another record has."""
        table = some.pick(tuple(table for table in TABLES if any(name == table.name for name, _ in UNIQUE)))
        pages = self._sorted(table)
        if len(pages) < 2:
            raise Skipped
        (page, _), (_, other) = some.pick(pages), some.pick(pages)
        title = table.shared[0]
        self.wrong.add((page, title.name, str(other[title.name])))
        self._edit(table, page, {title: other[title.name]})

    async def clear(self, some: Samples) -> None:
        """Empty a property."""
        table, page, _ = self._any_page(some, shared=True)
        prop = some.pick(table.shared)
        self.wrong.add((page, prop.name, str(None)))
        self._edit(table, page, {prop: False if prop.kind == "flag" else None})

    async def edit_what_mapable_keeps(self, some: Samples) -> None:
        """Change a property that MapAble puts back."""
        table, page, _ = self._any_page(some)
        prop = some.pick(table.kept)
        participants = [page_id for page_id, _ in self._sorted(BY_DATABASE["Participants"])]
        self._edit(table, page, {prop: some.kept(prop, participants)})

    async def trash(self, some: Samples) -> None:
        _, page, _ = self._any_page(some)
        self._people.trash(page)

    async def restore(self, some: Samples) -> None:
        """Take something out of the trash, whoever put it there."""
        table = some.pick(TABLES)
        away = sorted(
            (str(shown["System ID"]), page_id)
            for page_id, shown in self._pages.live(table, trashed=True).items()
            if (page := self._pages.page(page_id)) is not None and page["in_trash"]
        )
        if not away:
            raise Skipped
        self._people.restore(some.pick(away)[1])

    async def trash_and_restore(self, some: Samples) -> None:
        _, page, _ = self._any_page(some)
        self._people.trash(page)
        self._people.restore(page)

    async def duplicate(self, some: Samples) -> None:
        """Copy a page, System ID and all."""
        _, page, _ = self._any_page(some)
        self._people.duplicate(page)

    async def purge(self, some: Samples) -> None:
        """Delete a page for good."""
        table, page, _ = self._any_page(some)
        if table.database == "Participants":
            raise Skipped
        self._people.purge(page)

    async def create(self, some: Samples) -> None:
        """Make a page that has all that a row needs."""
        database = some.pick(MADE)
        table = BY_DATABASE[database]
        values = {
            self._pages.name_now(table, prop.name): self._typed(table, prop, some.typed(table, prop))
            for prop in table.shared
        }
        participants = self._sorted(BY_DATABASE["Participants"])
        if participants and some.rng.random() < 0.5:
            values[self._pages.name_now(table, "Participant")] = [some.pick(participants)[0]]
        self._people.create(database, values)

    async def create_in_steps(self, some: Samples) -> None:
        """Make an empty page and fill it in."""
        table = BY_DATABASE[some.pick(MADE)]
        page = self._people.create(table.database, {})
        for prop in table.shared:
            self._edit(table, page, {prop: some.typed(table, prop)})

    async def create_half(self, some: Samples) -> None:
        """Make a page that lacks something."""
        table = BY_DATABASE[some.pick(MADE)]
        status = self._typed(table, table.prop("Status"), some.column(table.name, "status"))
        self._people.create(table.database, {self._pages.name_now(table, "Status"): status})

    async def create_elsewhere(self, some: Samples) -> None:
        """Make a page where no rows are made."""
        table = BY_DATABASE[some.pick(("Participants", "NDIS Plans", "Care Plans", "Payment Transactions"))]
        self._people.create(table.database, {self._pages.name_now(table, table.props[0].name): some.text()})

    async def rename_property(self, some: Samples) -> None:
        table = some.pick(TABLES)
        prop = some.pick(tuple(prop for prop in table.props if prop.kind != "mirror"))
        self._renamed += 1
        name = f"{prop.name} ({self._renamed})"
        self._people.rename_property(table.database, self._pages.name_now(table, prop.name), name)

    async def rename_option(self, some: Samples) -> None:
        """Call a choice by another name: it means what it meant."""
        table, prop = some.pick(tuple(
            (table, prop) for table in TABLES for prop in table.shared if (table.name, prop.column) in CLOSED
        ))
        label = some.pick(ENUMS[table.name, str(prop.column)])
        option = self._pages.option(table, prop.name, label)
        if option is None:
            raise Skipped
        self._renamed += 1
        self._people.rename_option(
            table.database, self._pages.name_now(table, prop.name), option["name"], f"{label} ({self._renamed})"
        )

    async def add_property(self, some: Samples) -> None:
        """Add a property of one's own and use it."""
        table, page, _ = self._any_page(some)
        self._use_own_property(some, table, page)

    def _use_own_property(self, some: Samples, table: Table, page: str) -> None:
        name = some.fresh("Mine")
        self._people.add_property(table.database, name)
        self._people.edit(page, {name: some.text()})

    async def comment(self, some: Samples) -> None:
        _, page, _ = self._any_page(some)
        self._people.comment(page, some.text())

    async def write_below(self, some: Samples) -> None:
        """Write into the page itself."""
        _, page, _ = self._any_page(some)
        self._people.add_text(page, some.text())

    def _edit(self, table: Table, page: str, values: Mapping[Prop, Any]) -> None:
        named = {
            self._pages.name_now(table, prop.name): self._typed(table, prop, value) for prop, value in values.items()
        }
        try:
            self._people.edit(page, named)
        except (NotionError, UnicodeEncodeError, LookupError):
            raise Skipped from None    # Notion itself does not take it

    def _sorted(self, table: Table) -> list[tuple[str, dict[str, Any]]]:
        """Return the live pages, in an order that does not depend on their ids."""
        return sorted(self._pages.live(table).items(), key=lambda item: (str(item[1]["System ID"]), item[0]))

    def _any_page(self, some: Samples, *, shared: bool = False) -> tuple[Table, str, dict[str, Any]]:
        """Return a page of a record, copies of it included."""
        table = some.pick(tuple(table for table in TABLES if table.shared or not shared))
        # one whose ID was typed over is left to the sync
        pages = [item for item in self._sorted(table) if item[1]["System ID"] and TAG not in item[1]["System ID"]]
        if not pages:
            raise Skipped
        return table, *some.pick(pages)

    def _typed(self, table: Table, prop: Prop, value: Any) -> Any:
        """Return what the stand-in takes for it: a choice by the name it has by now."""
        if prop.kind == "select" and value is not None:
            option = self._pages.option(table, prop.name, value)
            return {"select": {"name": value if option is None else option["name"]}}
        return value


