"""MapAble's session in a run, and the rows that it makes and finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.chaos.samples import Samples
from tests.chaos.statements import Step, do, insert, now, update
from tests.system.waiting import Connection

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
INSERTED: Final = ("User", "NDISPlan", "CarePlan", "Incident", "Complaint", "Risk", "PaymentTransaction")


class Skipped(Exception):
    """There was nothing to do the operation to."""


class Rows:
    """MapAble's own session. A statement that meets a fault may have come to pass or not: the witness knows."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._conn: Connection | None = None

    async def connection(self) -> Connection:
        """Return a connection that works; waits while the server is away."""
        while self._conn is None or self._conn.closed or self._conn.broken:
            with suppress(psycopg.OperationalError):
                self._conn = await self._connect()
        return self._conn

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()

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
