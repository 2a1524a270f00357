"""From frames of the log to what has to be stored of them: keys to mark, and when each row was changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cdc.reconcile.fanout import looked_up_by
from cdc.replication.frames import Frame, XLogData
from cdc.replication.port import Begin, Commit, Decoder, Kind, LogicalMessage, RowChange, Truncate
from sinks.mapable.writeback import WRITE_BACK
from sinks.mapping.entities import columns_of
from sinks.mapping.model import Entity, LookupVia
from state.changes import Key, Lsn
from state.stamping import Change, Deleted, Layout, Wrote

BULK: Final = 500
"""A transaction's keys beyond this many go behind live changes: one import must not hold up everybody's edits."""
LOOKUP_TABLES: Final = {"User": LookupVia.USER.value, "Worker": LookupVia.WORKER.value}


@dataclass(slots=True)
class Pending:
    """What was read and is not in the queue yet. `end_lsn`: what may be acknowledged once it is."""

    live: dict[Key, int | None] = field(default_factory=dict)
    bulk: dict[Key, int | None] = field(default_factory=dict)
    rows: dict[str, list[Change]] = field(default_factory=dict)     # by entity, in the order of the log
    committed: dict[Key, datetime] = field(default_factory=dict)    # the first commit that marked the key
    swept: set[str] = field(default_factory=set)
    end_lsn: Lsn | None = None
    changes: int = 0

    @property
    def keys(self) -> int:
        """How many keys are to be marked."""
        return len(self.live) + len(self.bulk)

    @property
    def size(self) -> int:
        """How much is kept: keys, or the changes of rows where some were changed often."""
        return max(self.keys, sum(map(len, self.rows.values())))


@dataclass(slots=True)
class _Transaction:
    xid: int
    lsn: Lsn
    at: datetime
    ours: bool = False      # it writes back what people did in Notion
    rows: int = 0


class Gathering:
    """Turns frames into what has to be marked. Pure but for its memory of the transaction it is in."""

    def __init__(self, decoder: Decoder, entities: Sequence[Entity]) -> None:
        self._decoder = decoder
        # for each table what its rows are to us, and how what is known of them is kept: of a looked-up row nothing is
        self._kinds: dict[str, tuple[tuple[str, Layout | None], ...]] = {
            table: ((kind, None),) for table, kind in LOOKUP_TABLES.items()
        }
        self._swept_by: dict[str, frozenset[str]] = {
            table: frozenset(entity.name for entity, _ in looked_up_by(kind, entities))
            for table, kind in LOOKUP_TABLES.items()
        }
        for entity in entities:
            kind = (entity.name, Layout.of(columns_of(entity)))
            self._kinds[entity.table] = (kind, *self._kinds.get(entity.table, ()))
            self._swept_by[entity.table] = self._swept_by.get(entity.table, frozenset()) | {entity.name}
        self._transaction: _Transaction | None = None
        self.pending = Pending()

    def take(self, frame: Frame) -> None:
        """Add one frame to what is pending."""
        if not isinstance(frame, XLogData):
            # between transactions everything before this position has been received, and is pending or durable
            if self._transaction is None:
                self._ends_at(frame.wal_end)
            return
        match self._decoder.decode(frame.payload):
            case RowChange() as change:
                self._row(change)
            case Begin(xid=xid, commit_lsn=lsn, committed_at=at):
                self._transaction = _Transaction(xid, lsn, at)
            case Commit(end_lsn=end_lsn):
                self._transaction = None
                self._ends_at(end_lsn)
            case Truncate(table=table, also=also):
                for emptied in (table, *also):
                    self.sweep(emptied)
            case LogicalMessage(transactional=True, content=content) if content == WRITE_BACK:
                self._is_ours()
            case _:
                pass

    def sweep(self, table: str) -> None:
        """Every row and link that shows something of the table has to be compared: which rows changed was not said."""
        self.pending.swept |= self._swept_by.get(table, frozenset())

    def swap(self) -> Pending:
        """Return what is pending and start anew."""
        taken, self.pending = self.pending, Pending()
        return taken

    def _is_ours(self) -> None:
        # it has to come first: what an application changed before is not ours
        if self._transaction is not None and self._transaction.rows == 0:
            self._transaction.ours = True

    def _row(self, change: RowChange) -> None:
        self.pending.changes += 1
        if change.key is None:
            self.sweep(change.table)
            return
        transaction = self._transaction
        if transaction is not None:
            transaction.rows += 1
        for kind, layout in self._kinds.get(change.table, ()):
            key = Key(kind, change.key)
            self._mark(key)
            if change.old_key is not None:
                self._mark(Key(kind, change.old_key))
            if layout is not None and transaction is not None:
                self._stamp(kind, layout, change.key, change, transaction)
                if not transaction.ours:
                    self.pending.committed.setdefault(key, transaction.at)

    def _mark(self, key: Key) -> None:
        pending, transaction = self.pending, self._transaction
        xid = transaction.xid if transaction is not None else None
        if transaction is not None and transaction.rows > BULK and key not in pending.live:
            pending.bulk[key] = xid
        else:
            pending.live[key] = xid
            pending.bulk.pop(key, None)

    def _stamp(
        self, entity: str, layout: Layout, key: str, change: RowChange, transaction: _Transaction
    ) -> None:
        rows = self.pending.rows.setdefault(entity, [])
        at, lsn = transaction.at, transaction.lsn
        if change.kind is Kind.DELETE:
            rows.append(Deleted(key, at, lsn))
            return
        if change.old_key is not None:
            rows.append(Deleted(change.old_key, at, lsn))
        new = change.kind is Kind.INSERT or change.old_key is not None
        rows.append(Wrote(key, layout.hashes(change.values), at, lsn, new, transaction.ours))

    def _ends_at(self, lsn: Lsn) -> None:
        if self.pending.end_lsn is None or lsn > self.pending.end_lsn:
            self.pending.end_lsn = lsn


def tables(entities: Sequence[Entity]) -> Mapping[str, frozenset[str]]:
    """Return the tables to be streamed and the columns decoded of each: of lookups keys only, they are read again."""
    columns = {table: frozenset({"id"}) for table in LOOKUP_TABLES}
    return columns | {entity.table: frozenset(columns_of(entity)) for entity in entities}
