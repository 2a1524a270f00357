"""A link whose socket is full: what arrives while we send is told to whoever waits for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import cast

import pytest

from cdc.replication.link import Connection, CopyBoth


class Full:
    """libpq with a socket that takes nothing at first. What arrives is taken in while it is waited for room to send."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock.fileno()
        self.pgconn = self
        self._refusals = 1
        self._arrived: list[bytes] = []

    def put_copy_data(self, message: bytes) -> None:
        pass

    def flush(self) -> int:
        self._refusals -= 1
        return 1 if self._refusals >= 0 else 0

    def consume_input(self) -> None:
        # it came after the loop had looked, and is the socket's no more
        self._arrived.append(b"message")

    def get_copy_data(self, _: int) -> tuple[int, memoryview]:
        message = self._arrived.pop() if self._arrived else b""
        return len(message), memoryview(message)


@pytest.fixture
def full() -> Iterator[Full]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Full(ours)


async def test_what_was_taken_in_while_sending_wakes_who_waits_for_it(full: Full) -> None:
    # a stand-in for the two libpq calls whose order can't be had from a real server at will
    link = CopyBoth(cast(Connection, full))
    waiting = asyncio.create_task(link.wait())
    await asyncio.sleep(0)

    await link.send(b"status")

    async with asyncio.timeout(5):
        await waiting
    assert bytes(link.take() or b"") == b"message"
    link.detach()
