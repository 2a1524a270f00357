"""The real program as a process: started, watched by its log events, stopped or killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.plugins import PLUGIN

PROGRAM = Path(sys.executable).parent / "mapable-cdc"
START_TIMEOUT_S = 30.0


def environment(dsn: str, notion_url: str, token: str, parent_page_id: str, **settings: str) -> dict[str, str]:
    """Return the environment of a service between `dsn` and a sandbox."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "SYSTEMROOT"}}
    return {
        **kept,
        "DATABASE_URL": dsn,
        "NOTION_BASE_URL": notion_url,
        "NOTION_API_KEY": token,
        "NOTION_PARENT_PAGE_ID": parent_page_id,
        "NOTION_REQUESTS_PER_MINUTE": "0",
        "HTTP_PORT": "0",
        # looks cost requests, and tests count those: a test that is about looking says so
        "NOTION_POLL_SECONDS": "0",
        "REPLICATION_PLUGIN": PLUGIN,
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        **settings,
    }


class Service:
    """One `mapable-cdc` process. `lines` is all it said on stderr."""

    def __init__(self, env: Mapping[str, str], *arguments: str) -> None:
        self._env = dict(env)
        self._arguments = arguments or ("run",)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._said = asyncio.Condition()
        self.lines: list[str] = []
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self, **settings: str) -> None:
        """Start the process; again, once one has ended, and with other settings."""
        if self._reader is not None:
            await self._reader
        self._env |= settings
        self._process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "--env-file", os.devnull, *self._arguments, env=self._env,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read(), name="service log")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        assert self._reader is not None
        await self._reader
        if kind is not None:
            sys.stdout.write("\n".join(self.lines[-60:]) + "\n")

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def event(self, name: str, *, times: int = 1, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait until the log has said `name` that often; return the last of them."""
        async with asyncio.timeout(timeout_s), self._said:
            while True:
                found = [event for event in self.events if event.get("event") == name]
                if len(found) >= times:
                    return found[times - 1]
                if self.process.returncode is not None and self._reader is not None and self._reader.done():
                    raise AssertionError(f"the service ended before it said {name}: {self.lines[-20:]}")
                await self._said.wait()

    async def line(self, text: str, *, timeout_s: float = START_TIMEOUT_S) -> str:
        """Wait for a line on stderr that holds `text`, and return it."""
        async with asyncio.timeout(timeout_s), self._said:
            while True:
                found = next((line for line in self.lines if text in line), None)
                if found is not None:
                    return found
                if self.process.returncode is not None and self._reader is not None and self._reader.done():
                    raise AssertionError(f"the program ended before it said {text!r}: {self.lines[-20:]}")
                await self._said.wait()

    def kill(self) -> None:
        """kill -9: no clean-up, no last words."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self, timeout_s: float = 15.0) -> int:
        """SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float = 15.0) -> int:
        """Wait until the process has ended, and return the exit code."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            async with self._said:
                self.lines.append(line)
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                self._said.notify_all()
        async with self._said:
            self._said.notify_all()


async def command(env: Mapping[str, str], *arguments: str, timeout_s: float = 60.0) -> tuple[int, str, str]:
    """Run one verb to its end; return (exit code, stdout, stderr)."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "--env-file", os.devnull, *arguments, env=dict(env), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(timeout_s):
        stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()
