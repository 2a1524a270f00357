"""Options that people renamed, removed or made anew, and the labels that they go on standing for."""

from __future__ import annotations

import pytest

from sinks.mapping.entities import by_name, field_of
from sinks.notion.options import id_of, label_of, labels_of

LEVEL = field_of(by_name("risk"), "riskLevel")              # LOW, MEDIUM, HIGH, CRITICAL
STATUS = field_of(by_name("careplan"), "status")            # Active, Completed, On Hold; the column is free


def listed(**options: str) -> list[dict[str, str]]:
    return [{"id": option_id, "name": name, "color": "red"} for option_id, name in options.items()]


@pytest.mark.parametrize(
    ("options", "known", "labels"),
    [
        pytest.param({"a": "LOW"}, {}, {"a": "LOW"}, id="told by its name at first"),
        pytest.param({"a": "Niedrig"}, {"a": "LOW"}, {"a": "LOW"}, id="renamed"),
        pytest.param({}, {"a": "LOW"}, {}, id="removed"),
        pytest.param({"b": "LOW"}, {"a": "LOW"}, {"b": "LOW"}, id="made again by hand"),
        pytest.param({"b": "low"}, {}, {"b": "LOW"}, id="a write by name would choose it"),
        pytest.param({"a": "Niedrig", "b": "LOW"}, {"a": "LOW"}, {"a": "LOW"}, id="a second one is a person's own"),
        pytest.param({"a": "HIGH", "b": "LOW"}, {"a": "LOW", "b": "HIGH"}, {"a": "LOW", "b": "HIGH"}, id="swapped"),
        pytest.param({"a": "LOW", "c": "WATCHED"}, {"a": "LOW"}, {"a": "LOW"}, id="a person's own"),
    ],
)
def test_an_option_stands_for_one_label_whatever_its_name(
    options: dict[str, str], known: dict[str, str], labels: dict[str, str]
) -> None:
    assert labels_of(LEVEL, listed(**options), known) == labels


def test_of_a_free_column_only_what_pages_show_is_learned_by_name() -> None:
    assert labels_of(STATUS, listed(a="Active", b="Paus"), {}) == {"a": "Active"}
    assert label_of(STATUS, "Paused", {"Active"}) == "Paused"
    assert label_of(STATUS, "Paused", {"Paused"}) is None
    assert label_of(LEVEL, "WATCHED", {"LOW"}) is None


@pytest.mark.parametrize(
    ("value", "option_id"),
    [("Active", "a"), ("active", "a"), ("ACTIVE", "b"), ("Fresh", None)],
)
def test_a_value_finds_its_option_as_notion_would(value: str, option_id: str | None) -> None:
    assert id_of(value, {"a": "Active", "b": "ACTIVE"}) == option_id
