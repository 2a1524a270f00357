"""Texts near Notion's limits: 100 items of 2,000 UTF-16 units each, and the room of a request."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.model import LONG_TEXT_BYTES, SHORT_TEXT_BYTES
from sinks.mapping.text import cut, has_cut_mark, items, storable, units
from tests.strategies import texts

KANGAROO = "🦘"  # two UTF-16 units, four UTF-8 bytes

long_texts = st.builds(
    lambda start, pattern, times: start + pattern * times,
    texts,
    st.sampled_from(["a", KANGAROO, "é", "界", "a" + KANGAROO, '"', "\x01", "\n", "\u2028"]),
    st.integers(0, 250_000),
)


def json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


@given(texts)
def test_units_are_code_points_plus_one_for_each_beyond_the_basic_plane(text: str) -> None:
    assert units(text) == sum(2 if ord(character) > 0xFFFF else 1 for character in text)


@given(long_texts)
def test_items_join_to_the_text_and_each_fits(text: str) -> None:
    pieces = items(text)

    assert "".join(pieces) == text
    assert all(0 < units(piece) <= 2000 for piece in pieces)


def test_a_pair_at_the_edge_of_an_item_moves_to_the_next_one() -> None:
    assert [units(item) for item in items("a" + KANGAROO * 1000)] == [1999, 2]


def test_no_text_is_no_item() -> None:
    assert items("") == ()


@given(long_texts, st.sampled_from([SHORT_TEXT_BYTES, LONG_TEXT_BYTES]))
def test_a_text_is_whole_or_cut_to_fit_and_says_how_much_is_missing(text: str, room_bytes: int) -> None:
    shown, was_cut = cut(text, room_bytes)

    assert json_bytes(shown) <= room_bytes
    assert len(items(shown)) <= 100
    if not was_cut:
        assert shown == text
        return
    mark = re.search(r"… \[(\d+) more characters in MapAble\]$", shown)
    assert mark is not None
    kept = shown[: mark.start()]
    assert text.startswith(kept)
    assert len(kept) + int(mark[1]) == len(text)
    assert has_cut_mark(shown)


@given(long_texts, st.sampled_from([SHORT_TEXT_BYTES, LONG_TEXT_BYTES]))
def test_only_what_does_not_fit_is_cut(text: str, room_bytes: int) -> None:
    fits = json_bytes(text) <= room_bytes and len(items(text)) <= 100

    assert cut(text, room_bytes)[1] is not fits


@pytest.mark.parametrize(
    ("text", "room_bytes"),
    [
        ("a" * 200_000, LONG_TEXT_BYTES),
        ("a" * SHORT_TEXT_BYTES, SHORT_TEXT_BYTES),
        ("界" * 110_000, LONG_TEXT_BYTES),
        (KANGAROO * 82_500, LONG_TEXT_BYTES),
    ],
    ids=["100 full items", "a short text's room", "three bytes each", "four bytes each"],
)
def test_a_text_at_the_very_limit_is_whole_and_one_character_more_is_cut(text: str, room_bytes: int) -> None:
    assert cut(text, room_bytes) == (text, False)

    shown, was_cut = cut(text + text[0], room_bytes)
    assert was_cut
    assert len(text) - len(shown) < 5, "the cut wastes room"


def test_postgres_text_can_hold_everything_but_nul_and_lone_surrogates() -> None:
    assert storable("🦘 ok\n")
    assert not storable("a\0b")
    assert not storable("a\ud800")
    assert not storable("\udc00b")
