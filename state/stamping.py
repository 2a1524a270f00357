"""When MapAble last changed a row's mapped columns: the rule, without the tables.

The columns are compared as hashes of the text that Postgres prints for them, so that no value is kept, and SQL can say
the same of a row (`sinks.mapable.rows`). A column that the log leaves out is one that did not change. Where it can't be
told whether a commit changed a column, it counts as changed: being wrong lets MapAble win a conflict, never lose one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from state.changes import ABSENT, Absent

KEY: Final = "id"
SIZE: Final = 4
UNKNOWN: Final = bytes(SIZE)
"""The hash of a column that was in no change yet."""
NULL: Final = b"null"
TIME_SIZE: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Text = str | bool | None
"""A column as Postgres prints it; NULL is None."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns a row's hashes are of, in order, behind a tag: hashes of another mapping are never compared."""

    columns: tuple[str, ...]
    tag: bytes

    @classmethod
    def of(cls, columns: Sequence[str]) -> Layout:
        """Return the layout for these columns; the key is none of them, since it names the row."""
        hashed = tuple(column for column in columns if column != KEY)
        return cls(hashed, hash_of("\0".join(hashed)))

    def hashes(self, values: Mapping[str, Text]) -> bytes:
        """Return the hashes of a row of which `values` are known."""
        hashes = [self.tag]
        for column in self.columns:
            value = values.get(column, ABSENT)
            # a text is what nearly all are: not worth a call
            hashes.append(sha256(value.encode()).digest()[:SIZE] if type(value) is str else hash_of(value))
        return b"".join(hashes)


class Wrote(NamedTuple):
    """A commit at `at` left the row like this. `new`: it was not there before. `ours`: we wrote it back ourselves."""

    system_id: str
    hashes: bytes
    at: datetime
    lsn: int
    new: bool = False
    ours: bool = False


class Deleted(NamedTuple):
    """A commit at `at` took the row away."""

    system_id: str
    at: datetime
    lsn: int


Change = Wrote | Deleted


class Known(NamedTuple):
    """What is kept of a row, see 004_stamps.sql."""

    hashes: bytes = b""
    changed_at: datetime | None = None
    column_times: bytes | None = None
    deleted_at: datetime | None = None
    seeded_lsn: int | None = None


def hash_of(value: Text | Absent) -> bytes:
    """Return what is kept of a column's value. NULL is not the empty text."""
    if isinstance(value, str):
        return sha256(value.encode()).digest()[:SIZE]
    if value is None:
        return NULL
    if value is ABSENT:
        return UNKNOWN
    return hash_of("true" if value else "false")


def after(known: Known | None, change: Change, *, per_column: bool) -> Known:
    """Return what is known of a row after a change of it; `known` itself when no mapped column changed."""
    if isinstance(change, Deleted):
        return Known(deleted_at=change.at)
    read_later = False
    if known is None or change.new or known.hashes[:SIZE] != change.hashes[:SIZE]:
        # nothing to compare with: whatever is there may be what this commit wrote
        known, hashes, before = Known(), change.hashes, None
    else:
        hashes = _merged(known.hashes, change.hashes)
        # what was read after this commit can't tell what it changed
        read_later = known.seeded_lsn is not None and change.lsn <= known.seeded_lsn
        if hashes == known.hashes and not read_later:
            return known
        before = None if read_later else known.hashes
    seeded_lsn = known.seeded_lsn if read_later else None
    if change.ours:
        return Known(hashes, known.changed_at, known.column_times, None, seeded_lsn)
    # times that are not kept from change to change would be taken for the last ones later
    times = _moved(known.column_times, change, before) if per_column else None
    return Known(hashes, change.at, times, None, seeded_lsn)


def times_of(layout: Layout, known: Known) -> Mapping[str, datetime]:
    """Return when each column changed last, as far as that is known."""
    packed = known.column_times
    if packed is None or known.hashes[:SIZE] != layout.tag:
        return {}
    places = range(0, len(packed), TIME_SIZE)
    times_us = (int.from_bytes(packed[at : at + TIME_SIZE], signed=True) for at in places)
    return {
        column: _EPOCH + time_us * _MICROSECOND
        for column, time_us in zip(layout.columns, times_us, strict=True)
        if time_us
    }


def _merged(before: bytes, now: bytes) -> bytes:
    """Return `now`, and `before` where `now` says nothing."""
    if UNKNOWN not in now:
        return now
    slots = (slice(at, at + SIZE) for at in range(0, len(now), SIZE))
    return b"".join(before[slot] if now[slot] == UNKNOWN else now[slot] for slot in slots)


def _moved(times: bytes | None, change: Wrote, before: bytes | None) -> bytes:
    """Return the columns' times, moved where the change says something, and something else than `before`."""
    moved = bytearray(times or bytes(TIME_SIZE * (len(change.hashes) // SIZE - 1)))
    time = ((change.at - _EPOCH) // _MICROSECOND).to_bytes(TIME_SIZE, signed=True)
    for slot in range(SIZE, len(change.hashes), SIZE):
        now = change.hashes[slot : slot + SIZE]
        if now != UNKNOWN and (before is None or now != before[slot : slot + SIZE]):
            place = (slot // SIZE - 1) * TIME_SIZE
            moved[place : place + TIME_SIZE] = time
    return bytes(moved)
