"""Two texts side by side: what one has and the other has not is marked, and nothing is lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.operate.contrast import MOST_WORDS, Piece, contrast

texts = st.text() | st.text("ab \n.")


def own(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if piece.own]


@given(texts, texts)
def test_the_pieces_put_together_are_the_texts(one: str, other: str) -> None:
    ones, others = contrast(one, other)

    assert ("".join(piece.text for piece in ones), "".join(piece.text for piece in others)) == (one, other)


@given(texts)
def test_nothing_is_marked_in_equal_texts(text: str) -> None:
    ones, others = contrast(text, text)

    assert own(ones) == own(others) == []


def test_words_that_one_side_has_are_marked() -> None:
    ones, others = contrast("Fall on the front ramp", "Fall on the back ramp, twice")

    assert own(ones) == ["front"]
    assert own(others) == ["back", ", twice"]


def test_in_texts_with_nothing_in_common_nothing_is_marked() -> None:
    ones, others = contrast("Chair", "Plan was cancelled")

    assert own(ones) == own(others) == []


def test_texts_without_end_are_left_as_they_are() -> None:
    long = "word " * MOST_WORDS

    ones, _ = contrast(long, f"{long}more")

    assert ones == (Piece(long, own=False),)
