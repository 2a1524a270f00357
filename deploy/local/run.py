"""`make run`: the real thing where it is configured, else a complete demo on this machine.

The demo has a private Postgres with MapAble's schema and invented people, a stand-in for Notion, setup, and the
service. All of it ends with Ctrl-C; its data stays in place for the next time (`make clean` removes it).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn

import aiohttp
import psycopg
from psycopg.conninfo import conninfo_to_dict

from deploy.local.commands import LocalError
from deploy.local.demo import data
from deploy.local.demo_env import settings_in
from deploy.local.hooking import NotHooked, hook
from deploy.local.ports import free_port, is_free
from deploy.local.postgres import of_clone
from deploy.local.server import PrivateServer

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / ".local"
DATABASE = "mapable"
PROGRAM = Path(sys.executable).parent / "mapable-cdc"
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 12.0
USUAL_PORT = 8080

BANNER = """
MapAble <-> Notion demo. Invented people only; nothing leaves this machine.

  Dashboard  {service}/   (sign in with {admin_token})
  Notion     {notion}/sandbox/workspace   (a stand-in; its tables can be edited)
  Postgres   {database}

Open both in a browser. Change a row in another terminal, and watch its page:

  make psql SQL="update \\"User\\" set name = 'Amelia Nguyen' where id = '{first}'"

Change a cell of that page in the browser (or with the next line), and look at its row:

  make edit DATABASE=Participants ID={first} PROPERTY=Name VALUE='Amelia Tran'
  make psql SQL="select name from \\"User\\" where id = '{first}'"

For scripts: {notion}/sandbox/databases, {service}/readyz, /metrics and /api/notion/status

  make status      where the sync stands
  Ctrl-C           stops all of it; the data stays until `make clean`
