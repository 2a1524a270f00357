"""What pgoutput writes, made from values: the readers' opposite, written from the manual and not from them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Cell = tuple[str, bytes]
"""The kind of a cell, one of n, u, t and b, and its value."""


def begin(commit_lsn: int, committed_us: int, xid: int) -> bytes:
    return struct.pack("!cQqI", b"B", commit_lsn, committed_us, xid)


def commit(commit_lsn: int, end_lsn: int, committed_us: int) -> bytes:
    return struct.pack("!cBQQq", b"C", 0, commit_lsn, end_lsn, committed_us)


def relation(
    oid: int, schema: str, name: str, columns: Sequence[tuple[bool, str, int, int]], identity: str = "d"
) -> bytes:
    told = b"".join(
        struct.pack("!B", in_key) + _text(column) + struct.pack("!Ii", type_oid, modifier)
        for in_key, column, type_oid, modifier in columns
    )
    head = struct.pack("!cI", b"R", oid) + _text(schema) + _text(name)
    return head + identity.encode() + struct.pack("!H", len(columns)) + told


def type_named(oid: int, schema: str, name: str) -> bytes:
    return struct.pack("!cI", b"Y", oid) + _text(schema) + _text(name)


def origin(lsn: int, name: str) -> bytes:
    return struct.pack("!cQ", b"O", lsn) + _text(name)


def insert(oid: int, new: Sequence[Cell]) -> bytes:
    return struct.pack("!cI", b"I", oid) + b"N" + _row(new)


def update(oid: int, new: Sequence[Cell], old: tuple[str, Sequence[Cell]] | None = None) -> bytes:
    before = old[0].encode() + _row(old[1]) if old is not None else b""
    return struct.pack("!cI", b"U", oid) + before + b"N" + _row(new)


def delete(oid: int, old: Sequence[Cell], kind: str = "K") -> bytes:
    return struct.pack("!cI", b"D", oid) + kind.encode() + _row(old)


def truncate(oids: Sequence[int], options: int = 0) -> bytes:
    return struct.pack(f"!cIB{len(oids)}I", b"T", len(oids), options, *oids)


def message(prefix: str, content: bytes, *, transactional: bool = True, lsn: int = 0) -> bytes:
    return struct.pack("!cBQ", b"M", transactional, lsn) + _text(prefix) + struct.pack("!I", len(content)) + content


def _row(cells: Sequence[Cell]) -> bytes:
    told = b"".join(
        kind.encode() + (struct.pack("!I", len(value)) + value if kind in "tb" else b"") for kind, value in cells
    )
    return struct.pack("!H", len(cells)) + told


def _text(text: str) -> bytes:
    return text.encode() + b"\0"
