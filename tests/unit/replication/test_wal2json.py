"""The decoder: listed columns of listed tables and nothing else, whatever the bytes are."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdc.replication.faults import MalformedFrame
from cdc.replication.port import Begin, Commit, Kind, LogicalMessage, RowChange, Truncate
from cdc.replication.port import Decoder as DecoderPort
from cdc.replication.wal2json import Decoder, options
from state.changes import Lsn

NOW = "2026-11-22 10:00:00.1+00"
CANARY = "CANARY7f3a"
DECODER: DecoderPort = Decoder({"User": frozenset({"email", "name"})}, "public")


def frame(action: str, **fields: object) -> bytes:
    return json.dumps({"action": action, **fields}, separators=(",", ":"), ensure_ascii=False).encode()


def row(action: str, *, columns: Mapping[str, object] | None = None, identity: Mapping[str, object] | None = None,
        table: str = "User", schema: str = "public") -> bytes:  # fmt: skip
    parts = {
        side: [{"name": name, "value": value} for name, value in values.items()]
        for side, values in (("columns", columns), ("identity", identity))
        if values is not None
    }
    stamp = {"xid": 7, "timestamp": NOW, "lsn": "0/10"}
    return frame(action, **stamp, schema=schema, table=table, **parts)


WITH_CANARY = row(
    "U",
    columns={"id": "u1", "passwordHash": CANARY, "email": "a@b", "twoFactorSecret": f"é{CANARY}\\\n", "name": None},
    identity={"id": "u1", "passwordHash": CANARY},
)


def test_a_transaction_begins_with_its_commit_position_and_time() -> None:
    event = DECODER.decode(frame("B", xid=7, timestamp="2026-11-22 21:00:00+11", lsn="1/A", nextlsn="1/B"))

    assert event == Begin(7, Lsn(0x1_0000000A), datetime(2026, 11, 22, 10, tzinfo=UTC))


def test_a_transaction_ends_with_the_position_to_acknowledge_and_its_time_in_utc() -> None:
    event = DECODER.decode(frame("C", xid=7, timestamp="2026-11-22 21:00:00.123456+11", lsn="0/A", nextlsn="0/B"))

    assert event == Commit(7, Lsn(10), Lsn(11), datetime(2026, 11, 22, 10, 0, 0, 123456, UTC))


def test_a_commit_without_a_time_zone_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        DECODER.decode(frame("C", xid=7, timestamp="2026-11-22 21:00:00", lsn="0/A", nextlsn="0/B"))


def test_an_insert_gives_the_key_and_the_listed_columns() -> None:
    event = DECODER.decode(row("I", columns={"id": "u1", "email": "a@b", "name": None, "image": "x"}))

    assert event == RowChange("User", Kind.INSERT, "u1", None, {"id": "u1", "email": "a@b", "name": None})


def test_an_update_of_the_same_key_has_no_old_key() -> None:
    event = DECODER.decode(row("U", columns={"id": "u1", "email": "a@b"}, identity={"id": "u1"}))

    assert event == RowChange("User", Kind.UPDATE, "u1", None, {"id": "u1", "email": "a@b"})


def test_a_changed_key_gives_both() -> None:
    event = DECODER.decode(row("U", columns={"id": "u2"}, identity={"id": "u1"}))

    assert event == RowChange("User", Kind.UPDATE, "u2", "u1", {"id": "u2"})


def test_a_key_that_the_server_left_out_as_unchanged_is_the_old_one() -> None:
    event = DECODER.decode(row("U", columns={"email": "a@b"}, identity={"id": "u1"}))

    assert event == RowChange("User", Kind.UPDATE, "u1", None, {"email": "a@b"})


def test_a_delete_gives_the_key_it_had() -> None:
    assert DECODER.decode(row("D", identity={"id": "u1"})) == RowChange("User", Kind.DELETE, "u1", None, {})


def test_a_row_that_can_not_be_named_has_no_key() -> None:
    event = DECODER.decode(row("D", identity={"email": "a@b"}))

    assert event == RowChange("User", Kind.DELETE, None, None, {})


def test_a_number_keeps_its_digits() -> None:
    decoder = Decoder({"T": frozenset("abcdef")}, "public")
    payload = row("I", table="T", columns={"id": 5, "a": 1, "b": -2, "e": True, "f": False}).replace(
        b'"value":1}', b'"value":10.50}'
    ).replace(b'"value":-2}', b'"value":12345678901234567890123456789}')

    event = decoder.decode(payload)

    assert isinstance(event, RowChange)
    assert event.key == "5"
    assert event.values == {"id": "5", "a": "10.50", "b": "12345678901234567890123456789", "e": True, "f": False}


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_a_value_that_the_plugin_never_writes_is_refused(value: object) -> None:
    with pytest.raises(MalformedFrame):
        DECODER.decode(row("I", columns={"id": "u1", "email": value}))


@pytest.mark.parametrize("payload", [
    row("I", table="Account", columns={"id": "1"}), row("I", schema="private", columns={"id": "1"}),
    row("T", table="Account"), row("D", table="Account", identity={"id": "1"}),
    frame("M", transactional=True, prefix="other", content=CANARY),
])  # fmt: skip
def test_what_is_not_listed_is_nothing(payload: bytes) -> None:
    assert DECODER.decode(payload) is None


def test_an_emptied_table_is_reported() -> None:
    assert DECODER.decode(row("T")) == Truncate("User")


def test_our_own_message_is_decoded_inside_and_outside_of_a_transaction() -> None:
    inside = DECODER.decode(frame("M", xid=7, transactional=True, prefix="mapable_cdc", content="a"))
    outside = DECODER.decode(frame("M", xid=None, transactional=False, prefix="mapable_cdc", content="b"))

    assert inside == LogicalMessage(True, "mapable_cdc", "a")
    assert outside == LogicalMessage(False, "mapable_cdc", "b")


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.none() | st.booleans()))
def test_any_text_comes_through_unchanged(key: str, email: str, others: dict[str, object]) -> None:
    event = DECODER.decode(row("I", columns={**others, "id": key, "email": email}))

    assert isinstance(event, RowChange)
    assert event.key == key
    assert event.values["email"] == email
    assert set(event.values) <= {"id", "email", "name"}


def test_unlisted_columns_are_not_in_what_is_decoded() -> None:
    assert CANARY not in repr(DECODER.decode(WITH_CANARY))


@given(st.integers(min_value=0, max_value=len(WITH_CANARY) - 1))
def test_a_frame_that_was_cut_is_refused_without_a_word_of_it(length: int) -> None:
    assert _refused_silently(WITH_CANARY[:length])


@given(st.integers(min_value=0, max_value=len(WITH_CANARY) - 1), st.integers(min_value=0, max_value=255))
@example(WITH_CANARY.index(b"u1"), 0xFF)
@example(WITH_CANARY.index(b'"U"') + 1, ord("X"))
def test_a_frame_with_a_wrong_byte_gives_nothing_away(place: int, byte: int) -> None:
    damaged = bytearray(WITH_CANARY)
    damaged[place] = byte

    assert _refused_silently(bytes(damaged)) or CANARY not in repr(DECODER.decode(bytes(damaged)))


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_refused(payload: bytes) -> None:
    assert _refused_silently(payload)


@pytest.mark.parametrize("payload", [
    frame(CANARY), frame("I", table=[CANARY], schema="public", columns=[]),
    frame("B", xid=CANARY, lsn="0/0", timestamp=NOW),
    frame("B", xid=1, lsn=CANARY, timestamp=NOW), frame("B", xid=1, lsn="0/1", timestamp=CANARY),
    frame("C", xid=1, lsn="0/1", nextlsn="0/2", timestamp=CANARY),
    row("I", columns={"id": {CANARY: CANARY}}), b'{"action":"M","content":"' + b"[" * 100_000,
    b'{"action":"I","schema":"public","table":"User","columns":' + b"[" * 100_000 + CANARY.encode(),
    row("I", columns={"id": "u1", "email": "@"}).replace(b'"@"', b'"\xff' + CANARY.encode() + b'"'),
])  # fmt: skip
def test_wrong_kinds_of_value_are_refused_without_a_word_of_them(payload: bytes) -> None:
    assert _refused_silently(payload)


def test_the_plugin_is_asked_for_the_listed_tables_only() -> None:
    asked = {option.name: option for option in options("public", ["User", "a, b.c'd*\\"])}

    assert asked["add-tables"].value == r"public.User,public.a\,\ b\.c\'d\*\\"
    assert asked["add-msg-prefixes"].value == "mapable_cdc"
    assert [option.name for option in asked.values() if option.optional] == ["numeric-data-types-as-string"]


def test_an_empty_filter_is_not_written_since_it_would_let_everything_through() -> None:
    with pytest.raises(ValueError, match="no table"):
        options("public", [])


def _refused_silently(payload: bytes) -> bool:
    """Return whether the payload is refused at all; fails if the refusal says more than it should."""
    error = _refusal(payload)
    if error is None:
        return False
    told = "".join(traceback.format_exception(error)) + repr(error.args) + error.hint
    assert error.length == len(payload)
    assert error.__context__ is error.__cause__ is None
    assert CANARY not in told
    return True


def _refusal(payload: bytes) -> MalformedFrame | None:
    try:
        DECODER.decode(payload)
    except MalformedFrame as error:
        return error
    return None
