"""People paste ids as they find them: bare, dashed, or in one of Notion's many URLs."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.notion.ids import parse_id

BARE = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "f" * 32


@pytest.mark.parametrize("text", [
    BARE,
    DASHED,
    BARE.upper(),
    DASHED.upper(),
    f"  {BARE}\n",
    f"https://www.notion.so/{BARE}",
    f"https://www.notion.so/{BARE}?v={OTHER}",
    f"https://www.notion.so/{BARE}?v={OTHER}&p={OTHER}&pm=s",
    f"https://www.notion.so/mapable/Participants-{BARE}?pvs=4",
    f"https://www.notion.so/mapable/Participants-{DASHED}",
    f"https://www.notion.so/mapable/Decade-of-Deeds-{BARE}#{OTHER}",
    f"https://www.notion.so/{OTHER}/{BARE}",
    f"https://mapable.notion.site/Caf%C3%A9-{BARE}",
    f"https://app.notion.com/p/mapable/{BARE}",
    f"notion://www.notion.so/{BARE}",
    f"[Participants](https://www.notion.so/{BARE}?v={OTHER})",
    f"<https://www.notion.so/{BARE}>",
    f"collection://{DASHED}",
])  # fmt: skip
def test_an_id_is_found_in_what_people_paste(text: str) -> None:
    assert parse_id(text) == DASHED


@pytest.mark.parametrize("text", [
    "", "   ", "Participants", "https://www.notion.so/mapable/Participants", BARE[:-1], BARE + "0", DASHED[:-1],
    DASHED.replace("-", "_"), "０" * 32, f"https://www.notion.so/mapable?v={OTHER}", BARE.replace("a", "g"),
])  # fmt: skip
def test_what_holds_no_id_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits are expected") as caught:
        parse_id(text)

    assert not text.strip() or text.strip() not in str(caught.value)


@given(st.uuids())
def test_every_spelling_of_an_id_is_one_id(page: uuid.UUID) -> None:
    assert {parse_id(str(page)), parse_id(page.hex), parse_id(page.hex.upper())} == {str(page)}


@given(st.uuids())
def test_reading_an_id_again_changes_nothing(page: uuid.UUID) -> None:
    assert parse_id(parse_id(page.hex)) == parse_id(page.hex)
