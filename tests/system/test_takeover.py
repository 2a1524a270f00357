"""Two processes, one of them active: whatever becomes of it, the other takes over, and the old one does no harm.

A witness in the database notes which process wrote what, and a relay before Notion which process sent what.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from string import Template
from typing import Final

import pytest

from tests.system.plant import Plant, planted, ready
from tests.system.service import Service
from tests.system.waiting import duplicates

CROWD: Final = """
insert into "User" (id, name, email, role, "updatedAt")
select 'c' || n, 'Person ' || n, 'c' || n || '@example.org', 'PARTICIPANT', now() from generate_series(1, 60) n
"""
NEWCOMERS: Final = CROWD.replace("'c'", "'d'").replace("60", "30")
EMAILS: Final = """update "User" set email = 'new' || email where id like 'c%'"""

WITNESS: Final = """
create table public.witness (id bigserial primary key, who text, what text);
create function public.note_write() returns trigger language plpgsql security definer as $$
begin
    insert into public.witness (who, what)
    values (right(current_setting('application_name'), 8), tg_table_name || ' ' || tg_op);
    return null;
end $$;
"""
WITNESSED: Final = Template("""
create trigger note_write after insert or update or delete on $table
    for each statement execute function public.note_write()
""")
TABLES: Final = (
    'notion_sync."NotionSyncMapping"', "notion_sync.work", "notion_sync.audit_log", "notion_sync.setting",
    "notion_sync.stream_position", "notion_sync.marking", "notion_sync.look", "notion_sync.parked",
    "notion_sync.row_stamp", "notion_sync.lookup_seen", "notion_sync.pending_relation", "notion_sync.conflict",
    "notion_sync.explanation", "notion_sync.stray_page", "notion_sync.deletion", "notion_sync.data_source",
    "notion_sync.request_window", '"User"', '"Risk"',
)
LEADER: Final = "select value ->> 'instance' from notion_sync.setting where name = 'leader'"
WRITERS: Final = "select string_agg(distinct who, ' ' order by who) from public.witness where id > %(after)s"
BY: Final = "select array_agg(what) from public.witness where who = %(who)s and id > %(after)s"
TOOK: Final = "select max(id) from public.witness where who = %(who)s and what = 'setting INSERT'"
LAST: Final = "select coalesce(max(id), 0) from public.witness"
END_LOCK: Final = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'mapable-cdc lock ' || %(who)s
"""


