"""How long a process may believe that it is the active one."""

from __future__ import annotations

import asyncio
import time

import pytest

from cdc import leadership
from cdc.leadership import Leadership, Office
from state.database import Pool
from tests.integration.replication.cable import Cable

FRESH_S = 0.3


async def test_an_answer_is_as_old_as_its_question(
    mapable_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was paused finds an answer from before; who holds the lock by now, it does not say."""
    monkeypatch.setattr(leadership, "FRESH_S", FRESH_S)
    office, paused = Office(), asyncio.Event()

    def pause(chunk: bytes) -> bytes:
        # nothing runs meanwhile, here as little as in a process that was stopped
        time.sleep(FRESH_S + 0.1)
        paused.set()
        return chunk

    async with Cable(mapable_dsn) as cable:
        leader = Leadership(cable.dsn, "somebody", office, pool)
        async with leader.attempt() as lock:
            assert lock is not None
            await leader.assume(lock)
            await office.assured()
            cable.spoil = pause
            watching = asyncio.create_task(leader.watch(lock))
            await paused.wait()
            cable.spoil = bytes

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(leadership.ALIVE_EVERY_S / 2):
                    await office.assured()

            async with asyncio.timeout(10):
                await office.assured()
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
