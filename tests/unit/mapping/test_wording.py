"""What people are told about their edits: the sentences, word for word, and the values in them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from sinks.mapping import wording
from sinks.mapping.canonical import encode
from sinks.mapping.entities import by_name, field_of
from sinks.mapping.model import Field
from sinks.mapping.text import units
from state.changes import ABSENT
from state.merge import Json
from state.threeway import Theirs, Unknown
from tests.strategies import texts

SYDNEY = ZoneInfo("Australia/Sydney")
NAME = field_of(by_name("participant"), "name")
EMAIL = field_of(by_name("participant"), "email")
STATUS = field_of(by_name("ndisplan"), "status")
TOTAL = field_of(by_name("ndisplan"), "totalBudget")
START = field_of(by_name("ndisplan"), "startDate")
PARTICIPANT = field_of(by_name("ndisplan"), "participant")
OCCURRED = field_of(by_name("incident"), "occurredAt")
REPORTED = field_of(by_name("incident"), "ndisReported")
DESCRIPTION = field_of(by_name("incident"), "description")


@pytest.mark.parametrize(("field", "value", "text"), [
    (NAME, "Ann", "“Ann”"),
    (NAME, None, "empty"),
    (EMAIL, "ann@example.org", "“ann@example.org”"),
    (STATUS, "ACTIVE", "“ACTIVE”"),
    (STATUS, None, "empty"),
    (TOTAL, "1234.50", "$1,234.50"),
    (TOTAL, "0.00", "$0.00"),
    (TOTAL, "-5.00", "-$5.00"),
    (TOTAL, "1.005", "$1.005"),
    (TOTAL, "1E+20", "$100,000,000,000,000,000,000.00"),
    (TOTAL, None, "empty"),
    (START, "2026-03-03", "3 March 2026"),
    (START, "0999-12-31", "31 December 999"),
    (START, None, "empty"),
    (OCCURRED, "2026-03-03T03:05:00.000Z", "3 March 2026, 2:05 pm"),
    (OCCURRED, "2026-07-01T14:00:31.000Z", "2 July 2026, 12:00:31 am"),
    (OCCURRED, "9999-12-31T23:00:00.000Z", "31 December 9999, 11:00 pm"),
    (OCCURRED, None, "empty"),
    (REPORTED, True, "ticked"),
    (REPORTED, False, "not ticked"),
    (PARTICIPANT, ["11111111-1111-4111-8111-111111111111"], "another record"),
    (PARTICIPANT, [], "no record"),
    (NAME, ABSENT, "nothing"),
    (NAME, Unknown.INVALID, "something that MapAble can't read"),
    (DESCRIPTION, "x" * 601, f"“{'x' * 600}… [1 more characters]”"),
])  # fmt: skip
def test_values_are_shown_as_people_write_them(field: Field, value: Theirs, text: str) -> None:
    assert wording.shown(field, value, SYDNEY) == text


@pytest.mark.parametrize(("said", "text"), [
    (
        wording.put_back(STATUS, "Status can only be one of: DRAFT, ACTIVE.", "Done", "ACTIVE", SYDNEY),
        "Status can only be one of: DRAFT, ACTIVE. What was typed here, “Done”, was not saved; Status shows “ACTIVE” "
        "again.",
    ),
    (
        wording.put_back(TOTAL, "Total Budget can't be empty in MapAble.", None, "1234.50", SYDNEY),
        "Total Budget can't be empty in MapAble. What was typed here, empty, was not saved; Total Budget shows "
        "$1,234.50 again.",
    ),
    (
        wording.app_owned(EMAIL, "new@example.org", "ann@example.org", SYDNEY),
        "Email comes from MapAble and can only be changed there. What was typed here, “new@example.org”, was not saved;"
        " Email shows “ann@example.org” again.",
    ),
    (
        wording.notion_lost(DESCRIPTION, "Fell in the kitchen", "Fell", SYDNEY),
        "Description was changed here and in MapAble at about the same time, and MapAble's value was kept: “Fell”. The "
        "value typed here was “Fell in the kitchen”. If that one is right, please type it again.",
    ),
    (
        wording.frozen(TOTAL, "100.00", "200.00", SYDNEY),
        "Total Budget was changed here and in MapAble, to different values, so a person has to decide. Here it is "
        "$100.00; in MapAble it is $200.00. Neither is changed until then. To keep MapAble's value, type it here; to "
        "keep this one, enter it in MapAble. As soon as both are the same, this is settled.",
    ),
    (
        wording.frozen(REPORTED, True, False, SYDNEY, ping_pong=True),
        "NDIS Reported keeps being changed back and forth between here and MapAble, so a person has to decide. Here it "
        "is ticked; in MapAble it is not ticked. Neither is changed until then. To keep MapAble's value, type it here; "
        "to keep this one, enter it in MapAble. As soon as both are the same, this is settled.",
    ),
    (
        wording.crossed(NAME, "Ann B.", "Ann", SYDNEY),
        "Somebody edited Name here at the moment when MapAble's change arrived, so that edit may be lost. Name now "
        "shows “Ann B.”; the last value seen here before was “Ann”. If your edit is missing, please type it again.",
    ),
])  # fmt: skip
def test_what_is_said(said: str, text: str) -> None:
    assert said == text


@given(texts, texts)
def test_two_quotes_fit_into_one_comment(one: str, other: str) -> None:
    typed, kept = _canonical(DESCRIPTION, one * 50), _canonical(DESCRIPTION, other * 50)

    said = wording.frozen(DESCRIPTION, typed, kept, SYDNEY, ping_pong=True)

    assert units(said) <= 2000


@given(texts)
def test_a_text_that_is_cut_fits_and_never_splits_a_character(text: str) -> None:
    cut = wording.fitted(text, 7)

    assert units(cut) <= 7
    assert cut == text or text.startswith(cut[:-1])
    assert not any("\ud800" <= character <= "\udfff" for character in cut)


def _canonical(field: Field, text: str) -> Json:
    return encode(field.kind, text)
