"""What happens in Postgres, as it comes out of the decoder: every kind of change, against a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdc.replication.port import Kind, LogicalMessage, RowChange, Truncate
from tests.integration.replication.source import Source, Transaction
from tests.plugins import PLUGINS, wal2json_only

LISTED = {"listed": ("id", "name", "amount")}


@pytest.fixture(params=PLUGINS)
def plugin(request: pytest.FixtureRequest) -> str:
    """Each of them: what happens comes out the same."""
    return str(request.param)


async def changes(source: Source, *statements: str) -> list[Transaction]:
    """Run the statements and return what came of them."""
    await source.run(*statements)
    async with source.stream() as stream:
        return await source.read(stream, LISTED)


def change(kind: Kind, key: str, old_key: str | None = None, **values: str | None) -> RowChange:
    return RowChange("listed", kind, key, old_key, values)


async def test_a_row_is_inserted_updated_and_deleted(source: Source) -> None:
    seen = await changes(
        source,
        "insert into listed values ('a', 'Ann 🌱', 10.50, 'CANARY')",
        "update listed set name = null",
        "delete from listed",
    )

    assert [event for transaction in seen for event in transaction.events] == [
        change(Kind.INSERT, "a", id="a", name="Ann 🌱", amount="10.50"),
        change(Kind.UPDATE, "a", id="a", name=None, amount="10.50"),
        change(Kind.DELETE, "a"),
    ]
    assert "CANARY" not in repr(seen)


async def test_a_transaction_keeps_its_order_and_its_positions_grow(source: Source) -> None:
    seen = await changes(
        source,
        "insert into listed values ('a', 'one'); update listed set name = 'two'; insert into listed values ('b', 'x')",
        "delete from listed where id = 'a'",
    )

    assert [[(row.kind, row.key) for row in transaction.rows] for transaction in seen] == [
        [(Kind.INSERT, "a"), (Kind.UPDATE, "a"), (Kind.INSERT, "b")],
        [(Kind.DELETE, "a")],
    ]
    first, second = (transaction.commit for transaction in seen)
    assert first.commit_lsn < first.end_lsn <= second.commit_lsn < second.end_lsn


async def test_the_commit_time_is_the_servers_in_utc(source: Source) -> None:
    before = await source.value("select clock_timestamp()")
    [seen] = await changes(source, "insert into listed values ('a')")
    after = await source.value("select clock_timestamp()")

    assert before <= seen.commit.committed_at <= after
    assert seen.commit.committed_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - seen.commit.committed_at) < timedelta(minutes=1)


async def test_the_transaction_number_is_postgres_own(source: Source) -> None:
    [seen] = await changes(source, "insert into listed values ('a')")

    assert str(seen.commit.xid) == await source.value("select xmin::text from listed")


async def test_two_tables_emptied_at_once_are_both_reported(source: Source) -> None:
    await source.run("insert into listed values ('a')", "truncate listed, other")
    async with source.stream("listed", "other") as stream:
        seen = await source.read(stream, {"listed": ("name",), "other": ("name",)})

    assert sorted(seen[1].events, key=repr) == [Truncate("listed"), Truncate("other")]


async def test_a_changed_key_names_both_keys(source: Source) -> None:
    _, moved = await changes(source, "insert into listed values ('a', 'x')", "update listed set id = 'b'")

    assert moved.events == (change(Kind.UPDATE, "b", "a", id="b", name="x", amount=None),)


async def test_swapped_keys_are_two_changes_of_key(source: Source) -> None:
    await source.run("alter table listed drop constraint listed_pkey, add primary key (id) deferrable")
    await source.run("alter table listed replica identity full")
    *_, swapped = await changes(
        source,
        "insert into listed values ('a', 'x'), ('b', 'y')",
        "update listed set id = case id when 'a' then 'b' else 'a' end",
    )

    assert {(row.key, row.old_key) for row in swapped.rows} == {("a", "b"), ("b", "a")}


@pytest.mark.parametrize("identity", ["default", "full"])
async def test_an_unchanged_long_value_is_absent_and_not_null(source: Source, identity: str) -> None:
    await source.run("alter table listed alter name set storage external")
    await source.run(f"alter table listed replica identity {identity}")
    *_, updated = await changes(
        source, "insert into listed values ('a', repeat('x', 100000))", "update listed set amount = 1"
    )

    assert updated.events == (change(Kind.UPDATE, "a", id="a", amount="1"),)


async def test_a_key_that_is_stored_apart_is_still_the_key(source: Source) -> None:
    await source.run("alter table listed alter id set storage external")
    # the row must be over 2 kB for its parts to be stored apart, the key under what an index takes
    *_, updated = await changes(
        source, "insert into listed values (repeat('k', 2300), 'x')", "update listed set name = 'y'"
    )

    assert [(row.key, row.old_key, row.values["name"]) for row in updated.rows] == [("k" * 2300, None, "y")]


async def test_a_row_deleted_and_put_back_in_one_transaction_is_both(source: Source) -> None:
    _, seen = await changes(
        source,
        "insert into listed values ('a', 'one')",
        "delete from listed; insert into listed values ('a', 'two')",
    )

    assert seen.events == (
        change(Kind.DELETE, "a"),
        change(Kind.INSERT, "a", id="a", name="two", amount=None),
    )


async def test_what_was_rolled_back_to_a_savepoint_never_happened(source: Source) -> None:
    [seen] = await changes(
        source,
        "begin; insert into listed values ('a'); savepoint s; insert into listed values ('gone');"
        " rollback to savepoint s; insert into listed values ('b'); commit",
    )

    assert [row.key for row in seen.rows] == ["a", "b"]


async def test_a_transaction_that_was_rolled_back_never_happened(source: Source) -> None:
    assert await changes(source, "begin; insert into listed values ('a'); rollback") == []


@wal2json_only
@pytest.mark.parametrize("plugin", ["wal2json"])
async def test_a_transaction_elsewhere_is_an_empty_one_that_moves_the_position(source: Source) -> None:
    first, second = await changes(source, "insert into other values ('a')", "create table made_now (a int)")

    assert (first.events, second.events) == ((), ())
    assert first.commit.end_lsn < second.commit.end_lsn


async def test_our_messages_arrive_and_nobody_elses(source: Source) -> None:
    [seen] = await changes(
        source,
        "select pg_logical_emit_message(true, 'other', 'x'), pg_logical_emit_message(true, 'mapable_cdc', 'within')",
    )

    assert seen.events == (LogicalMessage(True, "mapable_cdc", "within"),)


async def test_a_message_outside_of_transactions_outlives_its_own(source: Source) -> None:
    emit = "select pg_logical_emit_message(false, 'mapable_cdc', 'apart')"
    [seen] = await changes(source, f"begin; {emit}; rollback", "insert into listed values ('a')")

    assert LogicalMessage(False, "mapable_cdc", "apart") in seen.events


async def test_a_column_added_in_between_is_there_from_the_next_row_on(source: Source) -> None:
    await source.run("insert into listed values ('a')", "alter table listed add column extra text default 'CANARY'",
                     "alter table listed rename column name to title", "update listed set title = 'x'")  # fmt: skip
    async with source.stream() as stream:
        seen = await source.read(stream, {"listed": ("id", "name", "title")})

    rows = [row for transaction in seen for row in transaction.rows]
    assert [dict(row.values) for row in rows] == [{"id": "a", "name": None}, {"id": "a", "title": "x"}]


@wal2json_only
@pytest.mark.parametrize("plugin", ["wal2json"])
@pytest.mark.parametrize("name", ["User", "a, b", "a.b", "it's", 'q"q', "back\\slash", "*", "Ärzte", "x y.z,w"])
async def test_a_table_is_found_by_its_exact_name(source: Source, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    await source.run(f"drop table if exists {quoted} cascade", f"create table {quoted} (id text primary key)",
                     f"insert into {quoted} values ('a')", "insert into other values ('b')")  # noqa: S608 # fmt: skip
    async with source.stream(name) as stream:
        seen = await source.read(stream, {name: (), "other": ()})

    rows = [row for transaction in seen for row in transaction.rows]
    assert rows == [RowChange(name, Kind.INSERT, "a", None, {"id": "a"})]


async def test_the_databases_own_settings_do_not_change_how_values_look(source: Source) -> None:
    name = await source.value("select quote_ident(current_database())")
    for setting in ("datestyle = 'German'", "timezone = 'Australia/Sydney'", "bytea_output = 'escape'",
                    "intervalstyle = 'sql_standard'", "extra_float_digits = -15"):  # fmt: skip
        await source.run(f"alter database {name} set {setting}")
    await source.run(
        "create table shown (id text primary key, t timestamptz, d timestamp, b bytea, i interval, f float8)",
        "insert into shown values ('a', '2026-11-22 10:00+00', '2026-11-22 10:00', '\\xdeadbeef41', '1 day 2 h', 0.1)",
    )
    async with source.stream("shown") as stream:
        seen = await source.read(stream, {"shown": ("t", "d", "b", "i", "f")})

    assert dict(seen[-1].rows[0].values) == {
        "id": "a", "t": "2026-11-22 10:00:00+00", "d": "2026-11-22 10:00:00", "b": "deadbeef41", "i": "P1DT2H",
        "f": "0.1",
    }  # fmt: skip
    assert seen[-1].commit.committed_at.tzinfo is UTC


async def test_a_row_that_the_server_can_not_name_has_no_key(source: Source) -> None:
    await source.run("alter table listed alter name set not null", "create unique index by_name on listed (name)",
                     "alter table listed replica identity using index by_name")  # fmt: skip
    *_, deleted = await changes(source, "insert into listed values ('a', 'x')", "delete from listed")

    assert deleted.events == (RowChange("listed", Kind.DELETE, None, None, {}),)


@wal2json_only
@pytest.mark.parametrize("plugin", ["wal2json"])
async def test_changes_that_the_server_can_not_send_are_counted(source: Source) -> None:
    dropped: list[tuple[str, str]] = []
    await source.run("create table keyless (a text)", "insert into keyless values ('CANARY')")
    await source.run("update keyless set a = 'CANARY2'", "delete from keyless")
    async with source.stream("keyless", on_keyless=lambda *lost: dropped.append(lost)) as stream:
        await source.read(stream, {"keyless": ("a",)})

    assert dropped == [("keyless", "UPDATE"), ("keyless", "DELETE")]