@dataclass(slots=True)
class Relay:
    """What one process sends to Notion passes here and is counted."""

    target: str
    url: str = ""
    writes: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.rpartition("/")[2], int(port))
        for task in (
            asyncio.create_task(self._pass(reader, far_writer, counted=True)),
            asyncio.create_task(self._pass(far_reader, writer, counted=False)),
        ):
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        try:
            while chunk := await reader.read(65536):
                if counted:
                    self.writes += len(re.findall(rb"(?:PATCH /v1/pages/|POST /v1/pages )", chunk))
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def relayed(plant: Plant) -> AsyncIterator[Relay]:
    relay = Relay(plant.sandbox.url)
    server = await asyncio.start_server(relay.connected, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        for task in tuple(relay.tasks):
            task.cancel()


@pytest.fixture
async def plant(mapable_dsn: str) -> AsyncIterator[Plant]:
    async with planted(mapable_dsn, CROWD, NOTION_CREATE_LOOKUP_SECONDS="1") as plant:
        yield plant


async def witnessed(plant: Plant) -> None:
    await plant.run(WITNESS, *(WITNESSED.substitute(table=table) for table in TABLES))


async def until_standby(plant: Plant, service: Service) -> None:
    async def standby() -> bool:
        return (await ready(service))[1].get("role") == "standby"

    await plant.until(standby)


async def everything_arrives(plant: Plant, *, newcomers: int) -> None:
    async def arrived() -> bool:
        rows = plant.sandbox.people.rows("Participants")
        emails = [str(row["properties"]["Email"]) for row in rows if row["properties"]["System ID"].startswith("c")]
        return len(rows) == 2 + 60 + newcomers and all(email.startswith("newc") for email in emails)

    await plant.until(arrived)
    await plant.quiet()
    assert duplicates(plant.sandbox) == {}


@pytest.mark.parametrize("loses", ["by falling silent", "by losing its lock"])
async def test_a_process_that_is_paused_past_its_lock_writes_nothing_when_it_wakes_up(plant: Plant, loses: str) -> None:
    async with relayed(plant) as relay, plant.ran(NOTION_BASE_URL=relay.url) as old, plant.service() as new:
        await until_standby(plant, new)
        await witnessed(plant)
        old_one = await plant.value(LEADER)
        sent_before = relay.writes
        plant.sandbox.switches.update({"latency_s": 0.3})
        await plant.run(EMAILS, NEWCOMERS)
        await plant.sandbox.wait_for(lambda: relay.writes >= sent_before + 5)

        old.process.send_signal(signal.SIGSTOP)
        if loses == "by losing its lock":
            await plant.value(END_LOCK, who=old_one)
        await new.event("stream.started", timeout_s=25)
        plant.sandbox.switches.update({"latency_s": 0.0})
        new_one = await plant.value(LEADER)
        took = await plant.value(TOOK, who=new_one)
        sent = relay.writes
        old.process.send_signal(signal.SIGCONT)
        await until_standby(plant, old)
        _, told = await ready(old)

        await everything_arrives(plant, newcomers=30)
        assert told == {"role": "standby"}
        assert old_one != new_one
        assert await plant.value(BY, who=old_one, after=0)
        assert await plant.value(BY, who=old_one, after=took) is None
        assert relay.writes == sent
        assert await new.stop() == 0


async def test_a_killed_one_is_replaced_within_seconds_and_there_are_never_two(plant: Plant) -> None:
    async with plant.ran() as first, plant.service() as second, plant.service() as third:
        await until_standby(plant, second)
        await until_standby(plant, third)
        await witnessed(plant)
        killed = [await plant.value(LEADER)]
        plant.sandbox.switches.update({"latency_s": 0.05})
        await plant.run(EMAILS, NEWCOMERS)
        await plant.sandbox.wait_for(lambda: len(plant.writes()) >= 80)

        first.kill()
        killed_s = time.monotonic()
        await plant.until_true(f"select ({LEADER}) <> %(who)s", who=killed[0])

        async def active() -> bool:
            told = [(await ready(service))[1] for service in (second, third)]
            return any(one["role"] == "active" and one["streaming"] for one in told)

        await plant.until(active)
        took_s = time.monotonic() - killed_s
        after = await plant.value(LAST)
        await plant.run("""update "User" set name = 'After' where id = 'c7'""")
        await everything_arrives(plant, newcomers=30)

        roles = sorted([(await ready(service))[1]["role"] for service in (second, third)])
        assert roles == ["active", "standby"]
        assert plant.page("Participants", "c7")["Name"] == "After"
        # what the application itself writes goes under no name of ours
        writers = set((await plant.value(WRITERS, after=after)).split()) - {""}
        assert {who for who in writers if re.fullmatch("[0-9a-f]{8}", who)} == {await plant.value(LEADER)}
        assert took_s < 5
        for service in (second, third):
            assert await service.stop() == 0


async def test_a_backfill_by_hand_that_is_paused_leaves_the_field_to_the_service(plant: Plant) -> None:
    plant.sandbox.switches.update({"latency_s": 0.2})
    async with relayed(plant) as relay:
        command = Service({**plant.env, "NOTION_BASE_URL": relay.url}, "backfill")
        async with command:
            await plant.sandbox.wait_for(lambda: relay.writes >= 5)
            command.process.send_signal(signal.SIGSTOP)
            async with plant.service() as service:
                await service.event("stream.started", timeout_s=25)
                sent = relay.writes
                plant.sandbox.switches.update({"latency_s": 0.0})
                command.process.send_signal(signal.SIGCONT)
                async with asyncio.timeout(30):
                    assert await command.process.wait() == 0

                await plant.quiet()
                assert relay.writes == sent
                assert len(plant.sandbox.people.rows("Participants")) == 62
                assert duplicates(plant.sandbox) == {}
                assert await service.stop() == 0
