"""Days written back: the stored instant moves so that its day in the time zone is the one that was typed.

Sydney changes its clocks on the first Sunday of April (03:00 becomes 02:00) and of October (02:00 becomes 03:00).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.instants import day_of, instant, move_to_day, naive, start_of_day
from tests.strategies import SYDNEY, days, moments, recent_timestamps, zones

APRIL = date(2026, 4, 5)
OCTOBER = date(2026, 10, 4)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@given(st.none() | moments, days, zones)
def test_what_was_typed_is_what_shows(stored: datetime | None, day: date, zone: ZoneInfo) -> None:
    moved = move_to_day(stored, day, zone)

    # None: a zone at the date line skipped this day once
    assert moved is None or day_of(moved, zone) == day


@given(st.none() | recent_timestamps.map(lambda stored: stored.replace(tzinfo=UTC)), recent_timestamps)
def test_every_day_of_sydney_can_be_typed(stored: datetime | None, day: datetime) -> None:
    assert move_to_day(stored, day.date(), SYDNEY) is not None


@given(moments, zones)
def test_typing_the_day_that_shows_moves_nothing(stored: datetime, zone: ZoneInfo) -> None:
    day = day_of(stored, zone)

    assert day is not None
    assert move_to_day(stored, day, zone) == stored


@given(moments, days)
def test_in_utc_the_time_of_day_is_always_kept(stored: datetime, day: date) -> None:
    moved = move_to_day(stored, day, ZoneInfo("UTC"))

    assert moved == datetime.combine(day, stored.timetz())


@given(recent_timestamps, st.dates(date(1971, 1, 1), date(2037, 12, 31)))
def test_in_sydney_the_time_of_day_is_kept_in_utc_else_locally(naive_stored: datetime, day: date) -> None:
    stored = naive_stored.replace(tzinfo=UTC)
    moved = move_to_day(stored, day, SYDNEY)

    assert moved is not None
    kept_in_utc = moved.timetz() == stored.timetz()
    kept_locally = moved.astimezone(SYDNEY).time() == stored.astimezone(SYDNEY).time()
    hour_that_does_not_exist = moved.astimezone(SYDNEY).hour == 3 and stored.astimezone(SYDNEY).hour == 2
    assert kept_in_utc or kept_locally or hour_that_does_not_exist


@pytest.mark.parametrize("typed", [date(2026, 3, 31), APRIL, date(2026, 7, 1), OCTOBER, date(2026, 12, 31)])
def test_a_new_value_starts_at_midnight_utc(typed: date) -> None:
    assert move_to_day(None, typed, SYDNEY) == datetime(typed.year, typed.month, typed.day, tzinfo=UTC)


def test_west_of_greenwich_a_new_value_starts_at_local_midnight_because_midnight_utc_is_the_day_before() -> None:
    assert move_to_day(None, date(2026, 7, 1), ZoneInfo("America/New_York")) == at("2026-07-01T04:00:00Z")


@pytest.mark.parametrize(
    ("stored", "typed", "moved"),
    [
        # midnight in UTC is 10:00 or 11:00 in Sydney: whole days, whatever the clocks do
        ("2026-04-01T00:00:00Z", date(2026, 4, 10), "2026-04-10T00:00:00Z"),
        ("2026-09-30T00:00:00Z", date(2026, 10, 10), "2026-10-10T00:00:00Z"),
        # local midnight in summer is 13:00 UTC the day before; in winter that hour is 23:00 of the day before
        ("2026-04-03T13:00:00Z", date(2026, 4, 6), "2026-04-05T14:00:00Z"),
        # on the Sunday itself midnight is still in summer time
        ("2026-04-03T13:00:00Z", APRIL, "2026-04-04T13:00:00Z"),
        # local midnight in winter is 14:00 UTC; in summer that is 01:00, still the typed day
        ("2026-10-01T14:00:00Z", date(2026, 10, 6), "2026-10-05T14:00:00Z"),
        ("2026-10-01T14:00:00Z", OCTOBER, "2026-10-03T14:00:00Z"),
        # 23:30 in winter is 13:30 UTC; in summer that is 00:30 of the next day
        ("2026-10-01T13:30:00Z", date(2026, 10, 6), "2026-10-06T12:30:00Z"),
        ("2026-10-01T13:30:00Z", OCTOBER, "2026-10-04T12:30:00Z"),
        # 23:30 in summer is 12:30 UTC; in winter that is 22:30, still the typed day
        ("2026-04-03T12:30:00Z", date(2026, 4, 6), "2026-04-06T12:30:00Z"),
        ("2026-04-03T12:30:00Z", APRIL, "2026-04-05T12:30:00Z"),
        # 02:30 does not exist on the October Sunday; moved by whole days it is 02:30 or 03:30, on the day either way
        ("2026-10-01T16:30:00Z", OCTOBER, "2026-10-03T16:30:00Z"),
        # a leap day
        ("2028-02-27T13:00:00Z", date(2028, 2, 29), "2028-02-28T13:00:00Z"),
    ],
)
def test_days_are_written_back_across_the_change_of_clocks(stored: str, typed: date, moved: str) -> None:
    result = move_to_day(at(stored), typed, SYDNEY)

    assert result == at(moved)
    assert day_of(at(moved), SYDNEY) == typed


@pytest.mark.parametrize("change", [APRIL, OCTOBER, date(2027, 4, 4), date(2027, 10, 3)])
@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 61, 119, 120, 149, 180, 1379, 1380, 1439])
def test_every_hour_near_midnight_survives_the_change_of_clocks(change: date, minutes: int) -> None:
    for from_days, to_days in product((-30, -1, 0, 1, 30), repeat=2):
        local = datetime.combine(change + timedelta(days=from_days), datetime.min.time(), SYDNEY)
        stored = (local + timedelta(minutes=minutes)).astimezone(UTC)
        typed = change + timedelta(days=to_days)

        moved = move_to_day(stored, typed, SYDNEY)

        assert moved is not None
        assert day_of(moved, SYDNEY) == typed


def test_there_and_back_again_across_the_change_of_clocks_stays_on_the_day() -> None:
    stored = at("2026-04-03T13:00:00Z")
    there = move_to_day(stored, date(2026, 4, 6), SYDNEY)

    assert there is not None
    back = move_to_day(there, date(2026, 4, 4), SYDNEY)
    assert back is not None
    assert day_of(back, SYDNEY) == date(2026, 4, 4)


def test_a_day_that_the_zone_skipped_has_no_instant() -> None:
    # Samoa went from the 29th to the 31st of December 2011
    apia = ZoneInfo("Pacific/Apia")

    assert move_to_day(None, date(2011, 12, 30), apia) is None
    assert move_to_day(at("2011-12-01T00:00:00Z"), date(2011, 12, 30), apia) is None


def test_midnight_that_does_not_exist_is_the_first_minute_after_it() -> None:
    # Brazil began summer time at midnight: 00:00 became 01:00
    assert start_of_day(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")) == at("2018-11-04T03:00:00Z")


@pytest.mark.parametrize("day", [date.min, date.max], ids=["first", "last"])
@given(zone=zones, stored=st.none() | moments)
def test_the_ends_of_the_calendar_are_no_error(day: date, zone: ZoneInfo, stored: datetime | None) -> None:
    moved = move_to_day(stored, day, zone)

    assert moved is None or day_of(moved, zone) == day


@given(moments)
def test_an_instant_is_stored_as_naive_utc(moment: datetime) -> None:
    stored = naive(moment)

    assert stored.tzinfo is None
    assert instant(stored) == moment
