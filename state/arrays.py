"""Arrays of thousands of values as one text that Postgres reads: psycopg adapts lists item by item, which takes longer
than the statements that they are for.
"""

from __future__ import annotations

from collections.abc import Iterable


def texts(values: Iterable[str | None]) -> str:
    """Return the literal of a text array (or of whatever Postgres reads from such texts)."""
    items = list(values)
    given = [value for value in items if value is not None]
    if given and len(given) == len(items):
        joined = '","'.join(given)
        # what ids and times are made of needs no escape, and to see that for all of them at once is soon done
        if "\\" not in joined and joined.count('"') == 2 * (len(given) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in items]) + "}"


def numbers(values: Iterable[int | None]) -> str:
    """Return the literal of an array of whole numbers."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def blobs(values: Iterable[bytes | None]) -> str:
    """Return the literal of a bytea array."""
    return "{" + ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
