"""The decoder of pgoutput, which every Postgres has, and the options that make the plugin write what it reads.

What the server sends is what the publication lists (`cdc.replication.publication`). The decoder keeps to its own list
all the same: servers before 15 know no columns in a publication, and somebody else may alter it. Values come out as
wal2json writes them, so that what is known of a row (`state.stamping`) stays true when the plugin changes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cdc.replication import pgmessages
from cdc.replication.faults import MalformedFrame
from cdc.replication.pgmessages import NULL, TEXT, UNCHANGED, Relation, Row
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

WRITES: Final = "pgoutput with proto_version 1"

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
# Of all types the two that wal2json writes otherwise than Postgres prints them
_BOOLEAN: Final = 16
_BYTEA: Final = 17
_TRUTH: Final = {b"t": True, b"f": False}
_HEX: Final = b"\\x"


class _Table(NamedTuple):
    """A listed table as it is now: how many columns come, and which of them are decoded."""

    name: str
    width: int
    listed: tuple[tuple[int, str, int], ...]     # place, name, type
    key: tuple[tuple[int, str, int], ...]


class Decoder:
    """Decodes for the listed columns of the listed tables of one schema; the key column is always listed.

    For one stream: it remembers what the server said of tables, and which transaction is being read.
    """

    def __init__(self, tables: Mapping[str, frozenset[str]], schema: str) -> None:
        self._schema = schema
        self._listed = {table: columns | {KEY_COLUMN} for table, columns in tables.items()}
        self._tables: dict[int, _Table | None] = {}
        self._xid = 0

    def decode(self, payload: bytes) -> Event | None:
        """Return the event, or None for a table, schema or message prefix that is not ours."""
        try:
            return self._decode(payload)
        except (struct.error, ValueError, IndexError, KeyError, OverflowError):
            # Raised below, out of this block: here the error would keep the other as its context, and Python's
            # UnicodeDecodeError carries the whole payload.
            pass
        raise MalformedFrame(len(payload), WRITES)

    def _decode(self, payload: bytes) -> Event | None:
        said = pgmessages.read(payload)
        match said:
            case pgmessages.Insert(oid, new):
                table = self._tables[oid]
                if table is None:
                    return None
                values = _values(payload, new, table, table.listed)
                return RowChange(table.name, INSERT, _key(values), None, values)
            case pgmessages.Update(oid, old, new):
                table = self._tables[oid]
                return None if table is None else _updated(payload, table, old, new)
            case pgmessages.Delete(oid, old):
                table = self._tables[oid]
                if table is None:
                    return None
                return RowChange(table.name, DELETE, _key(_values(payload, old, table, table.key)), None, {})
            case pgmessages.Begin(lsn, committed_us, xid):
                self._xid = xid
                return Begin(xid, lsn, _instant(committed_us))
            case pgmessages.Commit(lsn, end_lsn, committed_us):
                return Commit(self._xid, lsn, end_lsn, _instant(committed_us))
            case pgmessages.Relation():
                self._tables[said.oid] = self._table(said)
            case pgmessages.Truncate(oids):
                emptied = tuple(table.name for table in map(self._tables.__getitem__, oids) if table is not None)
                return Truncate(emptied[0], emptied[1:]) if emptied else None
            case pgmessages.Message(transactional, prefix, content) if prefix == MESSAGE_PREFIX:
                return LogicalMessage(transactional, prefix, content.decode())
            case _:
                pass
        return None

    def _table(self, relation: Relation) -> _Table | None:
        listed = self._listed.get(relation.name) if relation.schema == self._schema else None
        if listed is None:
            return None
        columns = tuple(
            (place, column.name, column.type_oid)
            for place, column in enumerate(relation.columns)
            if column.name in listed
        )
        key = tuple(column for column in columns if column[1] == KEY_COLUMN)
        return _Table(relation.name, len(relation.columns), columns, key)


def options(publication: str) -> tuple[PluginOption, ...]:
    """Return what to ask the plugin for: what the publication lists, as text, and logical messages."""
    return (
        PluginOption("proto_version", "1"),
        PluginOption("publication_names", f'"{publication}"'),
        PluginOption("messages", "true"),
    )


def _updated(payload: bytes, table: _Table, old: Row | None, new: Row) -> RowChange:
    values = _values(payload, new, table, table.listed)
    before = _key(_values(payload, old, table, table.key)) if old is not None else None
    # A key so long that it is stored apart is left out like any other unchanged value.
    key = _key(values) if KEY_COLUMN in values else before
    return RowChange(table.name, UPDATE, key, before if before != key else None, values)


def _values(
    payload: bytes, row: Row, table: _Table, listed: tuple[tuple[int, str, int], ...]
) -> dict[str, ColumnValue]:
    if len(row) != table.width:
        raise ValueError("another number of columns than the table has")
    values: dict[str, ColumnValue] = {}
    for place, name, type_oid in listed:
        kind, start, stop = row[place]
        if kind == TEXT:
            if type_oid == _BOOLEAN:
                values[name] = _TRUTH[payload[start:stop]]
            elif type_oid == _BYTEA:
                values[name] = payload[start:stop].removeprefix(_HEX).decode()
            else:
                values[name] = payload[start:stop].decode()
        elif kind == NULL:
            values[name] = None
        elif kind != UNCHANGED:
            raise ValueError("a binary value was not asked for")
    return values


def _key(values: Mapping[str, ColumnValue]) -> str | None:
    key = values.get(KEY_COLUMN)
    return key if isinstance(key, str) else None


def _instant(since_2000_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since_2000_us)
