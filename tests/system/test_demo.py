"""`make run` with nothing configured: it comes up, a changed row shows in the stand-in, Ctrl-C stops all of it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from deploy.local.demo.data import FIRST_PARTICIPANT_ID
from deploy.local.demo_env import settings_in

ROOT = Path(__file__).resolve().parents[2]
TELL = """
create or replace function renamed() returns trigger language plpgsql as
$$ begin perform pg_notify('renamed', ''); return null; end $$;
create or replace trigger renamed after update on "User" execute function renamed();
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what `make run` starts from, so that a developer's own running demo is left alone."""
    copy = tmp_path / "a clone with spaces"
    shutil.copytree(ROOT / "deploy", copy / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PG_BIN_DIR"}}
    return {**kept, **settings}


async def start(clone: Path, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.local.run", cwd=clone, env=environment(**settings),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )


async def destroy(clone: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.local.postgres", "destroy", cwd=clone, env=environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


async def edit(clone: Path, name: str) -> None:
    """Do what `make edit` does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.local.edit", "Participants", FIRST_PARTICIPANT_ID, "Name", name, cwd=clone,
        env=environment(), stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


async def psql(clone: Path, statement: str) -> str:
    """Do what `make psql` does with a statement, and return what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.local.psql", "-c", statement, cwd=clone, env=environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


def statements(said: str) -> list[str]:
    """Return the SQL of the `make psql` lines, as a shell hands it on."""
    lines = (shlex.split(line) for line in said.splitlines() if "make psql SQL=" in line)
    return [words[2].removeprefix("SQL=") for words in lines]


def listens(url: str) -> bool:
    """Whether something still takes connections there."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


async def until_named(db: psycopg.AsyncConnection[Any], name: str) -> None:
    """Return when the first participant has this name; the row's change is what is waited for, not a while."""
    await db.execute("listen renamed")
    await db.execute(TELL)
    while True:
        row = await (await db.execute('select name from "User" where id = %s', (FIRST_PARTICIPANT_ID,))).fetchone()
        assert row is not None
        if row[0] == name:
            return
        async for _ in db.notifies(timeout=1, stop_after=1):
            pass


async def test_the_demo_comes_up_follows_changes_both_ways_and_stops_cleanly_twice(clone: Path) -> None:
    try:
        for name in ("Amelia Nguyen", "Amelia Novak"):
            process = await start(clone)
            assert process.stdout is not None
            said = ""
            async with asyncio.timeout(90):
                while "Ctrl-C" not in said:
                    line = (await process.stdout.readline()).decode()
                    assert line, said
                    said += line
            found = re.search(r"(http://\S+)/sandbox/databases", said)
            assert found is not None
            settings = settings_in(clone / ".local" / "demo.env")
            dashboard = re.search(r"(http://\S+)   \(sign in with (\S+)\)", said)
            assert dashboard is not None
            assert dashboard[2] == settings["ADMIN_TOKEN"]
            async with aiohttp.ClientSession(raise_for_status=True) as session:
                assert "Sign in" in await (await session.get(dashboard[1])).text()
                assert "<table>" in await (await session.get(f"{found[1]}/sandbox/workspace")).text()

            update, select = statements(said)
            assert "UPDATE 1" in await psql(clone, update.replace("Amelia Nguyen", name))
            async with asyncio.timeout(30), aiohttp.ClientSession() as session:
                pages = f"{found[1]}/sandbox/pages?database=Participants"
                moves = 0
                while name not in await (await session.get(pages)).text():
                    answer = await (await session.get(f"{found[1]}/sandbox/moves?after={moves}")).json()
                    moves = answer["moves"]

            await edit(clone, f"{name}-Tran")
            async with (
                asyncio.timeout(40),
                await psycopg.AsyncConnection.connect(settings["DATABASE_URL"], autocommit=True) as db,
            ):
                await until_named(db, f"{name}-Tran")
            assert f"{name}-Tran" in await psql(clone, select)

            places = [settings["DATABASE_URL"], found[1], f"http://127.0.0.1:{settings['HTTP_PORT']}"]
            assert [listens(place) for place in places] == [True] * 3
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                assert await process.wait() == 0
            assert [listens(place) for place in places] == [False] * 3, "something runs on"
            assert "no webhook" not in said
            assert not (clone / ".local" / "demo.env").exists()
    finally:
        await destroy(clone)


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/app"}, "NOTION_API_KEY"),
        ({"NOTION_API_KEY": "ntn_hunter2"}, "DATABASE_URL"),
    ],
)
async def test_half_a_configuration_is_refused_so_that_demo_and_real_never_mix(
    clone: Path, settings: dict[str, str], lacks: str
) -> None:
    process = await start(clone, **settings)
    said = (await process.communicate())[0].decode()

    assert process.returncode == 2
    assert f"Set {lacks} too" in said
    assert "hunter2" not in said
    assert not (clone / ".local").exists()
