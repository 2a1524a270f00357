"""What the rest of the product sees of the log: the changes in it and the port of whatever decodes them.

The values are msgspec structs, not dataclasses: there is one for every message of the log, and a frozen
dataclass costs about ten times as much to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from state.changes import Lsn

MESSAGE_PREFIX: Final = "mapable_cdc"
"""The prefix of our own logical messages; nobody else's are asked for or decoded."""

KEY_COLUMN: Final = "id"
"""The primary key of every mapped table."""

ColumnValue = str | bool | None
"""A column as Postgres prints it; numbers too, as their exact digits (`10.50`), so that nothing is rounded
and a plugin that quotes numbers gives the same value as one that does not. NULL is None."""


class Kind(StrEnum):
    """What happened to a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


INSERT, UPDATE, DELETE = Kind
"""The same, looked up once for every message of the log: an enum's attributes are slow."""


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The start of a committed transaction."""

    xid: int
    commit_lsn: Lsn
    committed_at: datetime


class Commit(msgspec.Struct, frozen=True, gc=False):
    """The end of a transaction. `end_lsn` is the position to acknowledge: acknowledging `commit_lsn` would bring
    the same transaction back after a reconnect."""

    xid: int
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: datetime


class RowChange(msgspec.Struct, frozen=True):
    """One changed row of a listed table, with its listed columns only.

    `key` is the row's key after the change (for a delete: the key it had). It is None only when the server did
    not send it, which happens when the table's replica identity is not its primary key: the row can't be named
    then, and the whole table must be compared. `old_key` is given only when the key itself changed.

    `values` leaves out what the server left out: an unchanged TOAST column, and everything in a delete.
    """

    table: str
    kind: Kind
    key: str | None
    old_key: str | None
    values: Mapping[str, ColumnValue]


class Truncate(msgspec.Struct, frozen=True, gc=False):
    """A listed table was emptied. `truncate a, b` gives one for each, or one that names the others in `also`."""

    table: str
    also: tuple[str, ...] = ()


class LogicalMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of ours. Transactional ones stand between Begin and Commit, the others outside of both."""

    transactional: bool
    prefix: str
    content: str


Event = Begin | Commit | RowChange | Truncate | LogicalMessage


class Decoder(Protocol):
    """Turns the payload of one message of the log into an event. Pure: no IO, no clock; made anew for each stream.

    What it may remember is what the plugin says once and then counts on: what a table looks like.
    """

    def decode(self, payload: bytes) -> Event | None:
        """Return the event, or None when it concerns nothing that was asked for.

        Events come in the order of the log. Raises MalformedFrame, which never holds any of the payload, when the
        payload is not what this decoder reads: going on would lose a change.
        """
        ...


@dataclass(frozen=True, slots=True)
class PluginOption:
    """One option of the output plugin. An optional one is left out when the server's plugin does not know it."""

    name: str
    value: str
    optional: bool = False
