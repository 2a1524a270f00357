"""What MapAble does in a run: SQL on all tables, in transactions that commit, roll back or come to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.chaos.fields import BY_NAME
from tests.chaos.samples import UNIQUE, Samples
from tests.chaos.statements import Step, delete, do, insert, now, update
from tests.system.waiting import Connection

MOST_DELETES: Final = 4
"""Of one table: more at once would be held for a person, which is another test's matter."""
MAPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "User": ("name", "email"),
    "NDISPlan": ("planNumber", "status", "totalBudget", "remainingBudget", "startDate", "endDate"),
    "CarePlan": ("planName", "status", "startDate", "reviewDate"),
    "Incident": ("incidentType", "description", "occurredAt", "status", "ndisReported"),
    "Complaint": ("complaintNumber", "source", "description", "status", "receivedAt"),
    "Risk": ("title", "riskLevel", "status", "category"),
    "PaymentTransaction": ("amount", "status", "serviceCode", "createdAt"),
}
UNMAPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "User": ("internalNotes", "passwordHash", "phone"), "NDISPlan": ("internalNotes", "bankAccount"),
    "CarePlan": ("internalNotes", "clinicalNotes"), "Incident": ("internalNotes", "location", "resolution"),
    "Complaint": ("internalNotes", "resolution", "serviceArea"), "Risk": ("internalNotes", "mitigationPlan", "owner"),
    "PaymentTransaction": ("internalNotes", "serviceDescription", "payeeAccount"),
}
LAST_WRITTEN: Final = """
select tab, id, old, new from chaos.seen s
where who = 'service' and op = 'UPDATE'
    and not exists (select from chaos.seen later where (later.tab, later.id) = (s.tab, s.id) and later.n > s.n)
order by n desc limit 5
"""
INSERTED: Final = ("User", "NDISPlan", "CarePlan", "Incident", "Complaint", "Risk", "PaymentTransaction")




class Skipped(Exception):
    """There was nothing to do the operation to."""


