"""What a session says to Postgres, as it passes on the wire: which statements make up the transaction it commits.

Only as much of the protocol as that takes. *PostgreSQL manual, "Frontend/Backend Protocol"*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

ACKNOWLEDGED: Final = "standby status update"
"""What stands for a statement when the stream tells the server that the log may go."""
_READS: Final = (
    "select", "show", "begin", "set ", "rollback", "discard", "deallocate", "table", "savepoint", "release", "with",
    "identify_system", "start_replication",
)
_WRITES: Final = ("insert into ", "update ", "delete from ", "pg_drop_replication_slot(", "setval(")


class Frames:
    """Cuts a stream of bytes into messages; the first that a client sends has no type, and is not given here."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, chunk: bytes) -> Iterator[bytes]:
        """Give every message that is complete by now."""
        buffer, at = self._rest + chunk, 0
        while at + 5 <= len(buffer):
            end = at + 1 + int.from_bytes(buffer[at + 1 : at + 5], "big")
            if end > len(buffer):
                break
            yield buffer[at:end]
            at = end
        self._rest = buffer[at:]


@dataclass(slots=True)
class Talk:
    """One session: give it every message of both sides, in order. A statement's values follow it, as they are sent."""

    _statements: dict[bytes, str] = field(default_factory=dict)
    _said: list[str] = field(default_factory=list)    # in the transaction so far
    _open: bool = False
    _flushed: bytes = b""

    def out(self, message: bytes) -> tuple[str, ...]:
        """Return the statements that this message of the client makes durable, nothing for most."""
        match message[:1]:
            case b"P":
                name, query, _ = message[5:].split(b"\0", 2)
                self._statements[name] = query.decode("utf-8", "replace")
                return ()
            case b"B":
                _, name, values = message[5:].split(b"\0", 2)
                return self._speaks(self._statements.get(name, ""), values.decode("latin-1"))
            case b"Q":
                return self._speaks(message[5:-1].decode("utf-8", "replace"))
            case b"d" if message[5:6] == b"r":
                # the server was told so before, or it is told anew
                flushed, self._flushed = self._flushed, message[14:22]
                return (ACKNOWLEDGED,) if message[14:22] not in (flushed, bytes(8)) else ()
        return ()

    def back(self, message: bytes) -> bool:
        """Whether this message of the server says that it is done with what it was asked."""
        if message[:1] != b"Z":
            return False
        self._open = message[5:6] != b"I"
        if not self._open:
            self._said.clear()
        return True

    def _speaks(self, query: str, values: str = "") -> tuple[str, ...]:
        words = query.strip().lower()
        if words.startswith("commit"):
            return tuple(self._said)
        if _reads(words):
            return ()
        if self._open:
            self._said.append(f"{query} {values}")
            return ()
        return (f"{query} {values}",)


def _reads(words: str) -> bool:
    return not words or (words.startswith(_READS) and not any(one in words for one in _WRITES))
