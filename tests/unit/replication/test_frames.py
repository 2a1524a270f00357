"""The protocol's messages: what the server packs we unpack, what we pack it understands, nothing else passes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.replication.faults import MalformedFrame
from cdc.replication.frames import Keepalive, XLogData, format_lsn, parse, parse_lsn, protocol_us, status_update
from state.changes import Lsn

LSNS = st.integers(min_value=0, max_value=2**64 - 1).map(Lsn)
CLOCKS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(LSNS, LSNS, CLOCKS, st.binary(max_size=200), st.booleans())
def test_a_message_of_the_plugin_is_returned_whole(start: Lsn, end: Lsn, sent: int, body: bytes, view: bool) -> None:
    message = b"w" + struct.pack("!QQq", start, end, sent) + body

    frame = parse(memoryview(message) if view else message)

    assert frame == XLogData(start, end, sent, body)


def test_the_payload_outlives_the_memory_it_came_in() -> None:
    memory = bytearray(b"w" + bytes(24) + b"payload")

    frame = parse(memoryview(memory))
    memory[:] = bytes(len(memory))

    assert isinstance(frame, XLogData)
    assert frame.payload == b"payload"


@given(LSNS, CLOCKS, st.booleans())
def test_a_keepalive_says_how_far_and_whether_to_answer(wal_end: Lsn, sent: int, reply: bool) -> None:
    assert parse(b"k" + struct.pack("!QqB", wal_end, sent, reply)) == Keepalive(wal_end, sent, reply)


@given(st.binary(max_size=60).filter(lambda body: not body.startswith((b"w", b"k"))))
def test_anything_else_is_refused_without_quoting_it(message: bytes) -> None:
    with pytest.raises(MalformedFrame) as caught:
        parse(message)

    assert caught.value.length == len(message)


@pytest.mark.parametrize("message", [b"w" + bytes(23), b"k" + bytes(16), b"k" + bytes(18), b"w", b"k"])
def test_a_message_of_the_wrong_length_is_refused(message: bytes) -> None:
    with pytest.raises(MalformedFrame) as caught:
        parse(message)

    assert caught.value.__context__ is None


@given(LSNS, LSNS, LSNS, CLOCKS, st.booleans())
def test_a_status_update_has_the_layout_of_the_manual(w: Lsn, f: Lsn, a: Lsn, now: int, reply: bool) -> None:
    message = status_update(w, f, a, now, reply_requested=reply)

    assert message == b"r" + struct.pack("!QQQq", w, f, a, now) + bytes([reply])


def test_the_protocols_clock_starts_in_the_year_2000() -> None:
    moment = datetime(2000, 1, 1, 0, 0, 1, 5, tzinfo=UTC)

    assert protocol_us(int(moment.timestamp()) * 1_000_000_000 + 5_000) == 1_000_005


@given(LSNS)
def test_a_position_survives_being_written_and_read(lsn: Lsn) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


def test_a_position_is_written_as_postgres_writes_it() -> None:
    assert format_lsn(Lsn(0x16_B374D848)) == "16/B374D848"
    assert format_lsn(Lsn(0)) == "0/0"


@pytest.mark.parametrize("text", ["", "0", "/", "0/", "0/G", "123456789/0", "0/123456789", " 0/0", "0/0\n", "-1/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a log position"):
        parse_lsn(text)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_that_is_no_position_is_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="not a log position"):
        format_lsn(Lsn(number))
