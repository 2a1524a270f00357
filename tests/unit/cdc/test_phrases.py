"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cdc.operate import phrases

SYDNEY = ZoneInfo("Australia/Sydney")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536 * 1024, "1.5 MiB"), (2**50, "1024.0 TiB")],
)
def test_sizes(count: int, said: str) -> None:
    assert phrases.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "less than a second"), (1, "1 second"), (59.9, "59 seconds"), (61, "1 minute"), (7200, "2 hours"),
     (200_000, "2 days")],
)  # fmt: skip
def test_spans(seconds: float, said: str) -> None:
    assert phrases.span(seconds) == said


def test_counts() -> None:
    assert phrases.counted(1, "record") == "1 record"
    assert phrases.counted(1200, "record") == "1,200 records"
    assert phrases.counted(2, "field was", "fields were") == "2 fields were"


def test_a_time_of_today_needs_no_day_and_today_is_the_zone_s() -> None:
    now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

    assert phrases.clock(datetime(2026, 3, 1, 13, 30, tzinfo=UTC), now, SYDNEY) == "00:30:00"
    assert phrases.clock(datetime(2026, 3, 1, 12, 30, tzinfo=UTC), now, SYDNEY) == "1 March 2026, 23:30:00"
