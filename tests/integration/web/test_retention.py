"""What is too old is forgotten, and nothing else."""

from __future__ import annotations

from state import retention
from state.database import Connection

AGED = """
insert into audit_log (at, action, entity, system_id, actor)
select clock_timestamp() - make_interval(days => age), 'page.updated', 'risk', 'r' || age, 'sync'
from unnest(%s::int[]) as age
"""


async def count(conn: Connection, table: str) -> int:
    row = await (await conn.execute(f"select count(*) from {table}".encode())).fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


async def test_audit_lines_older_than_the_setting_go(sidecar: Connection) -> None:
    await sidecar.execute(AGED, ([0, 9, 11, 400],))

    forgotten = await retention.prune_audit(sidecar, 10)

    assert (forgotten, await count(sidecar, "audit_log")) == (2, 2)


async def test_it_goes_in_steps_that_end(sidecar: Connection) -> None:
    await sidecar.execute(AGED, ([20] * 5,))

    steps = [await retention.prune_audit(sidecar, 10, limit=2) for _ in range(4)]

    assert steps == [2, 2, 1, 0]


async def test_of_conflicts_only_those_closed_long_ago_go(sidecar: Connection) -> None:
    await sidecar.execute(
        """insert into conflict ("entityType", "systemId", page_id, field, rule, status, opened_at, closed_at)
           select 'Risk', 'r', 'p', status || days, 'manual-review', status, now() - interval '99 days',
               case when status <> 'open' then now() - make_interval(days => days) end
           from unnest(array['open', 'resolved', 'converged']) as status, unnest(array[1, 50]) as days"""
    )

    forgotten = await retention.prune_conflicts(sidecar, 10)

    assert (forgotten, await count(sidecar, "conflict")) == (2, 4)
