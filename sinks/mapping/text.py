"""Text within Notion's limits: counted in UTF-16 units and in JSON bytes, split into items, cut when too long."""

from __future__ import annotations

import json
import re
from typing import Final

ITEM_UNITS: Final = 2_000
MAX_ITEMS: Final = 100

_MARKER: Final = re.compile(r"… \[\d+ more characters in MapAble\]")
_WIDEST_ESCAPE_BYTES: Final = 6
_LEAST_ITEM_UNITS: Final = ITEM_UNITS - 1  # a surrogate pair at the edge moves to the next item


def units(text: str) -> int:
    """Return the length as Notion counts it: in UTF-16 code units."""
    return len(_utf16(text)) // 2


def items(text: str) -> tuple[str, ...]:
    """Return the text in pieces that fit one rich-text item each, never splitting a surrogate pair."""
    encoded = _utf16(text)
    pieces = []
    start = 0
    while start < len(encoded):
        end = min(start + 2 * ITEM_UNITS, len(encoded))
        # Little-endian: the second byte of the last unit tells whether it opens a pair.
        if end < len(encoded) and 0xD8 <= encoded[end - 1] <= 0xDB:
            end -= 2
        pieces.append(encoded[start:end].decode("utf-16-le", "surrogatepass"))
        start = end
    return tuple(pieces)


def cut(text: str, room_bytes: int) -> tuple[str, bool]:
    """Return the text as one property can show it, and whether it had to be cut.

    `room_bytes` is what it may take in a request, as UTF-8 JSON. A cut text says how many characters it lacks.
    """
    if _fits(text, room_bytes):
        return text, False
    keeps, loses = 0, len(text)
    while loses - keeps > 1:
        middle = (keeps + loses) // 2
        if _fits(_shortened(text, middle), room_bytes):
            keeps = middle
        else:
            loses = middle
    return _shortened(text, keeps), True


def has_cut_mark(text: str) -> bool:
    """Whether the text carries the mark of a cut: written back, it would destroy what the mark stands for."""
    return _MARKER.search(text) is not None


def storable(text: str) -> bool:
    """Whether a Postgres text can hold it: no U+0000, no lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _shortened(text: str, length: int) -> str:
    return f"{text[:length]}… [{len(text) - length} more characters in MapAble]"


def _fits(text: str, room_bytes: int) -> bool:
    if len(text) * _WIDEST_ESCAPE_BYTES <= room_bytes and len(text) * 2 <= _LEAST_ITEM_UNITS * MAX_ITEMS:
        return True
    if len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2 > room_bytes:
        return False
    return units(text) <= _LEAST_ITEM_UNITS * MAX_ITEMS or len(items(text)) <= MAX_ITEMS


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
