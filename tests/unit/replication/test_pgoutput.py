"""pgoutput's messages: read as they were written, decoded as wal2json's are, refused without a word of theirs."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdc.replication import pgmessages
from cdc.replication.faults import MalformedFrame
from cdc.replication.pgoutput import Decoder, options
from cdc.replication.port import Begin, Commit, Event, Kind, LogicalMessage, RowChange, Truncate
from cdc.replication.port import Decoder as DecoderPort
from state.changes import Lsn
from tests.unit.replication import pgencoding
from tests.unit.replication.pgencoding import Cell

CANARY: Final = "CANARY7f3a"
NOW_US: Final = 848_656_800_100_000      # 2026-11-22 10:00:00.1 UTC
TEXT_OID: Final = 25
BOOLEAN_OID: Final = 16
BYTEA_OID: Final = 17
USER: Final = 16_400
ACCOUNT: Final = 16_500
COLUMNS: Final = (
    (True, "id", TEXT_OID, -1), (False, "passwordHash", TEXT_OID, -1), (False, "email", TEXT_OID, -1),
    (False, "name", TEXT_OID, -1),
)  # fmt: skip
NULL: Final[Cell] = ("n", b"")
UNCHANGED: Final[Cell] = ("u", b"")

INT32: Final = st.integers(0, 2**32 - 1)
LSN: Final = st.integers(0, 2**64 - 1)
MICROSECONDS: Final = st.integers(-(2**63), 2**63 - 1)
NAMES: Final = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=10)
CELLS: Final = st.one_of(
    st.just(NULL), st.just(UNCHANGED), st.tuples(st.sampled_from("tb"), st.binary(max_size=20)),
)  # fmt: skip
ROWS: Final = st.lists(CELLS, max_size=5)
RELATION_COLUMNS: Final = st.lists(
    st.tuples(st.booleans(), NAMES, INT32, st.integers(-(2**31), 2**31 - 1)), max_size=5
)


def text(value: str) -> Cell:
    return "t", value.encode()


def decoder() -> DecoderPort:
    """Return one that has been told of a listed table and of another."""
    made = Decoder({"User": frozenset({"email", "name"})}, "public")
    assert made.decode(pgencoding.relation(USER, "public", "User", COLUMNS)) is None
    assert made.decode(pgencoding.relation(ACCOUNT, "public", "Account", COLUMNS)) is None
    return made


def cells(payload: bytes, row: Sequence[pgmessages.Cell]) -> list[Cell]:
    """Return a row as it was given to the encoder."""
    return [(chr(kind), payload[start:stop]) for kind, start, stop in row]


@given(LSN, MICROSECONDS, INT32, LSN)
def test_the_ends_of_a_transaction_are_read_as_written(lsn: int, at_us: int, xid: int, end_lsn: int) -> None:
    begins = pgmessages.read(pgencoding.begin(lsn, at_us, xid))
    ends = pgmessages.read(pgencoding.commit(lsn, end_lsn, at_us))

    assert begins == pgmessages.Begin(Lsn(lsn), at_us, xid)
    assert ends == pgmessages.Commit(Lsn(lsn), Lsn(end_lsn), at_us)


@given(INT32, NAMES, NAMES, RELATION_COLUMNS, st.sampled_from("dnfi"))
def test_a_table_is_read_as_written(
    oid: int, schema: str, name: str, columns: list[tuple[bool, str, int, int]], identity: str
) -> None:
    said = pgmessages.read(pgencoding.relation(oid, schema, name, columns, identity))

    told = tuple(pgmessages.Column(column, type_oid) for _, column, type_oid, _ in columns)
    assert said == pgmessages.Relation(oid, schema, name, told)


@given(INT32, ROWS, ROWS, st.sampled_from("KO"))
def test_rows_are_read_as_written(oid: int, new: list[Cell], old: list[Cell], kind: str) -> None:
    inserted, updated, moved, deleted = (
        pgencoding.insert(oid, new), pgencoding.update(oid, new), pgencoding.update(oid, new, (kind, old)),
        pgencoding.delete(oid, old, kind),
    )  # fmt: skip

    match [pgmessages.read(payload) for payload in (inserted, updated, moved, deleted)]:
        case [pgmessages.Insert() as i, pgmessages.Update() as u, pgmessages.Update() as m, pgmessages.Delete() as d]:
            assert (i.oid, cells(inserted, i.new)) == (oid, new)
            assert (u.oid, u.old, cells(updated, u.new)) == (oid, None, new)
            assert (m.oid, cells(moved, m.old or []), cells(moved, m.new)) == (oid, old, new)
            assert (d.oid, cells(deleted, d.old)) == (oid, old)
        case _:
            pytest.fail("read as something else")


@given(INT32, st.lists(INT32, max_size=5), NAMES, NAMES, st.binary(max_size=20), st.booleans(), LSN)
def test_everything_else_is_read_as_written(
    oid: int, oids: list[int], schema: str, name: str, content: bytes, transactional: bool, lsn: int
) -> None:
    said = [
        pgmessages.read(payload)
        for payload in (
            pgencoding.truncate(oids, 3), pgencoding.type_named(oid, schema, name), pgencoding.origin(lsn, name),
            pgencoding.message(name, content, transactional=transactional, lsn=lsn),
        )
    ]  # fmt: skip

    assert said == [
        pgmessages.Truncate(tuple(oids)), None, None, pgmessages.Message(transactional, name, content),
    ]  # fmt: skip


def test_a_transaction_begins_and_ends_with_its_positions_and_its_time() -> None:
    reads = decoder()
    at = datetime(2026, 11, 22, 10, 0, 0, 100_000, UTC)

    assert reads.decode(pgencoding.begin(10, NOW_US, 7)) == Begin(7, Lsn(10), at)
    assert reads.decode(pgencoding.commit(10, 11, NOW_US + 1)) == Commit(
        7, Lsn(10), Lsn(11), at + timedelta(microseconds=1)
    )


def test_an_insert_gives_the_key_and_the_listed_columns() -> None:
    event = decoder().decode(pgencoding.insert(USER, [text("u1"), text(CANARY), text("a@b"), NULL]))

    assert event == RowChange("User", Kind.INSERT, "u1", None, {"id": "u1", "email": "a@b", "name": None})


def test_an_update_of_the_same_key_has_no_old_key() -> None:
    payload = pgencoding.update(USER, [text("u1"), text(CANARY), text("a@b"), UNCHANGED])

    assert decoder().decode(payload) == RowChange("User", Kind.UPDATE, "u1", None, {"id": "u1", "email": "a@b"})


@pytest.mark.parametrize("kind", ["K", "O"])
def test_a_changed_key_gives_both(kind: str) -> None:
    old = [text("u1"), text(CANARY), NULL, NULL]
    payload = pgencoding.update(USER, [text("u2"), NULL, UNCHANGED, UNCHANGED], (kind, old))

    assert decoder().decode(payload) == RowChange("User", Kind.UPDATE, "u2", "u1", {"id": "u2"})


def test_the_whole_old_row_without_a_changed_key_is_no_change_of_key() -> None:
    old = [text("u1"), text(CANARY), text("old"), NULL]
    payload = pgencoding.update(USER, [text("u1"), NULL, text("new"), UNCHANGED], ("O", old))

    assert decoder().decode(payload) == RowChange("User", Kind.UPDATE, "u1", None, {"id": "u1", "email": "new"})


def test_a_key_that_the_server_left_out_as_unchanged_is_the_old_one() -> None:
    payload = pgencoding.update(USER, [UNCHANGED, NULL, text("a@b"), UNCHANGED], ("K", [text("u1"), NULL, NULL, NULL]))

    assert decoder().decode(payload) == RowChange("User", Kind.UPDATE, "u1", None, {"email": "a@b"})


@pytest.mark.parametrize(("old", "key"), [
    ([text("u1"), NULL, NULL, NULL], "u1"), ([NULL, NULL, text("a@b"), NULL], None),
])  # fmt: skip
def test_a_delete_gives_the_key_it_had_if_the_row_was_named_by_it(old: list[Cell], key: str | None) -> None:
    assert decoder().decode(pgencoding.delete(USER, old)) == RowChange("User", Kind.DELETE, key, None, {})


def test_truth_and_bytes_come_out_as_the_other_plugin_writes_them() -> None:
    reads = Decoder({"T": frozenset({"yes", "no", "raw", "text"})}, "public")
    columns = [(True, "id", 23, -1), (False, "yes", BOOLEAN_OID, -1), (False, "no", BOOLEAN_OID, -1),
               (False, "raw", BYTEA_OID, -1), (False, "text", TEXT_OID, -1)]  # fmt: skip
    reads.decode(pgencoding.relation(1, "public", "T", columns))

    event = reads.decode(pgencoding.insert(1, [text("5"), text("t"), text("f"), text("\\xdead"), text("t")]))

    assert isinstance(event, RowChange)
    assert event.values == {"id": "5", "yes": True, "no": False, "raw": "dead", "text": "t"}


def test_a_table_is_known_by_what_was_said_of_it_last() -> None:
    reads = decoder()
    reads.decode(pgencoding.relation(USER, "public", "User", [COLUMNS[0], (False, "name", TEXT_OID, -1)]))

    event = reads.decode(pgencoding.insert(USER, [text("u1"), text("Ann")]))
    reads.decode(pgencoding.relation(USER, "public", "Renamed", COLUMNS))

    assert event == RowChange("User", Kind.INSERT, "u1", None, {"id": "u1", "name": "Ann"})
    assert reads.decode(pgencoding.insert(USER, [text("u2"), NULL, NULL, NULL])) is None


@pytest.mark.parametrize(("oids", "event"), [
    ([USER], Truncate("User")), ([ACCOUNT], None), ([ACCOUNT, USER], Truncate("User")),
    ([USER, 1], Truncate("User", ("Worker",))),
])  # fmt: skip
def test_listed_tables_that_were_emptied_are_reported(oids: list[int], event: Event | None) -> None:
    reads = Decoder({"User": frozenset(), "Worker": frozenset()}, "public")
    for oid, name in ((USER, "User"), (ACCOUNT, "Account"), (1, "Worker")):
        reads.decode(pgencoding.relation(oid, "public", name, COLUMNS))

    assert reads.decode(pgencoding.truncate(oids)) == event


@pytest.mark.parametrize("payload", [
    pgencoding.insert(ACCOUNT, [text("1"), NULL, NULL, NULL]),
    pgencoding.delete(ACCOUNT, [text("1"), NULL, NULL, NULL]),
    pgencoding.update(ACCOUNT, [text("1"), NULL, NULL, NULL]), pgencoding.message("other", b"\xff"),
    pgencoding.relation(2, "private", "User", COLUMNS), pgencoding.type_named(3, "public", "UserRole"),
    pgencoding.origin(4, "elsewhere"),
])  # fmt: skip
def test_what_is_not_listed_is_nothing(payload: bytes) -> None:
    assert decoder().decode(payload) is None


def test_our_own_message_is_decoded_inside_and_outside_of_a_transaction() -> None:
    inside = decoder().decode(pgencoding.message("mapable_cdc", b"a"))
    outside = decoder().decode(pgencoding.message("mapable_cdc", "é".encode(), transactional=False))

    assert inside == LogicalMessage(True, "mapable_cdc", "a")
    assert outside == LogicalMessage(False, "mapable_cdc", "é")


@given(st.text(), st.text(), st.text() | st.none())
def test_any_text_comes_through_unchanged(key: str, email: str, other: str | None) -> None:
    hidden = text(other) if other is not None else NULL
    event = decoder().decode(pgencoding.insert(USER, [text(key), hidden, text(email), UNCHANGED]))

    assert isinstance(event, RowChange)
    assert event.key == key
    assert event.values == {"id": key, "email": email}


WITH_CANARY: Final = pgencoding.update(
    USER, [text("u1"), text(CANARY), text("a@b"), NULL], ("O", [text("u1"), text(CANARY), text(f"é{CANARY}"), NULL])
)


@given(st.integers(min_value=0, max_value=len(WITH_CANARY) - 1))
def test_a_message_that_was_cut_is_refused_without_a_word_of_it(length: int) -> None:
    assert refused_silently(WITH_CANARY[:length])


@given(st.integers(min_value=0, max_value=len(WITH_CANARY) - 1), st.integers(min_value=0, max_value=255))
@example(WITH_CANARY.index(b"u1"), 0xFF)
@example(WITH_CANARY.index(b"O"), ord("N"))
def test_a_message_with_a_wrong_byte_gives_nothing_away(place: int, byte: int) -> None:
    damaged = bytearray(WITH_CANARY)
    damaged[place] = byte

    if not refused_silently(bytes(damaged)):
        event = decoder().decode(bytes(damaged))
        assert not isinstance(event, RowChange) or event.values.keys() <= {"id", "email", "name"}


@given(st.binary(max_size=100))
@example(b"")
def test_arbitrary_bytes_are_refused_or_nothing_of_ours(payload: bytes) -> None:
    refused_silently(payload)


@given(st.sampled_from(b"BCRYOIUDTM"), st.binary(max_size=60))
def test_a_known_kind_with_arbitrary_bytes_raises_nothing_else(kind: int, rest: bytes) -> None:
    refused_silently(bytes([kind]) + rest)


@pytest.mark.parametrize("payload", [
    pgencoding.insert(99, [text(CANARY)]), pgencoding.truncate([99]),
    pgencoding.insert(USER, [text("u1"), text(CANARY)]),
    pgencoding.insert(USER, [text("u1"), NULL, ("b", CANARY.encode()), NULL]),
    pgencoding.insert(USER, [text("u1"), NULL, ("t", b"\xff" + CANARY.encode()), NULL]),
    pgencoding.message("mapable_cdc", b"\xff" + CANARY.encode()),
    pgencoding.begin(1, 2**63 - 1, 1), pgencoding.begin(1, NOW_US, 1) + CANARY.encode(),
    pgencoding.insert(USER, [text("u1"), NULL, NULL, NULL]) + CANARY.encode(),
    pgencoding.delete(USER, [text("u1"), NULL, NULL, NULL], "N"), b"S" + bytes(5) + CANARY.encode(),
])  # fmt: skip
def test_what_the_plugin_never_writes_is_refused_without_a_word_of_it(payload: bytes) -> None:
    assert refused_silently(payload)


def test_the_plugin_is_asked_for_its_first_protocol_our_publication_and_messages() -> None:
    asked = {option.name: option.value for option in options("mapable_cdc")}

    assert asked == {"proto_version": "1", "publication_names": '"mapable_cdc"', "messages": "true"}


def refused_silently(payload: bytes) -> bool:
    """Return whether the payload is refused at all; fails if the refusal says more than it should."""
    error = refusal(payload)
    if error is None:
        return False
    told = "".join(traceback.format_exception(error)) + repr(error.args) + error.hint
    assert error.length == len(payload)
    assert error.__context__ is error.__cause__ is None
    assert CANARY not in told
    return True


def refusal(payload: bytes) -> MalformedFrame | None:
    try:
        decoder().decode(payload)
    except MalformedFrame as error:
        return error
    return None
