"""What MapAble does in a run: SQL on all tables, in transactions that commit, roll back or come to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from psycopg import sql
from psycopg.types.json import Jsonb

from tests.chaos.fields import BY_NAME
from tests.chaos.rows import INSERTED, MAPPED, UNMAPPED, Rows, Skipped
from tests.chaos.samples import UNIQUE, Samples
from tests.chaos.statements import delete, do, insert, update
from tests.system.waiting import Connection

MOST_DELETES: Final = 4
"""Of one table: more at once would be held for a person, which is another test's matter."""
LAST_WRITTEN: Final = """
select tab, id, old, new from chaos.seen s
where who = 'service' and op = 'UPDATE'
    and not exists (select from chaos.seen later where (later.tab, later.id) = (s.tab, s.id) and later.n > s.n)
order by n desc limit 5
"""


class Application(Rows):
    """MapAble at work. Each method is one operation, in a transaction or several."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        super().__init__(connect)
        self._deleted: dict[str, int] = {}

    async def insert(self, some: Samples) -> None:
        """Insert a row somewhere."""
        await self._insert(some, some.pick(INSERTED))

    async def update_mapped(self, some: Samples) -> None:
        """Update one to three mapped columns of a row."""
        table, row = await self._any_row(some)
        await self._update(table, [row], self._mapped(some, table))

    async def update_unmapped(self, some: Samples) -> None:
        """Update columns that Notion never sees."""
        table, row = await self._any_row(some)
        await self._update(table, [row], {some.pick(UNMAPPED[table]): some.text()})

    async def update_both(self, some: Samples) -> None:
        table, row = await self._any_row(some)
        await self._update(table, [row], {**self._mapped(some, table), some.pick(UNMAPPED[table]): some.text()})

    async def update_to_the_same(self, some: Samples) -> None:
        table, row = await self._any_row(some)
        column = sql.Identifier(some.pick(MAPPED[table]))
        query = sql.SQL("update {} set {} = {} where id = %s").format(sql.Identifier(table), column, column)
        await self.run((query, (row,)))

    async def update_hot(self, some: Samples) -> None:
        """Update the same columns of one row again and again, a transaction each."""
        table, row = await self._any_row(some)
        columns = tuple(self._mapped(some, table))
        for _ in range(4):
            values = {column: some.column(table, column) for column in columns if column != "goals"}
            await self._update(table, [row], values)

    async def update_in_bulk(self, some: Samples) -> None:
        """Update many rows of one table with one statement."""
        table = some.pick(tuple(name for name in INSERTED if name != "User"))
        rows = await self._ids(table)
        columns = tuple(name for name in MAPPED[table] if (table, name) not in UNIQUE)
        await self._update(table, rows[:9], {(column := some.pick(columns)): some.column(table, column)})

    async def take_back(self, some: Samples) -> None:
        """Give a row what it held before the sync wrote to it."""
        conn = await self.connection()
        written = await (await conn.execute(LAST_WRITTEN.encode())).fetchall()
        if not written:
            raise Skipped
        table, row, old, new = some.pick(written)
        names = {prop.column for prop in BY_NAME[table].shared}
        before = {name: value for name, value in old.items() if name in names and value != new[name]}
        await self._update(table, [row], before)

    async def reassign(self, some: Samples) -> None:
        """Point a foreign key at somebody else, or at nobody."""
        table, column, to, role = some.pick((
            ("NDISPlan", "planManagerId", "User", "PLAN_MANAGER"), ("CarePlan", "workerId", "Worker", None),
            ("CarePlan", "participantId", "User", "PARTICIPANT"), ("Incident", "participantId", "User", "PARTICIPANT"),
            ("Complaint", "participantId", "User", "PARTICIPANT"), ("Risk", "participantId", "User", "PARTICIPANT"),
            ("PaymentTransaction", "providerId", "User", "PROVIDER"),
            ("PaymentTransaction", "participantId", "User", "PARTICIPANT"),
        ))  # fmt: skip
        required = column in ("participantId", "providerId") and table in ("CarePlan", "PaymentTransaction")
        targets = await self._ids(to, role)
        target = some.pick([*targets, *([] if required else [None])]) if targets or not required else None
        rows = await self._ids(table)
        if not rows or (target is None and required):
            raise Skipped
        await self._update(table, [some.pick(rows)], {column: target})

    async def rename_looked_up(self, some: Samples) -> None:
        """Rename somebody whose name stands on other people's pages."""
        people = [*await self._ids("User", "PLAN_MANAGER"), *await self._ids("User", "PROVIDER"),
                  *await self._ids("User", "USER")]
        if not people:
            raise Skipped
        await self._update("User", [some.pick(people)], {"name": some.column("User", "name")})

    async def change_role(self, some: Samples) -> None:
        """A participant stops being one, or somebody becomes one."""
        before, after = some.pick((("PARTICIPANT", "PROVIDER"), ("PROVIDER", "PARTICIPANT"), ("USER", "PARTICIPANT")))
        people = await self._ids("User", before)
        if len(people) < 2:
            raise Skipped
        await self._update("User", [some.pick(people)], {"role": after})

    async def delete(self, some: Samples) -> None:
        table = some.pick(tuple(name for name in INSERTED if name != "User"))
        rows = await self._ids(table)
        if len(rows) < 3:
            raise Skipped
        self._spend(table)
        await self.run(delete(table, some.pick(rows)))

    async def delete_person(self, some: Samples) -> None:
        """Delete somebody with all that goes along."""
        people = await self._ids("User", some.pick(("PARTICIPANT", "PROVIDER", "PLAN_MANAGER")))
        if len(people) < 3:
            raise Skipped
        self._spend("User", 2)
        await self.run(delete("User", some.pick(people)))

    async def reuse_key(self, some: Samples) -> None:
        """Delete a row and insert another one with its key, in one transaction or two."""
        table = some.pick(("CarePlan", "Incident", "Complaint", "Risk", "PaymentTransaction"))
        rows = await self._ids(table)
        if not rows:
            raise Skipped
        row = some.pick(rows)
        columns = {**await self._new(some, table), "id": row}
        if some.rng.random() < 0.5:
            await self.run(delete(table, row), insert(table, columns))
        else:
            self._spend(table)
            await self.run(delete(table, row))
            await self.run(insert(table, columns))

    async def change_key(self, some: Samples) -> None:
        """Give a row another primary key."""
        table = some.pick(("Incident", "Complaint", "Risk"))
        rows = await self._ids(table)
        if not rows:
            raise Skipped
        self._spend(table)
        await self._update(table, [some.pick(rows)], {"id": some.fresh(table.lower())})

    async def roll_back(self, some: Samples) -> None:
        """Change several rows and take it all back."""
        table, row = await self._any_row(some)
        new = await self._new(some, "Risk")
        steps = (update(table, [row], self._mapped(some, table)), insert("Risk", new), delete(table, row))
        conn = await self.connection()
        async with conn.transaction(force_rollback=True):
            for step in steps:
                await do(conn, step)

    async def use_savepoints(self, some: Samples) -> None:
        """Take back a part of a transaction and keep the rest."""
        table, row = await self._any_row(some)
        conn = await self.connection()
        async with conn.transaction():
            await do(conn, update(table, [row], self._mapped(some, table)))
            async with conn.transaction(force_rollback=True):
                await do(conn, update(table, [row], self._mapped(some, table)))
                await do(conn, delete(table, row))
            await do(conn, update(table, [row], self._mapped(some, table)))

    async def change_much_at_once(self, some: Samples) -> None:
        """Insert, update and delete in several tables with one transaction."""
        steps = [insert(name, await self._new(some, name)) for name in ("Incident", "Risk")]
        for _ in range(4):
            table, row = await self._any_row(some)
            steps.append(update(table, [row], self._mapped(some, table)))
        await self.run(*steps)

    async def change_what_is_unknown(self, some: Samples) -> None:
        """Write to tables that the sync has nothing to do with."""
        query = sql.SQL('insert into "AuditEvent" (action, details) values (%s, %s)').format()
        await self.run((query, (some.text(), Jsonb({"note": some.text()}))))

    def _spend(self, table: str, most: int = MOST_DELETES) -> None:
        if self._deleted.get(table, 0) >= most:
            raise Skipped
        self._deleted[table] = self._deleted.get(table, 0) + 1
