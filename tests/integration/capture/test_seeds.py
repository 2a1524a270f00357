"""What a row's own columns say, hashed by SQL, is what capture makes of the log: else every seed would look changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import psycopg
import pytest

from cdc.gathering import tables
from cdc.replication.plugins import reading
from cdc.replication.port import RowChange
from deploy.local.demo import data
from sinks.mapable.rows import Rows, adapt
from sinks.mapping.entities import ENTITIES, by_name
from sinks.mapping.model import Entity
from state import stamps
from state.database import conninfo, open_pool
from state.stamps import Stamp
from tests import canaries
from tests.integration.capture.stage import Stage

STRANGE = """
insert into "User" (id, name, email, role, "updatedAt") values
    ('empty', '', '', 'USER', now()), ('none', null, 'null', 'USER', now()),
    ('odd "key", \\ {{here}}', E'tab\\t"quoted" \\\\ back\\u2028🦘é', 'o', 'PARTICIPANT', now());
insert into "NDISPlan" (id, "participantId", "planNumber", "startDate", "endDate", "totalBudget", "remainingBudget",
    "updatedAt")
values ('far', 'none', '', 'infinity', '0044-03-15 12:00:00.1 BC', -0.10, 9999999999.99, now());
insert into "CarePlan" (id, "participantId", "planName", goals, services, "startDate", "reviewDate", status,
    "updatedAt")
values ('json', 'none', 'p', '{{"b": [1e3, 0.10, null], "a": "\\u00e9\\u0007"}}', '[]', '10000-01-01', now(), '',
    now());
insert into "Incident" (id, "incidentType", description, "occurredAt", "reportedBy", "ndisReported", "updatedAt")
values ('told', 'OTHER', repeat('a long story. ', 8000), '-infinity', 'x', true, now());
"""
PREFERENCES = """
alter database {name} set datestyle = 'German';
alter database {name} set intervalstyle = 'postgres_verbose';
alter database {name} set extra_float_digits = 0;
alter database {name} set timezone = 'Australia/Sydney';
"""


@pytest.fixture
async def rows(stage: Stage) -> AsyncIterator[Rows]:
    """Reads of MapAble's tables, in a database that prefers to print otherwise."""
    name = await stage.source.value("select current_database()")
    await stage.source.run(*PREFERENCES.format(name=name).split(";")[:-1])
    info = conninfo(
        stage.source.dsn, schema="notion_sync", application_name="test source", statement_timeout_s=5, read_only=True
    )
    async with open_pool(info, name="source", max_size=2, configure=adapt) as pool:
        yield Rows(pool, "public")


async def load_demo(stage: Stage) -> None:
    with psycopg.connect(stage.source.dsn) as conn:
        data.load(conn)


async def read(stage: Stage, rows: Rows, entity: Entity) -> Mapping[str, bytes]:
    """Return what SQL says of every row of the entity's table."""
    ids = await stage.source.value(f'select array_agg(id) from "{entity.table}"')  # noqa: S608
    return {key: found.hashes for key, found in (await rows.read(entity, dict.fromkeys(ids))).items()}


async def kept(stage: Stage, entity: Entity) -> Mapping[str, bytes]:
    """Return what capture keeps of the entity's rows."""
    cursor = await stage.source.conn.execute(
        "select system_id, hashes from notion_sync.row_stamp where entity = %s", (entity.name,)
    )
    return dict(await cursor.fetchall())


async def test_sql_and_the_log_agree_on_every_row_of_the_demo_and_on_strange_ones(stage: Stage, rows: Rows) -> None:
    await load_demo(stage)
    await stage.capture(STRANGE.format())

    for entity in ENTITIES:
        said = await read(stage, rows, entity)
        assert len(said) > 1
        assert said == await kept(stage, entity), entity.name


async def test_a_seed_is_told_from_a_change_and_is_not_new(stage: Stage, rows: Rows) -> None:
    await load_demo(stage)
    await seed_all(stage, rows)
    await skip(stage)

    await stage.capture("""update "User" set "lastLoginAt" = now()""", """update "NDISPlan" set metadata = '{}'""")
    untouched = {entity.name: await stamps_of(stage, entity) for entity in ENTITIES if entity.name != "risk"}
    when = await stage.capture("""update "NDISPlan" set "planNumber" = "planNumber" || '!'""")

    assert all(stamp == Stamp(None, {}, None) for found in untouched.values() for stamp in found.values())
    assert {stamp.changed_at for stamp in (await stamps_of(stage, by_name("ndisplan"))).values()} == {when}


