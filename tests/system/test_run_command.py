"""`mapable-cdc run` as a process among others: starting, standing by, taking over, stopping."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import psycopg
import pytest

from deploy.local.server import PrivateServer
from deploy.sandbox.server import Sandbox
from tests.conftest import SCHEMA
from tests.system.invoked import invoke
from tests.system.service import Service, environment
from tests.system.waiting import Connection, until

PEOPLE = """
insert into "User" (id, name, email, role, "updatedAt")
select 'c' || to_char(n, 'FM000'), 'Person ' || n, 'p' || n || '@example.org', 'PARTICIPANT', now()
from generate_series(1, %(count)s) n
"""
CUT_OFF = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""
SLOTS = "select count(*) from pg_replication_slots where slot_name = %(name)s"


@dataclass
class Site:
    """Forty participants in MapAble, and a workspace that is set up and empty."""

    db: Connection
    sandbox: Sandbox
    env: dict[str, str]

    def service(self, **settings: str) -> Service:
        return Service({**self.env, **settings})

    async def slots(self) -> int:
        row = await (await self.db.execute(SLOTS, {"name": self.env["REPLICATION_SLOT"]})).fetchone()
        assert row is not None
        return int(row[0])

    def emails(self) -> list[str | None]:
        return [row["properties"]["Email"] for row in self.sandbox.people.rows("Participants")]

    def pages(self) -> int:
        return len(self.sandbox.people.rows("Participants"))


@pytest.fixture
async def site(mapable_dsn: str) -> AsyncIterator[Site]:
    """Nothing runs yet."""
    async with (
        Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox,
        await psycopg.AsyncConnection.connect(mapable_dsn, autocommit=True) as db,
    ):
        # a server has its slots in common
        slot = f"run_{mapable_dsn.rpartition('_')[2]}"
        env = environment(mapable_dsn, sandbox.url, sandbox.token, sandbox.parent_page_id, REPLICATION_SLOT=slot)
        await db.execute(PEOPLE, {"count": 40})
        ended = await invoke(env, "setup")
        assert ended.code == 0, ended.err
        yield Site(db, sandbox, env)


async def get(service: Service, path: str) -> tuple[int, str]:
    """Ask a service over HTTP; return status and body."""
    line = await service.line("/readyz")
    found = re.search(r"http://\S+:\d+", line)
    assert found is not None
    async with aiohttp.ClientSession() as client, client.get(found[0] + path) as answer:
        return answer.status, await answer.text()


async def ready(service: Service) -> tuple[int, dict[str, Any]]:
    status, body = await get(service, "/readyz")
    return status, json.loads(body)


async def until_ready(site: Site, service: Service, timeout_s: float = 20.0, **wanted: object) -> None:
    """Return when `/readyz` answers 200 and tells these facts."""

    async def holds() -> bool:
        status, told = await ready(service)
        return status == 200 and all(told.get(name) == value for name, value in wanted.items())

    await until(site.sandbox, holds, timeout_s)


async def test_a_second_instance_stands_by_and_takes_over_when_the_first_is_killed(site: Site) -> None:
    async with site.service() as first:
        await first.event("stream.started")
        assert (await get(first, "/healthz"))[0] == 200
        assert (await ready(first))[1]["role"] == "active"
        async with site.service() as second:
            await until_ready(site, second, role="standby")
            assert "mapable_cdc_active 0.0" in (await get(second, "/metrics"))[1]
            refused = await invoke(site.env, "slot", "drop")
            assert refused.code == 3
            assert "a `mapable-cdc run` streams from it" in refused.failure
            await site.sandbox.wait_for(lambda: site.pages() == 40, 30)

            first.kill()
            killed_s = time.monotonic()
            await second.event("stream.started")
            took_s = time.monotonic() - killed_s

            await site.db.execute("""update "User" set name = 'After' where id = 'c007'""")
            await site.sandbox.wait_for(
                lambda: site.sandbox.people.rows("Participants", {"System ID": "c007"})[0]["properties"]["Name"]
                == "After"
            )
            metrics = (await get(second, "/metrics"))[1]
            assert "mapable_cdc_active 1.0" in metrics
            assert 'mapable_cdc_queue_keys{priority="backfill"}' in metrics
            assert "mapable_cdc_slot_retained_bytes" in metrics
            assert await second.stop() == 0
    assert took_s < 5
    dropped = await invoke(site.env, "slot", "drop")
    assert (dropped.code, dropped.out.strip()) == (0, "Dropped.")


async def test_a_stop_during_the_first_comparison_takes_less_than_ten_seconds(site: Site) -> None:
    site.sandbox.switches.update({"latency_s": 1.0})
    async with site.service() as service:
        await site.sandbox.wait_for(lambda: site.pages() >= 3, 20)
        asked_s = time.monotonic()

        assert await service.stop() == 0

        assert time.monotonic() - asked_s < 10
    assert not any("Traceback" in line for line in service.lines)
    assert 3 <= site.pages() < 40


async def test_a_start_while_notion_is_down_is_degraded_and_heals(site: Site) -> None:
    site.sandbox.switches.update({"outage": True})
    async with site.service() as service:
        await service.event("stream.started")
        await until_ready(site, service, role="active", degraded=True)

        site.sandbox.switches.update({"outage": False})

        await site.sandbox.wait_for(lambda: site.pages() == 40, 30)
        assert "degraded" not in (await ready(service))[1]
        assert await service.stop() == 0


async def test_a_notion_that_hangs_keeps_neither_the_start_nor_the_stop(site: Site) -> None:
    site.sandbox.faults.script(kind="timeout", times=None)
    async with site.service() as service:
        await site.sandbox.wait_for(lambda: site.sandbox.count("GET", "/v1/users/me") >= 1)
        asked_s = time.monotonic()

        assert await service.stop() == 0

        assert time.monotonic() - asked_s < 10


async def test_a_sync_that_is_switched_off_keeps_no_slot(site: Site) -> None:
    async with site.service() as on:
        await on.event("stream.started")
        assert await on.stop() == 0
    assert await site.slots() == 1

    async with site.service(NOTION_SYNC_ENABLED="false") as off:
        assert await ready(off) == (200, {"role": "disabled", "enabled": False})
        assert await site.slots() == 0
        assert await off.stop() == 0


async def test_a_sync_that_is_switched_off_needs_no_key(site: Site) -> None:
    site.sandbox.clear_requests()

    async with site.service(NOTION_SYNC_ENABLED="false", NOTION_API_KEY="") as off:
        assert await ready(off) == (200, {"role": "disabled", "enabled": False})
        assert await off.stop() == 0

    assert site.sandbox.count() == 0


async def test_a_removed_property_is_left_out_until_setup_made_it_again(site: Site) -> None:
    async with site.service() as service:
        await service.event("stream.started")
        await site.sandbox.wait_for(lambda: site.pages() == 40, 30)
        site.sandbox.people.remove_property("Participants", "Email")
        await site.db.execute("""update "User" set email = 'new' || email""")
        assert (await service.event("field.paused"))["field"] == "email"

        ended = await invoke(site.env, "setup")

        assert ended.code == 0, ended.err
        await site.sandbox.wait_for(lambda: all(str(email).startswith("newp") for email in site.emails()), 40)
        assert not any(event["event"] == "work.parked" for event in service.events)
        assert await service.stop() == 0


async def test_properties_that_setup_made_again_are_used_without_a_restart(site: Site) -> None:
    async with site.service() as service:
        await service.event("stream.started")
        await site.sandbox.wait_for(lambda: site.pages() == 40, 30)
        site.sandbox.people.remove_property("Participants", "Email")

        ended = await invoke(site.env, "setup")

        assert ended.code == 0, ended.err
        # what is marked before the service heard of the new ids is refused by Notion, and must not be set aside for it
        await site.sandbox.wait_for(lambda: None not in site.emails(), 40)
        assert not any(event["event"] == "work.parked" for event in service.events)
        assert await service.stop() == 0


async def test_what_fails_at_once_each_time_is_tried_ever_more_seldom(site: Site) -> None:
    async with site.service() as service:
        await service.event("stream.started")
        await site.db.execute("alter table notion_sync.work rename to away")

        await service.event("active.interrupted", times=5)
        waits = [event["again_in_s"] for event in service.events if event["event"] == "active.interrupted"]
        await site.db.execute("alter table notion_sync.away rename to work")
        await service.event("stream.started", times=2)

        assert waits[-1] >= 8 * waits[0]
        assert await service.stop() == 0


async def test_sessions_that_are_all_cut_off_are_made_anew_within_seconds(site: Site) -> None:
    async with site.service() as service:
        await service.event("stream.started")
        await site.sandbox.wait_for(lambda: site.pages() == 40, 30)

        # again and again: what happens depends on what each task was about at that moment
        for times in range(1, 6):
            await site.db.execute(CUT_OFF)
            cut_s = time.monotonic()

            await service.event("stream.started", times=times + 1)
            await site.db.execute("""update "User" set email = %s where id = 'c007'""", (f"{times}@example.org",))
            await site.sandbox.wait_for(lambda times=times: f"{times}@example.org" in site.emails())  # type: ignore[misc]
            assert time.monotonic() - cut_s < 5
        assert await service.stop() == 0


async def test_the_database_going_away_makes_it_unready_until_it_is_back_and_metrics_stay(
    private_postgres: PrivateServer,
) -> None:
    private_postgres.create_database("mapable", None)
    dsn = private_postgres.dsn("mapable")
    with psycopg.connect(dsn) as conn:
        conn.execute(SCHEMA.read_bytes())
    async with Sandbox(token="ntn_test", rate_limit=0, seed=1) as sandbox:
        env = environment(dsn, sandbox.url, sandbox.token, sandbox.parent_page_id)
        assert (await invoke(env, "setup")).code == 0
        async with Service(env) as service:
            await service.event("stream.started")
            await asyncio.to_thread(private_postgres.stop)

            async def unready() -> bool:
                return (await ready(service))[0] == 503

            await until(sandbox, unready, 20)
            assert "mapable_cdc_active" in (text := (await get(service, "/metrics"))[1])
            assert "mapable_cdc_database_up 0.0" in text
            assert (await get(service, "/healthz"))[0] == 200

            await asyncio.to_thread(private_postgres.start)

            await service.event("stream.started", times=2)
            with psycopg.connect(dsn) as conn:
                conn.execute(PEOPLE.encode(), {"count": 3})
            await sandbox.wait_for(lambda: len(sandbox.people.rows("Participants")) == 3, 30)
            await asyncio.to_thread(private_postgres.stop)
            asked_s = time.monotonic()
            assert await service.stop() == 0
            assert time.monotonic() - asked_s < 10
        assert not any("Traceback" in line for line in service.lines)