class Application:
    """MapAble's own session. A statement that meets a fault may have come to pass or not: the witness knows."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._conn: Connection | None = None
        self._deleted: dict[str, int] = {}

    async def connection(self) -> Connection:
        """Return a connection that works; waits while the server is away."""
        while self._conn is None or self._conn.closed or self._conn.broken:
            with suppress(psycopg.OperationalError):
                self._conn = await self._connect()
        return self._conn

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()

    # Operations

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

    # Parts

    async def change_column(self, some: Samples, table: str, row: str, column: str) -> None:
        """Give one column of one row a new value."""
        await self._update(table, [row], {column: some.column(table, column)})

    async def waver(
        self, some: Samples, table: str, row: str, column: str, seen: Callable[[], Awaitable[None]]
    ) -> None:
        """Give a column another value, and its old one again once the other was seen, or a moment later."""
        conn = await self.connection()
        query = sql.SQL("select {} from {} where id = %s").format(sql.Identifier(column), sql.Identifier(table))
        found = await (await conn.execute(query, (row,))).fetchone()
        if found is None:
            raise Skipped
        await self.change_column(some, table, row, column)
        with suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await seen()
        await self._update(table, [row], {column: found[0]})

    async def without_plan(self) -> set[str]:
        """Return the participants that have none."""
        return set(await self._ids("User", "PARTICIPANT")) - await self._column("NDISPlan", "participantId")

    async def move_a_plan(self, some: Samples, person: str) -> None:
        """Give somebody's plan to somebody who has none."""
        rows = await self._ids("NDISPlan")
        if not rows:
            raise Skipped
        await self._update("NDISPlan", [some.pick(rows)], {"participantId": person})

    async def set_up(self, some: Samples) -> None:
        """Insert what a run begins with."""
        for role, number in (("PARTICIPANT", 7), ("PLAN_MANAGER", 3), ("PROVIDER", 4), ("USER", 3)):
            for _ in range(number):
                await self.run(insert("User", await self._new(some, "User", role=role)))
        for user in (await self._ids("User", "USER"))[:2]:
            columns = {"id": some.fresh("worker"), "userId": user, "role": some.text(), "updatedAt": now()}
            await self.run(insert("Worker", columns))
        for table, number in (
            ("NDISPlan", 5), ("CarePlan", 6), ("Incident", 7), ("Complaint", 6), ("Risk", 8), ("PaymentTransaction", 5),
        ):
            for _ in range(number):
                await self._insert(some, table)

    async def _insert(self, some: Samples, table: str) -> None:
        await self.run(insert(table, await self._new(some, table)))

    async def _any_row(self, some: Samples) -> tuple[str, str]:
        table = some.pick(INSERTED)
        rows = await self._ids(table)
        if not rows:
            raise Skipped
        return table, some.pick(rows)

    def _mapped(self, some: Samples, table: str) -> dict[str, Any]:
        chosen = {some.pick(MAPPED[table]) for _ in range(1 + int(some.rng.random() * 3))}
        values = {column: some.column(table, column) for column in sorted(chosen)}
        if table == "CarePlan" and some.rng.random() < 0.3:
            values["goals"] = Jsonb(_goals(some))
        return values

    async def _new(self, some: Samples, table: str, *, role: str | None = None) -> dict[str, Any]:
        """Return the columns of a new row."""
        columns = {name: some.column(table, name) for name in MAPPED[table]}
        columns |= {"id": some.fresh(table.lower()), some.pick(UNMAPPED[table]): some.text()}
        if table != "PaymentTransaction":
            columns["updatedAt"] = now()
        participants = await self._ids("User", "PARTICIPANT")
        match table:
            case "User":
                columns["role"] = role or some.pick(("PARTICIPANT", "PARTICIPANT", "PROVIDER", "PLAN_MANAGER", "USER"))
                columns["passwordHash"] = some.text()
                return columns
            case "NDISPlan":
                taken = await self._column("NDISPlan", "participantId")
                participants = [one for one in participants if one not in taken]
                columns["planManagerId"] = some.pick([None, *await self._ids("User", "PLAN_MANAGER")])
            case "CarePlan":
                columns |= {"goals": Jsonb(_goals(some)), "services": Jsonb([])}
                columns["workerId"] = some.pick([None, *await self._ids("Worker")])
            case "Incident":
                columns["reportedBy"] = some.text()
            case "Risk":
                columns |= {"description": some.text(), "identifiedBy": some.text()}
            case "PaymentTransaction":
                plans, providers = await self._ids("NDISPlan"), await self._ids("User", "PROVIDER")
                if not plans or not providers:
                    raise Skipped
                columns |= {"planId": some.pick(plans), "providerId": some.pick(providers)}
        if table in ("NDISPlan", "CarePlan", "PaymentTransaction"):
            if not participants:
                raise Skipped
            columns["participantId"] = some.pick(participants)
        else:
            columns["participantId"] = some.pick([None, *participants])
        return columns

    def _spend(self, table: str, most: int = MOST_DELETES) -> None:
        if self._deleted.get(table, 0) >= most:
            raise Skipped
        self._deleted[table] = self._deleted.get(table, 0) + 1

    async def _ids(self, table: str, role: str | None = None) -> list[str]:
        query = sql.SQL("select id from {} {} order by id").format(
            sql.Identifier(table), sql.SQL("where role = {}").format(sql.Literal(role)) if role else sql.SQL("")
        )
        conn = await self.connection()
        return [row[0] for row in await (await conn.execute(query)).fetchall()]

    async def _column(self, table: str, column: str) -> set[str]:
        query = sql.SQL("select {} from {}").format(sql.Identifier(column), sql.Identifier(table))
        conn = await self.connection()
        return {row[0] for row in await (await conn.execute(query)).fetchall()}

    async def _update(self, table: str, rows: list[str], values: Mapping[str, Any]) -> None:
        await self.run(update(table, rows, values))

    async def run(self, *steps: Step) -> None:
        """Do these steps in one transaction."""
        conn = await self.connection()
        async with conn.transaction():
            for step in steps:
                await do(conn, step)


def _goals(some: Samples) -> list[dict[str, Any]]:
    return [
        {"description": some.text().strip(), "targetDate": "2027-03-01", "status": "IN_PROGRESS"},
        {"description": some.text().strip()},
    ][: 1 + int(some.rng.random() * 2)]