"""


class ChildEnded(Exception):
    """A part of the demo ended by itself."""


def main() -> int:
    """Run until Ctrl-C."""
    given = {**settings_in(REPOSITORY / ".env"), **{name: value for name, value in os.environ.items() if value}}
    database = bool(given.get("DATABASE_URL") or given.get("DATABASE_URL_FILE"))
    notion = bool(given.get("NOTION_API_KEY") or given.get("NOTION_API_KEY_FILE"))
    if database and notion:
        _become_the_service()
    if database or notion:
        have, lack = ("DATABASE_URL", "NOTION_API_KEY") if database else ("NOTION_API_KEY", "DATABASE_URL")
        print(f"{have} is set, but {lack} is not.", file=sys.stderr)
        print(f"Set {lack} too to run the real thing, or unset {have} for the demo.", file=sys.stderr)
        print("(The demo's people never go to a real Notion, nor real people to the stand-in.)", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_demo())
    except LocalError as error:
        print(f"error: {error}\nwhat to do: {error.hint}", file=sys.stderr)
        return 3


def _become_the_service() -> NoReturn:
    os.chdir(REPOSITORY)
    os.execv(PROGRAM, [str(PROGRAM), "run"])  # noqa: S606 # the same process, so that signals arrive


async def _demo() -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        server = of_clone(REPOSITORY)
        running = asyncio.create_task(_bring_up(stack, server, stopping))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            print("\nStopping …", flush=True)
            running.cancel()
        stop.cancel()
        with suppress(asyncio.CancelledError):
            try:
                await running
            except ChildEnded as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
    return 0


async def _bring_up(stack: AsyncExitStack, server: PrivateServer, stopping: asyncio.Event) -> None:
    """Start everything in order, say where it is, and wait; raises ChildEnded when a part ends by itself."""
    LOCAL.mkdir(exist_ok=True)
    print("Starting Postgres …", flush=True)
    await asyncio.to_thread(server.start)
    stack.callback(server.stop)
    print(f"  {server.describe()}", flush=True)
    await asyncio.to_thread(_load_demo, server)

    print("Starting the Notion stand-in …", flush=True)
    sandbox, said = await stack.enter_async_context(_sandbox())
    env = _environment(server.dsn(DATABASE), said)
    env_file = LOCAL / "demo.env"
    _write_private(env_file, env)
    stack.callback(env_file.unlink, missing_ok=True)

    print("Making the seven databases …", flush=True)
    await _set_up(env)
    print("Starting the service; the first comparison of all rows takes a few seconds …", flush=True)
    arguments = ("--env-file", os.devnull, "run")
    service = await stack.enter_async_context(_child("the service", str(PROGRAM), *arguments, env=env))
    url = f"http://127.0.0.1:{env['HTTP_PORT']}"
    ends = [asyncio.create_task(_ended(name, child)) for name, child in (("stand-in", sandbox), ("service", service))]
    try:
        ready = asyncio.create_task(_ready(url))
        await asyncio.wait([ready, *ends], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            await ready
            parts = conninfo_to_dict(env["DATABASE_URL"])
            where = f"postgresql://{parts['host']}:{parts['port']}/{parts['dbname']}   (make psql)"
            first = data.FIRST_PARTICIPANT_ID
            try:
                await hook(PROGRAM, env, notion=said["url"], service=url)
            except NotHooked as error:
                print(f"no webhook: {error}; edits in Notion are found by polling", file=sys.stderr)
            print(
                BANNER.format(
                    database=where, notion=said["url"], service=url, first=first, admin_token=env["ADMIN_TOKEN"]
                ),
                flush=True,
            )
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            await end
    finally:
        for end in ends:
            end.cancel()


def _load_demo(server: PrivateServer) -> None:
    if not server.has_database(DATABASE):
        server.create_database(DATABASE)
    with psycopg.connect(server.dsn(DATABASE)) as conn:
        if data.install(conn, DATABASE):
            print("  made MapAble's tables and invented people", flush=True)


def _environment(dsn: str, said: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TERM", "LOG_LEVEL"}}
    return {
        **kept,
        "DATABASE_URL": dsn,
        # a Postgres from the wheel has no wal2json
        "REPLICATION_PLUGIN": "auto",
        "NOTION_BASE_URL": said["url"],
        "NOTION_API_KEY": said["token"],
        "NOTION_PARENT_PAGE_ID": said["parent_page_id"],
        # the stand-in of the demo has no limit either: a first look should not take minutes
        "NOTION_REQUESTS_PER_MINUTE": "0",
        "NOTION_POLL_SECONDS": "10",
        "NOTION_REVERT_GRACE_SECONDS": "5",
        "ADMIN_TOKEN": secrets.token_urlsafe(18),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(USUAL_PORT if is_free(USUAL_PORT) else free_port()),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "warning"),
    }


def _write_private(path: Path, settings: Mapping[str, str]) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.writelines(
            f"{name}={value}\n" for name, value in settings.items() if name not in {"PATH", "HOME", "LANG", "TERM"}
        )


@asynccontextmanager
async def _sandbox() -> AsyncIterator[tuple[asyncio.subprocess.Process, Mapping[str, str]]]:
    arguments = ("-m", "deploy.sandbox", "--rate-limit", "0", "--state", str(LOCAL / "sandbox.sqlite"))
    async with _child("the stand-in", sys.executable, *arguments, stdout=True) as process:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise ChildEnded("the Notion stand-in did not start")
        yield process, json.loads(line)


@asynccontextmanager
async def _child(
    name: str, *arguments: str, env: Mapping[str, str] | None = None, stdout: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process in a session of its own (Ctrl-C reaches us, and we stop things in order) until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *arguments, env=dict(env) if env is not None else None, cwd=REPOSITORY, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE if stdout else None,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            print(f"{name} did not stop in time and was killed", file=sys.stderr)
            process.kill()
            await process.wait()


async def _set_up(env: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "--env-file", os.devnull, "setup", env=dict(env), cwd=REPOSITORY,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode != 0:
        raise ChildEnded(f"setup failed:\n{said.decode(errors='replace')}")


async def _ready(url: str) -> None:
    """Return when the service is ready."""
    async with asyncio.timeout(READY_TIMEOUT_S), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.2)


async def _ended(name: str, process: asyncio.subprocess.Process) -> None:
    code = await process.wait()
    raise ChildEnded(f"the {name} ended by itself (exit code {code})")


if __name__ == "__main__":
    sys.exit(main())
