"""Documents in memory, written through to SQLite when a file is given, so that a kill -9 loses no answered request.

Documents are never changed in place: a writer puts a new one. That is what lets a lagging query show an older version.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.errors import Json

KINDS = ("meta", "user", "database", "data_source", "page", "block", "comment", "view", "subscription")


@dataclass(frozen=True, slots=True)
class Change:
    """One document's step from `before` to `after`; None means that it did not or does not exist.

    The hook for everything that listens: query lag, the search index, webhooks.
    """

    kind: str
    object_id: str
    before: Json | None
    after: Json | None
    by: str | None = None
    """Whose act it was; None when it was nobody's: what follows from another change, sharing, purging."""


class Store:
    """Documents by kind and id, with an index from parent to children."""

    def __init__(self, path: Path | None = None) -> None:
        self._documents: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        self._children: dict[str, dict[tuple[str, str], None]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._database: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("pragma journal_mode = wal")
        # off: survives the death of this process (the operating system has the bytes), not of the machine
        self._database.execute("pragma synchronous = off")
        self._database.execute(
            "create table if not exists document (kind text, id text, body text not null, primary key (kind, id))"
        )
        for kind, object_id, body in self._database.execute("select kind, id, body from document order by rowid"):
            self._remember(kind, object_id, json.loads(body))

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after every change of a document."""
        self._listeners.append(listener)

    def get(self, kind: str, object_id: str) -> Json | None:
        """Return the document, or None. Treat it as frozen."""
        return self._documents[kind].get(object_id)

    def all(self, kind: str) -> Mapping[str, Json]:
        """Return every document of a kind, in order of creation."""
        return self._documents[kind]

    def children(self, parent_id: str) -> Iterator[tuple[str, str]]:
        """Yield (kind, id) of the direct children, in order of arrival."""
        yield from list(self._children.get(parent_id, ()))

    def count_children(self, parent_id: str) -> int:
        """Return how many direct children there are."""
        return len(self._children.get(parent_id, ()))

    def put(self, kind: str, object_id: str, document: Json, by: str | None = None) -> None:
        """Store a document; visible at once, on disk with the next commit. `by`: see Change."""
        before = self._documents[kind].get(object_id)
        self._remember(kind, object_id, document)
        if self._database is not None:
            self._database.execute(
                "insert into document (kind, id, body) values (?, ?, ?) "
                "on conflict (kind, id) do update set body = excluded.body",
                (kind, object_id, json.dumps(document)),
            )
        self._announce(Change(kind, object_id, before, document, by))

    def delete(self, kind: str, object_id: str, by: str | None = None) -> None:
        """Forget a document for good."""
        before = self._documents[kind].pop(object_id)
        self._children.get(parent_of(before) or "", {}).pop((kind, object_id), None)
        if self._database is not None:
            self._database.execute("delete from document where kind = ? and id = ?", (kind, object_id))
        self._announce(Change(kind, object_id, before, None, by))

    def clear(self) -> None:
        """Forget everything."""
        for kind in KINDS:
            self._documents[kind].clear()
        self._children.clear()
        if self._database is not None:
            self._database.execute("delete from document")

    def commit(self) -> None:
        """Write what was put since the last commit, all or nothing."""
        if self._database is not None and self._database.in_transaction:
            self._database.commit()

    def close(self) -> None:
        """Commit and let go of the file."""
        if self._database is not None:
            self.commit()
            self._database.close()
            self._database = None

    def _remember(self, kind: str, object_id: str, document: Json) -> None:
        before = self._documents[kind].get(object_id)
        parent_id = parent_of(document)
        if before is not None and (old_parent_id := parent_of(before)) != parent_id:
            self._children.get(old_parent_id or "", {}).pop((kind, object_id), None)
        self._documents[kind][object_id] = document
        if parent_id is not None:
            self._children.setdefault(parent_id, {})[(kind, object_id)] = None

    def _announce(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)


def parent_of(document: Json) -> str | None:
    """Return the id of the document that this one lives in, or None at the top."""
    parent = document.get("parent")
    if not parent or parent["type"] == "workspace":
        return None
    return str(parent[parent["type"]])
