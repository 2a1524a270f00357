"""When MapAble last changed a row's mapped columns, as capture keeps it: through a real slot, into the sidecar."""

from __future__ import annotations

import psycopg
import pytest

from sinks.mapable.writeback import WriteBack
from sinks.mapping.entities import by_name
from state import stamps
from state.changes import Lsn
from state.stamping import Layout, Wrote
from state.stamps import Stamp
from tests.integration.capture.stage import Stage
from tests.integration.replication.cable import Cable

INCIDENT = """
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "updatedAt")
values ('i', 'OTHER', '{text}', now(), 'x', now())
"""
USER = """
insert into "User" (id, name, email, role, "updatedAt") values ('{id}', 'Ann', '{id}@e.org', 'PARTICIPANT', now())
"""
ANN = USER.format(id="ann")
RENAME = """update "User" set name = 'Bea' where id = 'ann'"""
LOGIN = """update "User" set "lastLoginAt" = now(), "loginCount" = 7, phone = '1' where id = 'ann'"""
MANY = 12_000
BULK = """
insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")
select 'r' || n, 'Risk', '', 'LOW', '', '', now() from generate_series(1, 12000) n
"""


async def test_a_new_row_is_stamped_with_its_commit(stage: Stage) -> None:
    when = await stage.capture(ANN)

    assert await stage.stamp("participant", "ann") == Stamp(when, {}, None)


async def test_the_commit_counts_and_not_the_statement(stage: Stage) -> None:
    await stage.capture(ANN)
    async with await psycopg.AsyncConnection.connect(stage.source.dsn) as app:
        await app.execute(RENAME.encode())
        changed = await stage.source.value("select clock_timestamp()")
        await app.commit()
    committed = await stage.committed()

    await stage.capture()

    assert (await stage.stamp("participant", "ann")).changed_at == committed > changed


async def test_unmapped_columns_move_nothing_and_mapped_ones_do(stage: Stage) -> None:
    created = await stage.capture(ANN)

    await stage.capture(LOGIN)
    untouched = await stage.stamp("participant", "ann")
    renamed = await stage.run(RENAME)
    await stage.capture(LOGIN)

    assert untouched.changed_at == created
    assert (await stage.stamp("participant", "ann")).changed_at == renamed


async def test_a_name_put_back_in_the_same_batch_was_changed_all_the_same(stage: Stage) -> None:
    await stage.capture(ANN)

    when = await stage.run(RENAME, RENAME.replace("Bea", "Ann"))
    await stage.capture(LOGIN)

    assert (await stage.stamp("participant", "ann")).changed_at == when


async def test_a_long_text_that_is_left_out_is_one_that_did_not_change(stage: Stage) -> None:
    await stage.source.run('alter table "Incident" alter column description set storage external')
    created = await stage.capture(INCIDENT.format(text="long " * 2000), per_column=True)

    moved = await stage.capture("""update "Incident" set status = 'CLOSED'""", per_column=True)
    await stage.capture("""update "Incident" set location = 'x'""", per_column=True)
    retold = await stage.capture("""update "Incident" set description = repeat('other ', 2000)""", per_column=True)

    stamp = await stage.stamp("incident", "i")
    assert stamp.changed_at == retold
    assert (stamp.columns["status"], stamp.columns["description"]) == (moved, retold)
    assert stamp.columns["incidentType"] == created


async def test_a_long_text_that_was_never_seen_is_unknown_until_it_changes(stage: Stage) -> None:
    await stage.source.run('alter table "Incident" alter column description set storage external')
    await stage.capture(INCIDENT.format(text="long " * 2000))
    await stage.source.run("delete from notion_sync.row_stamp")

    first = await stage.capture("""update "Incident" set location = 'x'""", per_column=True)
    unseen = await stage.stamp("incident", "i")
    await stage.capture("""update "Incident" set location = 'y'""", per_column=True)
    untouched = await stage.stamp("incident", "i")
    retold = await stage.capture("""update "Incident" set description = 'short'""", per_column=True)

    assert unseen.changed_at == first
    assert "description" not in unseen.columns
    assert untouched == unseen
    assert (await stage.stamp("incident", "i")).columns["description"] == retold


async def test_each_column_has_its_own_time_when_that_is_asked_for(stage: Stage) -> None:
    created = await stage.capture(ANN, per_column=True)

    renamed = await stage.capture(RENAME, per_column=True)
    moved = await stage.capture("""update "User" set email = 'bea@e.org', phone = '2'""", per_column=True)

    assert await stage.stamp("participant", "ann") == Stamp(
        moved, {"name": renamed, "email": moved, "role": created}, None
    )


async def test_column_times_are_given_up_where_a_change_was_captured_without_them(stage: Stage) -> None:
    await stage.capture(ANN, per_column=True)
    await stage.capture(LOGIN)
    kept = await stage.stamp("participant", "ann")

    await stage.capture(RENAME)
    moved = await stage.capture("""update "User" set email = 'bea@e.org'""", per_column=True)

    assert kept.columns.keys() == {"name", "email", "role"}
    assert (await stage.stamp("participant", "ann")).columns == {"email": moved}


async def test_a_deleted_row_keeps_when_it_went_and_nothing_else(stage: Stage) -> None:
    await stage.capture(ANN)

    when = await stage.capture("""delete from "User" """)

    assert await stage.stamp("participant", "ann") == Stamp(None, {}, when)
    assert await stage.source.value("select hashes from notion_sync.row_stamp where system_id = 'ann'") == b""


