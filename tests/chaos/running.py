"""The service of a run: started, killed at bad moments, started again; what it said, and how fast it was back."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping

from tests.chaos.witness import Pages
from tests.system.service import Service


class Running:
    """One service after another, with the same settings."""

    def __init__(self, env: Mapping[str, str], pages: Pages) -> None:
        self._env = env
        self._pages = pages
        self._service: Service | None = None
        self._frozen: Service | None = None
        self._before: list[str] = []
        self.kills = 0
        self.recoveries_s: list[float] = []
        self.disruptions_s: list[float] = []
        self.ended_by_itself: list[int] = []

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

    async def start(self, **settings: str) -> None:
        """Start it, unless it runs; measures how long it takes until it next changes a page."""
        if self._service is not None:
            return
        self._service = Service({**self._env, **settings})
        await self._service.__aenter__()
        began_s = time.monotonic()

        def back() -> None:
            self._pages.on_bot.clear()
            self.recoveries_s.append(time.monotonic() - began_s)

        self._pages.on_bot[:] = [back]

    def kill(self) -> None:
        """kill -9, at once; `bury` afterwards."""
        self.disruptions_s.append(time.monotonic())
        self.check()
        if self._service is not None and self._service.process.returncode is None:
            self._service.kill()
            self.kills += 1

    async def bury(self) -> None:
        """Wait for its end, which was ours to bring about, and keep what it said."""
        if self._service is None:
            return
        service, self._service = self._service, None
        await service.__aexit__(None, None, None)
        self._before += service.lines

    async def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP) and start another one in its place; the caller takes its lock away."""
        assert self._service is not None
        self.disruptions_s.append(time.monotonic())
        self._frozen, self._service = self._service, None
        self._frozen.process.send_signal(signal.SIGSTOP)
        # the port is still the frozen one's
        await self.start(HTTP_PORT="0")

    def thaw(self) -> None:
        """Let the frozen one go on: it does not know yet that another one has taken over."""
        if self._frozen is not None and self._frozen.process.returncode is None:
            self._frozen.process.send_signal(signal.SIGCONT)

    async def dismiss(self) -> None:
        """Kill the one that was frozen, whatever it did since."""
        if self._frozen is not None:
            frozen, self._frozen = self._frozen, None
            self.disruptions_s.append(time.monotonic())
            if frozen.process.returncode is None:
                frozen.kill()
            await frozen.__aexit__(None, None, None)
            self._before += frozen.lines

    def check(self) -> None:
        """Note when it has ended without having been killed."""
        code = self._service.process.returncode if self._service is not None else None
        if code is not None and code >= 0:
            self.ended_by_itself.append(code)

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
