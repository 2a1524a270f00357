"""Where two texts differ, word by word, for eyes that have to find it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
MOST_WORDS: Final = 500
"""Comparing takes time that grows with the square; longer texts are shown as they are."""
ALIKE: Final = 0.4
"""Of texts that have less in common nearly every word would be marked, which helps nobody."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. `own`: the other text does not have it here."""

    text: str
    own: bool


def contrast(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return both texts in pieces, which put together are the texts."""
    ones, others = _WORDS.findall(one), _WORDS.findall(other)
    if max(len(ones), len(others)) > MOST_WORDS:
        return (Piece(one, own=False),), (Piece(other, own=False),)
    matcher = SequenceMatcher(None, ones, others, autojunk=False)
    if matcher.ratio() < ALIKE:
        return (Piece(one, own=False),), (Piece(other, own=False),)
    codes = matcher.get_opcodes()
    return (
        _pieces(ones, [(tag, start, end) for tag, start, end, _, _ in codes]),
        _pieces(others, [(tag, start, end) for tag, _, _, start, end in codes]),
    )


def _pieces(words: Sequence[str], parts: Sequence[tuple[str, int, int]]) -> tuple[Piece, ...]:
    return tuple(
        Piece("".join(words[start:end]), own=tag != "equal") for tag, start, end in parts if end > start
    )