async def test_a_key_that_is_used_again_is_a_new_row(stage: Stage) -> None:
    await stage.capture(ANN)
    await stage.capture("""delete from "User" """)

    back = await stage.capture(ANN)
    stamp = await stage.stamp("participant", "ann")
    again = await stage.capture("; ".join(["""delete from "User" """, ANN]))

    assert stamp == Stamp(back, {}, None)
    assert await stage.stamp("participant", "ann") == Stamp(again, {}, None)


async def test_another_key_is_another_row(stage: Stage) -> None:
    await stage.capture(ANN)

    when = await stage.capture("""update "User" set id = 'bea'""")

    found = await stage.stamps("participant", "ann", "bea")
    assert found == {"ann": Stamp(None, {}, when), "bea": Stamp(when, {}, None)}


async def test_what_we_write_back_is_known_and_moves_nothing(stage: Stage) -> None:
    created = await stage.capture(ANN)
    async with stage.pool.connection() as conn, conn.transaction():
        written = await WriteBack("public").write(
            conn, by_name("participant"), "ann", {"name": "Ann"}, {"name": "Cleo"}
        )

    await stage.capture()
    after_ours = await stage.stamp("participant", "ann")
    await stage.capture(LOGIN, """update "User" set name = 'Cleo'""")
    after_nothing_new = await stage.stamp("participant", "ann")
    renamed = await stage.capture(RENAME)

    assert written.done == ("name",)
    assert after_ours.changed_at == after_nothing_new.changed_at == created
    assert (await stage.stamp("participant", "ann")).changed_at == renamed


async def test_a_message_that_does_not_come_first_makes_nothing_ours(stage: Stage) -> None:
    await stage.capture(ANN)

    when = await stage.capture(f"{RENAME}; select pg_logical_emit_message(true, 'mapable_cdc', 'write-back')")

    assert (await stage.stamp("participant", "ann")).changed_at == when


async def test_what_comes_again_is_marked_again_and_stamped_once(stage: Stage) -> None:
    await rewindable(stage)
    await stage.capture(ANN, RENAME, RENAME.replace("Bea", "Ann"), """delete from "User" """, ANN, LOGIN)
    before = await stage.everything()
    await stage.forget_marks()

    await rewind(stage)
    await stage.capture()

    assert await stage.everything() == before
    assert await stage.source.value("select count(*) from notion_sync.work where system_id = 'ann'") == 2


async def test_a_cut_connection_stamps_nothing_twice(stage: Stage) -> None:
    async with Cable(stage.source.dsn) as cable:
        async with stage.capturing(dsn=cable.dsn) as capturing:
            created = await stage.run(ANN)
            await stage.captured()
            renamed = await stage.run(RENAME)
            await cable.cut()
            with pytest.raises(ExceptionGroup):
                await capturing
        first = await stage.stamp("participant", "ann")
        await stage.capture(LOGIN)

    assert first.changed_at in (created, renamed)
    assert (await stage.stamp("participant", "ann")).changed_at == renamed


async def test_a_late_process_does_not_turn_time_back(stage: Stage) -> None:
    created = await stage.capture(ANN)
    renamed = await stage.capture(RENAME)
    done = Lsn(await stage.source.value("select (position - '0/0')::int8 from notion_sync.stream_position"))
    old = Wrote("ann", Layout.of(("id", "name", "email", "role")).hashes({"name": "Ann"}), created, done - 1)

    async with stage.pool.connection() as conn:
        await stamps.store(conn, "participant", [old], done=done, per_column=False)

    assert (await stage.stamp("participant", "ann")).changed_at == renamed


async def test_a_transaction_of_many_chunks_has_one_time(stage: Stage) -> None:
    created = await stage.capture(BULK)
    times = await stage.source.value(
        "select array_agg(distinct changed_at) from notion_sync.row_stamp where system_id like 'r%'"
    )
    await stage.forget_marks()
    moved = await stage.capture("""update "Risk" set title = title || '!' where id like 'r%'""")

    assert times == [created]
    stamped = await stage.source.value(
        "select array[count(*)::text, count(distinct changed_at)::text, max(changed_at)::text]"
        " from notion_sync.row_stamp where system_id like 'r%'"
    )
    assert stamped[:2] == [str(MANY), "1"]
    assert (await stage.stamp("risk", "r1")).changed_at == moved


async def test_a_row_changed_often_in_one_transaction_is_one_stamp(stage: Stage) -> None:
    await stage.capture(ANN)

    when = await stage.capture(
        """do $$ begin for n in 1..12000 loop update "User" set name = n::text; end loop; end $$"""
    )

    assert (await stage.stamp("participant", "ann")).changed_at == when


async def test_people_who_are_only_looked_up_are_not_decoded_further(stage: Stage) -> None:
    await stage.capture(ANN, """insert into "Worker" (id, "userId", "updatedAt") values ('w', 'ann', now())""")

    entities = await stage.source.value("select array_agg(distinct entity order by entity) from notion_sync.row_stamp")

    assert entities == ["participant", "risk"]


async def rewindable(stage: Stage) -> None:
    """Keep the slot's place, to come back to."""
    await stage.source.value(
        f"select slot_name from pg_copy_logical_replication_slot('{stage.source.slot}', '{stage.source.slot}_kept')"  # noqa: S608
    )


async def rewind(stage: Stage) -> None:
    """Put the slot back to the place that was kept, as if nothing had been acknowledged since."""
    slot = stage.source.slot
    await stage.source.run(
        f"select pg_drop_replication_slot('{slot}')",
        f"select pg_copy_logical_replication_slot('{slot}_kept', '{slot}')",
    )
