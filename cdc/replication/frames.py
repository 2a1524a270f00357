"""The messages of the streaming replication protocol, as values: bytes in, bytes out.

Source: PostgreSQL manual, "Streaming Replication Protocol".
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from typing import Final

import msgspec

from cdc.replication.faults import MalformedFrame
from state.changes import Lsn

WRITES: Final = "the streaming replication protocol"

_EPOCH_US: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_DATA: Final = struct.Struct("!xQQq")
_KEEPALIVE: Final = struct.Struct("!xQqB")
_STATUS: Final = struct.Struct("!cQQQqB")
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_LSN_LIMIT: Final = 1 << 64


class XLogData(msgspec.Struct, frozen=True, gc=False):
    """One message of the output plugin. `sent_at_us` is the server's clock, in microseconds since 2000-01-01 UTC."""

    wal_start: Lsn
    wal_end: Lsn
    sent_at_us: int
    payload: bytes


class Keepalive(msgspec.Struct, frozen=True, gc=False):
    """The server's sign of life: everything before `wal_end` that concerns the slot has been sent."""

    wal_end: Lsn
    sent_at_us: int
    reply_requested: bool


Frame = XLogData | Keepalive


def parse(message: bytes | memoryview) -> Frame:
    """Return the frame in one CopyData message, its payload copied out of `message`."""
    kind = message[0] if message else 0
    try:
        if kind == 0x77:  # w
            start, end, sent_at_us = _DATA.unpack_from(message)
            return XLogData(start, end, sent_at_us, bytes(message[_DATA.size :]))
        if kind == 0x6B:  # k
            wal_end, sent_at_us, reply = _KEEPALIVE.unpack(message)
            return Keepalive(wal_end, sent_at_us, reply == 1)
    except struct.error:
        pass
    raise MalformedFrame(len(message), WRITES)


def status_update(write: Lsn, flush: Lsn, apply: Lsn, now_us: int, *, reply_requested: bool = False) -> bytes:
    """Return the message that tells the server how far we are; `flush` is what lets it forget."""
    return _STATUS.pack(b"r", write, flush, apply, now_us, reply_requested)


def protocol_us(unix_ns: int) -> int:
    """Return the protocol's microseconds since 2000-01-01 UTC for nanoseconds since 1970."""
    return unix_ns // 1000 - _EPOCH_US


def parse_lsn(text: str) -> Lsn:
    """Return the position that Postgres prints as `16/B374D848`; raises ValueError for anything else."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError("not a log position")
    return Lsn(int(match[1], 16) << 32 | int(match[2], 16))


def format_lsn(lsn: Lsn) -> str:
    """Return the position as Postgres prints it."""
    if not 0 <= lsn < _LSN_LIMIT:
        raise ValueError("not a log position")
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
