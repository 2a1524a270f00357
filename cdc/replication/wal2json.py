"""The decoder of wal2json's format-version 2, and the options that make the plugin write it.

wal2json sends whole rows. Values of columns that are not listed are skipped in the bytes: they never become Python
values, never leave this module and are in no error, not even as the context of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from cdc.replication.faults import MalformedFrame
from cdc.replication.frames import parse_lsn
from cdc.replication.port import (
    DELETE,
    INSERT,
    KEY_COLUMN,
    MESSAGE_PREFIX,
    UPDATE,
    Begin,
    ColumnValue,
    Commit,
    Event,
    LogicalMessage,
    PluginOption,
    RowChange,
    Truncate,
)

WRITES: Final = "wal2json with format-version 2"


class _Column(msgspec.Struct, gc=False):
    name: str
    value: msgspec.Raw


class _Begin(msgspec.Struct, tag_field="action", tag="B", gc=False):
    xid: int
    lsn: str
    timestamp: str


class _Commit(msgspec.Struct, tag_field="action", tag="C", gc=False):
    xid: int
    lsn: str
    nextlsn: str
    timestamp: str


class _Insert(msgspec.Struct, tag_field="action", tag="I"):
    schema: str
    table: str
    columns: list[_Column]


class _Update(msgspec.Struct, tag_field="action", tag="U"):
    schema: str
    table: str
    columns: list[_Column]
    identity: list[_Column]


class _Delete(msgspec.Struct, tag_field="action", tag="D"):
    schema: str
    table: str
    identity: list[_Column]


class _Truncate(msgspec.Struct, tag_field="action", tag="T", gc=False):
    schema: str
    table: str


class _Message(msgspec.Struct, tag_field="action", tag="M", gc=False):
    transactional: bool
    prefix: str
    content: str


_Frame = _Begin | _Commit | _Insert | _Update | _Delete | _Truncate | _Message

_KEY_ONLY: Final = frozenset({KEY_COLUMN})

_frames: Final = msgspec.json.Decoder(_Frame)
# Numbers with a point or an exponent stay the text they are; whole numbers are put back into it in _plain.
_scalars: Final = msgspec.json.Decoder(float_hook=str)


class Decoder:
    """Decodes for the listed columns of the listed tables of one schema; the key column is always listed."""

    def __init__(self, tables: Mapping[str, frozenset[str]], schema: str) -> None:
        self._schema = schema
        self._tables = {table: columns | {KEY_COLUMN} for table, columns in tables.items()}

    def decode(self, payload: bytes) -> Event | None:
        """Return the event, or None for a table, schema or message prefix that is not ours."""
        try:
            return self._decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # Raised below, out of this block: here the error would keep msgspec's as its context, whose text
            # quotes the payload, or Python's UnicodeDecodeError, which carries all of it.
            pass
        raise MalformedFrame(len(payload), WRITES)

    def _decode(self, payload: bytes) -> Event | None:
        frame = _frames.decode(payload)
        if isinstance(frame, _Begin):
            return Begin(frame.xid, parse_lsn(frame.lsn), _instant(frame.timestamp))
        if isinstance(frame, _Commit):
            return Commit(frame.xid, parse_lsn(frame.lsn), parse_lsn(frame.nextlsn), _instant(frame.timestamp))
        if isinstance(frame, _Message):
            ours = frame.prefix == MESSAGE_PREFIX
            return LogicalMessage(frame.transactional, frame.prefix, frame.content) if ours else None
        listed = self._tables.get(frame.table) if frame.schema == self._schema else None
        if listed is None:
            return None
        if isinstance(frame, _Update):
            values = _values(frame.columns, listed)
            before = _identity(frame.identity)
            # A key so long that it is stored apart is left out like any other unchanged value.
            key = _key(values) if KEY_COLUMN in values else before
            return RowChange(frame.table, UPDATE, key, before if before != key else None, values)
        if isinstance(frame, _Insert):
            values = _values(frame.columns, listed)
            return RowChange(frame.table, INSERT, _key(values), None, values)
        if isinstance(frame, _Delete):
            return RowChange(frame.table, DELETE, _identity(frame.identity), None, {})
        return Truncate(frame.table)


def options(schema: str, tables: Collection[str]) -> tuple[PluginOption, ...]:
    """Return what to ask the plugin for: the listed tables, our own messages, and every transaction's begin and end.

    `include-transaction` stays on although unrelated transactions then arrive as empty pairs: without it rows carry
    no commit position. Types and primary keys are left out, since nothing reads them and they are a third of the bytes.
    """
    if not tables:
        raise ValueError("no table is listed; an empty filter would let every table through")
    filters = ",".join(f"{_escaped(schema)}.{_escaped(table)}" for table in sorted(tables))
    return (
        PluginOption("format-version", "2"),
        PluginOption("include-transaction", "1"),
        PluginOption("include-xids", "1"),
        PluginOption("include-timestamp", "1"),
        PluginOption("include-lsn", "1"),
        PluginOption("include-types", "0"),
        PluginOption("include-pk", "0"),
        PluginOption("add-tables", filters),
        PluginOption("add-msg-prefixes", MESSAGE_PREFIX),
        # Without it (before 2.6) NaN and infinities arrive as null; rows are read again before they are sent anyway.
        PluginOption("numeric-data-types-as-string", "1", optional=True),
    )


def _escaped(name: str) -> str:
    # The filter is not SQL: quotes would be part of the name, and a comma, dot or space would end it.
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" for c in name)


def _values(columns: Iterable[_Column], listed: Collection[str]) -> dict[str, ColumnValue]:
    values: dict[str, ColumnValue] = {}
    for column in columns:
        if column.name in listed:
            # Decoding copies: a Raw that is kept would keep the whole message alive, unlisted columns included.
            value = _scalars.decode(column.value)
            values[column.name] = value if type(value) is str else _plain(value, column.value)
    return values


def _plain(value: object, raw: msgspec.Raw) -> ColumnValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return bytes(raw).decode("ascii")
    raise ValueError("neither a scalar nor null")


def _key(values: Mapping[str, ColumnValue]) -> str | None:
    key = values.get(KEY_COLUMN)
    return key if isinstance(key, str) else None


def _identity(columns: Iterable[_Column]) -> str | None:
    return _key(_values(columns, _KEY_ONLY))


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant without a zone")
    return moment.astimezone(UTC)
