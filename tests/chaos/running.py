"""The service of a run: started, killed at bad moments, started again; what it said, and how fast it was back."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from tests.chaos.witness import Pages
from tests.system.service import Service

KILLED = "killed"
RESTARTED = "Postgres restarted"
TAKEN_OVER = "taken over"
STARTED = "started"
GIVES_UP = 3
UNREACHABLE = "the database can't be reached"


class Running:
    """One service after another, with the same settings."""

    def __init__(self, env: Mapping[str, str], pages: Pages) -> None:
        self._env = env
        self._pages = pages
        self._service: Service | None = None
        self._frozen: Service | None = None
        self._before: list[str] = []
        self._killed = False
        self.kills = 0
        self.revived = 0
        self.disruptions_s: list[float] = []
        self.ended_by_itself: list[str] = []
        self._marks: list[tuple[float, str]] = []

    @property
    def service(self) -> Service:
        assert self._service is not None
        return self._service

    @property
    def up(self) -> bool:
        return self._service is not None and self._service.process.returncode is None

    @property
    def lines(self) -> list[str]:
        """All that was ever said on stderr."""
        return [*self._before, *(self._service.lines if self._service is not None else ())]

    async def start(self, cause: str = STARTED, **settings: str) -> None:
        """Start it, unless it runs."""
        if self._service is not None:
            return
        self._service = Service({**self._env, **settings})
        self.began(cause)
        await self._service.__aenter__()

    def began(self, cause: str) -> None:
        """From now on it has to come back by itself."""
        self._marks.append((time.time(), cause))

    async def streams(self, timeout_s: float = 180.0) -> bool:
        """Wait until the one that runs reads the log; False: it did not come to that."""
        try:
            await self.service.event("stream.started", timeout_s=timeout_s)
        except (TimeoutError, AssertionError):
            return False
        return True

    def kill(self) -> None:
        """kill -9, at once; `bury` afterwards."""
        self.disruptions_s.append(time.monotonic())
        self.check()
        if self._service is not None and self.up:
            self._killed = True
            _send(self._service, signal.SIGKILL)
            self.kills += 1

    async def bury(self) -> None:
        """Wait for its end, which was ours to bring about, and keep what it said."""
        if self._service is None:
            return
        service, self._service = self._service, None
        await service.__aexit__(None, None, None)
        self._killed = False
        self._before += service.lines

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self.disruptions_s.append(time.monotonic())
        _send(self.service, signal.SIGSTOP)

    async def replace(self) -> None:
        """Start another one beside the one that is frozen; the caller takes its lock away."""
        self._frozen, self._service, self._killed = self._service, None, False
        # the port is still the frozen one's
        await self.start(TAKEN_OVER, HTTP_PORT="0")

    def thaw(self) -> None:
        """Let the frozen one go on: it does not know yet that another one has taken over."""
        if self._frozen is not None and self._frozen.process.returncode is None:
            _send(self._frozen, signal.SIGCONT)

    async def dismiss(self) -> None:
        """Kill the one that was frozen, whatever it did since."""
        if self._frozen is not None:
            frozen, self._frozen = self._frozen, None
            self.disruptions_s.append(time.monotonic())
            if frozen.process.returncode is None:
                _send(frozen, signal.SIGKILL)
            await frozen.__aexit__(None, None, None)
            self._before += frozen.lines

    def check(self) -> None:
        """Note when it has ended without having been killed."""
        if self._killed:
            return
        code = self._service.process.returncode if self._service is not None else None
        if code is not None and code >= 0 and not any(UNREACHABLE in line for line in self.service.lines[-3:]):
            self.ended_by_itself.append(f"with code {code}, after it had said {self.service.lines[-1:]}")

    async def revive(self) -> None:
        """Start it again when it gave up because the database was not there at its start, as whoever runs it does."""
        if self._service is None or self.up or self._killed or self._service.process.returncode != GIVES_UP:
            return
        # what it said last is read to the end first
        service = self._service
        await self.bury()
        if any(UNREACHABLE in line for line in service.lines[-3:]):
            self.revived += 1
            await self.start()
        else:
            self.ended_by_itself.append(f"with code {GIVES_UP}, after it had said {service.lines[-1:]}")
            await self.start()

    async def restart(self) -> None:
        """Stop it politely and start it again."""
        if self._service is not None:
            self.check()
            self.disruptions_s.append(time.monotonic())
            await self.stop()
            await self.start()

    async def stop(self) -> None:
        """Stop it politely."""
        await self.dismiss()
        if self._service is not None and self._service.process.returncode is None:
            await self._service.stop()
        await self.bury()

    def back_s(self, cause: str) -> list[float]:
        """Return how long it took to read the log again, each time, unless it was disturbed anew meanwhile."""
        return _back_s(self.lines, self._marks, cause)


def _send(service: Service, number: signal.Signals) -> None:
    """Send a signal. asyncio's own way takes the end of one that died just now away from whoever waits for it."""
    with suppress(ProcessLookupError):
        os.kill(service.process.pid, number)


def _back_s(lines: Sequence[str], marks: Sequence[tuple[float, str]], cause: str) -> list[float]:
    streams = [
        datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
        for line in lines if '"event": "stream.started"' in line
    ]
    found = []
    ends = [*(at for at, _ in marks[1:]), float("inf")]
    for (began, what), end in zip(marks, ends, strict=True):
        back = min((at for at in streams if began <= at < end), default=None)
        if what == cause and back is not None:
            found.append(back - began)
    return found
