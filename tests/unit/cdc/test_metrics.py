"""What is measured of a change on its way: commit to queue, commit to Notion, what the window holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdc.metrics import NOT_THROUGH, REMEMBERED, Metrics
from sinks.notion.pacing import Budget
from state.changes import Key
from state.work import Claim


def claim(system_id: str) -> Claim:
    return Claim("risk", system_id, 1, 1, 0, 1, 1, None, datetime.now(UTC))


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_latency_counts_from_the_first_commit_that_was_not_sent() -> None:
    metrics, now = Metrics(), datetime.now(UTC)
    metrics.captured(1, 1, {Key("risk", "1"): now - timedelta(seconds=40)})
    metrics.captured(1, 1, {Key("risk", "1"): now})

    metrics.key("risk", "updated", claim("1"))

    assert value(metrics, "mapable_cdc_commit_to_notion_seconds_count", entity="risk") == 1
    assert 40 <= value(metrics, "mapable_cdc_commit_to_notion_seconds_sum", entity="risk") < 60


@pytest.mark.parametrize("outcome", sorted(NOT_THROUGH))
def test_a_key_that_goes_back_is_not_through(outcome: str) -> None:
    metrics = Metrics()
    metrics.captured(1, 1, {Key("risk", "1"): datetime.now(UTC)})

    metrics.key("risk", outcome, claim("1"))
    assert value(metrics, "mapable_cdc_commit_to_notion_seconds_count", entity="risk") == 0

    metrics.key("risk", "created", claim("1"))
    assert value(metrics, "mapable_cdc_commit_to_notion_seconds_count", entity="risk") == 1


def test_what_needed_no_request_is_no_latency_to_notion() -> None:
    metrics = Metrics()
    metrics.captured(1, 1, {Key("risk", "1"): datetime.now(UTC)})

    metrics.key("risk", "unchanged", claim("1"))
    metrics.key("risk", "updated", claim("1"))

    assert value(metrics, "mapable_cdc_commit_to_notion_seconds_count", entity="risk") == 0


def test_memory_does_not_grow_with_the_number_of_changes() -> None:
    metrics, now = Metrics(), datetime.now(UTC)

    metrics.captured(1, 1, {Key("risk", str(number)): now for number in range(REMEMBERED + 10)})
    metrics.key("risk", "updated", claim("0"))
    metrics.key("risk", "updated", claim(str(REMEMBERED)))

    assert value(metrics, "mapable_cdc_commit_to_notion_seconds_count", entity="risk") == 1


def test_a_database_whose_clock_is_ahead_makes_no_negative_time() -> None:
    metrics = Metrics()

    metrics.captured(1, 1, {Key("risk", "1"): datetime.now(UTC) + timedelta(minutes=1)})

    assert value(metrics, "mapable_cdc_capture_lag_seconds_sum") == 0


def test_every_metric_has_a_help_text_and_the_name_of_the_product() -> None:
    for family in Metrics().registry.collect():
        assert family.name.startswith("mapable_cdc_")
        assert family.documentation.endswith(".")


def test_the_window_holds_what_is_in_flight_and_what_ended_within_it() -> None:
    budget = Budget(180, window_s=60)
    for _ in range(3):
        budget.started()
    budget.finished(0.0)
    budget.finished(30.0)

    assert budget.used(59.0) == 3
    assert budget.used(61.0) == 2
