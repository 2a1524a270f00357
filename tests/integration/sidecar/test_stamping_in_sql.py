"""What SQL stores of changes is what the rule says of them, whatever was known of the rows and in whatever company."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state import stamps
from state.changes import Lsn
from state.copying import WORTH_IT
from state.database import Pool
from state.stamping import Change, Deleted, Known, Layout, Wrote, after
from state.stamps import MANY

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT: Final = Layout.of(("id", "name", "story"))
OTHER: Final = Layout.of(("id", "story", "name"))
NOTHING: Final = Lsn(0)

values = st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])}, optional={"story": st.sampled_from(["c", "d"])})
hashes = values.map(LAYOUT.hashes)
moments = st.integers(0, 9).map(lambda hours: START + timedelta(hours=hours))
known_rows = st.one_of(
    st.none(),
    st.tuples(hashes, moments).map(lambda found: Known(*found)),
    st.tuples(hashes, moments).map(lambda found: Known(*found, column_times=bytes(16))),
    st.tuples(hashes, st.integers(0, 12)).map(lambda found: Known(found[0], seeded_lsn=found[1])),
    values.map(lambda found: Known(OTHER.hashes(found), START, seeded_lsn=3)),
    st.just(Known(deleted_at=START)),
)


def changes_of(system_id: str) -> st.SearchStrategy[list[Change]]:
    """Return none to three changes of a row, in the order of the log."""
    wrote = st.builds(Wrote, st.just(system_id), hashes, moments, st.integers(1, 12), st.booleans(), st.booleans())
    deleted = st.builds(Deleted, st.just(system_id), moments, st.integers(1, 12))
    return st.lists(wrote | deleted, max_size=3).map(lambda found: sorted(found, key=lambda change: change.lsn))


rows = st.lists(
    st.integers(0, 99).flatmap(lambda n: st.tuples(st.just(f"r{n}"), known_rows, changes_of(f"r{n}"))),
    max_size=8, unique_by=lambda row: row[0],
)


async def put(pool: Pool, system_id: str, known: Known) -> None:
    async with pool.connection() as conn:
        await conn.execute(
            "insert into row_stamp (entity, system_id, hashes, changed_at, column_times, deleted_at, seeded_lsn)"
            " values ('risk', %s, %s, %s, %s, %s, '0/0'::pg_lsn + %s::numeric)",
            (system_id, *known),
        )


async def kept(pool: Pool) -> dict[str, Known]:
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "select system_id, hashes, changed_at, column_times, deleted_at, (seeded_lsn - '0/0')::int8 from row_stamp"
        )
        return {row[0]: Known(*row[1:]) for row in await cursor.fetchall()}


async def store(pool: Pool, changes: Sequence[Change], *, per_column: bool = False) -> None:
    # as capture does: few without waiting for answers, many with
    async with (
        pool.connection() as conn,
        conn.pipeline() if len(changes) < WORTH_IT else nullcontext(),
        conn.transaction(),
    ):
        await stamps.store(conn, "risk", changes, done=NOTHING, per_column=per_column)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.booleans(), st.booleans())
async def test_what_is_stored_is_what_the_rule_says(
    pool: Pool, found: list[tuple[str, Known | None, list[Change]]], many: bool, per_column: bool
) -> None:
    async with pool.connection() as conn:
        await conn.execute("truncate row_stamp")
    said: dict[str, Known] = {}
    changes: list[Change] = []
    for system_id, known, own in found:
        if known is not None:
            await put(pool, system_id, known)
        for change in own:
            known = after(known, change, per_column=per_column)
        changes += own
        if known is not None:
            said[system_id] = known
    company = [Wrote(f"new{n}", LAYOUT.hashes({"name": "n", "story": "s"}), START, 1, True) for n in range(2 * MANY)]

    await store(pool, [*changes, *(company if many else ())], per_column=per_column)

    stored = await kept(pool)
    assert {system_id: stamp for system_id, stamp in stored.items() if not system_id.startswith("new")} == said
    assert sum(system_id.startswith("new") for system_id in stored) == (len(company) if many else 0)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("per_column", [False, True])
async def test_many_new_rows_are_stored_whether_or_not_one_was_there(pool: Pool, there: bool, per_column: bool) -> None:
    odd = "a\\tab\t,\nand \\N"
    inserts = [Wrote(f"{odd}{n}", LAYOUT.hashes({"name": str(n), "story": ""}), START, n, True) for n in range(300)]
    if there:
        await put(pool, f"{odd}7", Known(deleted_at=START))

    await store(pool, inserts, per_column=per_column)

    assert await kept(pool) == {row.system_id: after(None, row, per_column=per_column) for row in inserts}


async def test_many_updates_leave_rows_that_print_the_same_as_they_are(pool: Pool) -> None:
    same = LAYOUT.hashes({"name": "same", "story": "same"})
    await store(pool, [Wrote(f"r{n}", same, START, 1, True) for n in range(200)])
    later = START + timedelta(hours=1)
    new = LAYOUT.hashes({"name": "new", "story": "same"})

    await store(pool, [Wrote(f"r{n}", new if n % 2 else same, later, 2) for n in range(200)])

    stored = await kept(pool)
    assert {stamp.changed_at for system_id, stamp in stored.items() if int(system_id[1:]) % 2} == {later}
    assert {stamp.changed_at for system_id, stamp in stored.items() if not int(system_id[1:]) % 2} == {START}
