"""The messages of pgoutput, protocol version 1, as values: bytes in, values out.

Version 1 sends a transaction when it is committed, as a whole. Version 2 would send large ones before their end and
take them back later, version 3 prepared ones: we keep keys and no values, so a large transaction costs us nothing, and
what is marked has to have happened. Source: PostgreSQL manual, "Logical Replication Message Formats".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from state.changes import Lsn

NULL, UNCHANGED, TEXT, BINARY = b"nutb"
"""What a cell can be; an unchanged one is stored apart (TOAST) and was left out."""
KEY, WHOLE, NEW = b"KON"
"""What a row can be: its old key, its old self, its new self."""

# x: a byte that nobody reads
_BEGIN: Final = struct.Struct("!xQqI")
_COMMIT: Final = struct.Struct("!xxQQq")
_COLUMN: Final = struct.Struct("!I4x")
_MESSAGE: Final = struct.Struct("!xB8x")
_TRUNCATE: Final = struct.Struct("!xIx")
_OID: Final = struct.Struct("!xI")
_INT32: Final = struct.Struct("!I")
_INT16: Final = struct.Struct("!H")


Cell = tuple[int, int, int]
"""One column of a row: what it is, and where in the message its value begins and ends. No value is taken out here."""

Row = list[Cell]


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The start of a committed transaction; its time in microseconds since 2000-01-01 UTC."""

    commit_lsn: Lsn
    committed_us: int
    xid: int


class Commit(msgspec.Struct, frozen=True, gc=False):
    """The end of a transaction."""

    commit_lsn: Lsn
    end_lsn: Lsn
    committed_us: int


class Column(NamedTuple):
    """A column that is published."""

    name: str
    type_oid: int


class Relation(msgspec.Struct, frozen=True):
    """What a table looks like from here on; comes before its first row, and again after it was altered."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]


class Insert(msgspec.Struct, frozen=True):
    """A new row of the table `oid`."""

    oid: int
    new: Row


class Update(msgspec.Struct, frozen=True):
    """A changed row. `old` is there when the key changed, or the replica identity is full."""

    oid: int
    old: Row | None
    new: Row


class Delete(msgspec.Struct, frozen=True):
    """A deleted row: its key, or all of it where the replica identity is full."""

    oid: int
    old: Row


class Truncate(msgspec.Struct, frozen=True):
    """Tables that were emptied by one statement."""

    oids: tuple[int, ...]


class Message(msgspec.Struct, frozen=True, gc=False):
    """A logical message, anybody's."""

    transactional: bool
    prefix: str
    content: bytes


Said = Begin | Commit | Relation | Insert | Update | Delete | Truncate | Message


def read(payload: bytes) -> Said | None:
    """Return the message, None for the name of a type or an origin, which nobody reads.

    Raises ValueError, IndexError or struct.error for anything that is not a message, whole.
    """
    match payload[:1]:
        case b"I":
            new, end = _row(payload, _expected(payload, 5, NEW))
            said: Said = Insert(_oid(payload), new)
        case b"U":
            said, end = _update(payload)
        case b"D":
            old, end = _row(payload, _expected(payload, 5, KEY, WHOLE))
            said = Delete(_oid(payload), old)
        case b"B":
            lsn, committed_us, xid = _BEGIN.unpack(payload)
            return Begin(Lsn(lsn), committed_us, xid)
        case b"C":
            lsn, end_lsn, committed_us = _COMMIT.unpack(payload)
            return Commit(Lsn(lsn), Lsn(end_lsn), committed_us)
        case b"R":
            said, end = _relation(payload)
        case b"M":
            said, end = _message(payload)
        case b"T":
            (count,) = _TRUNCATE.unpack_from(payload)
            end = _TRUNCATE.size + 4 * count
            said = Truncate(struct.unpack_from(f"!{count}I", payload, _TRUNCATE.size))
        case b"Y" | b"O":
            return None
        case _:
            raise ValueError("no kind of message that was asked for")
    if end != len(payload):
        raise ValueError("longer or shorter than it says")
    return said


def _oid(payload: bytes) -> int:
    """Return the number of the table that stands behind the kind of message."""
    return int(_OID.unpack_from(payload)[0])


def _update(payload: bytes) -> tuple[Update, int]:
    oid = _oid(payload)
    if payload[5] == NEW:
        new, end = _row(payload, 6)
        return Update(oid, None, new), end
    old, at = _row(payload, _expected(payload, 5, KEY, WHOLE))
    new, end = _row(payload, _expected(payload, at, NEW))
    return Update(oid, old, new), end


def _relation(payload: bytes) -> tuple[Relation, int]:
    schema, at = _text(payload, _OID.size)
    name, at = _text(payload, at)
    # past the replica identity
    (count,) = _INT16.unpack_from(payload, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        # past whether it is part of it
        column, at = _text(payload, at + 1)
        columns.append(Column(column, *_COLUMN.unpack_from(payload, at)))
        at += _COLUMN.size
    return Relation(_oid(payload), schema, name, tuple(columns)), at


def _message(payload: bytes) -> tuple[Message, int]:
    (flags,) = _MESSAGE.unpack_from(payload)
    prefix, at = _text(payload, _MESSAGE.size)
    (size,) = _INT32.unpack_from(payload, at)
    end = at + 4 + size
    return Message(flags & 1 == 1, prefix, payload[at + 4 : end]), end


def _row(payload: bytes, at: int) -> tuple[Row, int]:
    """Return the cells of the row that begins at `at`, and where it ends."""
    (count,) = _INT16.unpack_from(payload, at)
    at += 2
    size = _INT32.unpack_from
    cells: Row = []
    for _ in range(count):
        kind = payload[at]
        at += 1
        start = at
        if kind in (TEXT, BINARY):
            start += 4
            at = start + size(payload, at)[0]
        elif kind not in (NULL, UNCHANGED):
            raise ValueError("no kind of cell")
        cells.append((kind, start, at))
    return cells, at


def _expected(payload: bytes, at: int, *kinds: int) -> int:
    """Return where a row begins whose kind stands at `at`."""
    if payload[at] not in kinds:
        raise ValueError("no row of that kind is expected here")
    return at + 1


def _text(payload: bytes, at: int) -> tuple[str, int]:
    """Return the text that begins at `at` and ends with a zero, and where the next thing begins."""
    end = payload.index(0, at)
    return payload[at:end].decode(), end + 1