async def test_only_what_capture_has_not_seen_is_seeded(stage: Stage, rows: Rows) -> None:
    await load_demo(stage)
    await stage.capture()
    await stage.capture("""update "User" set name = 'Bea'""", """delete from "Risk" """)
    before = await stage.everything()

    await seed_all(stage, rows)

    assert await stage.everything() == before


async def test_a_row_that_was_read_before_its_change_was_captured_is_stamped(stage: Stage, rows: Rows) -> None:
    await load_demo(stage)
    await skip(stage)
    when = await stage.run("""update "NDISPlan" set status = 'EXPIRED'""")
    await seed_all(stage, rows)

    await stage.capture()

    assert {stamp.changed_at for stamp in (await stamps_of(stage, by_name("ndisplan"))).values()} == {when}


async def test_a_seed_of_another_mapping_is_replaced(stage: Stage) -> None:
    async with stage.pool.connection() as conn:
        await stamps.seed(conn, "risk", {"r": b"old!" + b"1234"})
        await stamps.seed(conn, "risk", {"r": b"new!" + b"12345678"})
        await stamps.seed(conn, "risk", {"r": b"new!" + b"87654321"})

    assert await stage.source.value("select hashes from notion_sync.row_stamp") == b"new!12345678"


async def test_a_row_that_is_not_there_says_nothing(stage: Stage, rows: Rows) -> None:
    found = await rows.read(by_name("risk"), {"nobody": None})

    assert found["nobody"].hashes == b""


async def test_what_is_not_listed_is_not_decoded_and_moves_nothing(stage: Stage, rows: Rows) -> None:
    await load_demo(stage)
    await stage.capture()
    before = await stage.everything()
    with psycopg.connect(stage.source.dsn, autocommit=True) as conn:
        songs = canaries.plant(conn)
    changes = await decoded(stage)

    await stage.capture()

    moved = [line for line in await stage.everything() if line not in before]
    heard = str(changes)
    assert len(changes) > 100
    # a goal is one value to the log: what of it may leave is the mapping's matter
    assert [song for song in songs if song in heard] == [canaries.GOAL_CANARY]
    assert moved
    assert all(line.startswith("(careplan,") for line in moved)


def test_the_decoder_keeps_what_may_be_read_and_of_lookups_the_key() -> None:
    kept = tables(ENTITIES)

    assert {table: columns for table, columns in kept.items() if table != "Worker"} == {
        table: listed for table, listed in canaries.LISTED.items() if table != "Worker"
    }
    assert kept["Worker"] == {"id"}
    assert tables([by_name("risk")])["User"] == {"id"}


async def seed_all(stage: Stage, rows: Rows) -> None:
    for entity in ENTITIES:
        hashes = await read(stage, rows, entity)
        async with stage.pool.connection() as conn:
            await stamps.seed(conn, entity.name, hashes)


async def stamps_of(stage: Stage, entity: Entity) -> Mapping[str, Stamp]:
    ids = await stage.source.value(f'select array_agg(id) from "{entity.table}" where id not like \'sentinel%\'')  # noqa: S608
    return await stage.stamps(entity.name, *ids)


async def skip(stage: Stage) -> None:
    """Let the slot go past what happened so far, unseen."""
    await stage.source.value(
        f"select pg_replication_slot_advance('{stage.source.slot}', pg_current_wal_lsn())"
    )


async def decoded(stage: Stage) -> list[RowChange]:
    """Return every change that the slot has for us, without taking any."""
    decoder, options = reading(stage.source.plugin, tables(ENTITIES), "public", stage.source.slot)
    asked = [part for option in options if not option.optional for part in (option.name, option.value)]
    cursor = await stage.source.conn.execute(
        "select data from pg_logical_slot_peek_binary_changes(%s, null, null, variadic %s)", (stage.source.slot, asked)
    )
    events = [decoder.decode(row[0]) for row in await cursor.fetchall()]
    return [event for event in events if isinstance(event, RowChange)]
