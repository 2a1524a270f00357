"""What people can do to a database, and what follows from it: by table, no Notion and no sidecar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.mapping.entities import by_name
from sinks.notion.drift import Drift, found, restored_now, was_restored, with_missing
from state.settings import DataSource

RISK = by_name("risk")
TARGETS = {"participant": "people-source", "risk": "risk-source"}
LEVELS = {f"l{n}": label for n, label in enumerate(("LOW", "MEDIUM", "HIGH", "CRITICAL"))}
STATUSES = {f"s{n}": name for n, name in enumerate(("IDENTIFIED", "ASSESSED", "MITIGATED", "MONITORED", "CLOSED"))}
SOURCE = DataSource(
    "risk", "risk-database", "risk-source",
    {"title": "title", "participant": "pa", "riskLevel": "le", "status": "st", "category": "ca", "systemId": "sy"},
    options={"riskLevel": LEVELS, "status": STATUSES},
)
Properties = dict[str, dict[str, Any]]
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


def select(property_id: str, labels: Mapping[str, str]) -> dict[str, Any]:
    options = [{"id": option_id, "name": label, "color": "red"} for option_id, label in labels.items()]
    return {"id": property_id, "type": "select", "select": {"options": options}}


def as_set_up() -> Properties:
    """Return the properties by name as setup leaves them."""
    properties: Properties = {
        "Title": {"id": "title", "type": "title", "title": {}},
        "Participant": {"id": "pa", "type": "relation", "relation": {"data_source_id": "people-source"}},
        "Risk Level": select("le", LEVELS),
        "Status": select("st", STATUSES),
        "Category": {"id": "ca", "type": "rich_text", "rich_text": {}},
        "System ID": {"id": "sy", "type": "rich_text", "rich_text": {}},
    }
    return properties


def after(act: Callable[[Properties], object], source: DataSource = SOURCE) -> Drift:
    """Return what is found after a person did `act` to the properties."""
    properties = as_set_up()
    act(properties)
    named = {name: {**prop, "name": name} for name, prop in properties.items()}
    return found(RISK, {"id": "risk-source", "properties": named}, source, TARGETS)


def renamed(name: str, new: str) -> Callable[[Properties], None]:
    def act(properties: Properties) -> None:
        properties[new] = properties.pop(name)

    return act


def retyped(name: str, kind: str) -> Callable[[Properties], None]:
    def act(properties: Properties) -> None:
        properties[name] = {"id": properties[name]["id"], "type": kind, kind: {}}

    return act


def with_options(name: str, **options: str) -> Callable[[Properties], None]:
    def act(properties: Properties) -> None:
        properties[name] = select(properties[name]["id"], options)

    return act


def nothing(_: Properties) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(nothing, id="nothing"),
        pytest.param(renamed("Category", "Kind of risk"), id="a property renamed"),
        pytest.param(renamed("Title", "Name"), id="the title renamed"),
        pytest.param(
            lambda properties: properties.update(Score={"id": "sc", "type": "number", "number": {}}), id="one added"
        ),
        pytest.param(
            with_options("Risk Level", l0="Niedrig", l1="MEDIUM", l2="HIGH", l3="CRITICAL"), id="an option renamed"
        ),
        pytest.param(
            with_options("Risk Level", **LEVELS, own="WATCHED"), id="an option of a person's own"
        ),
    ],
)
def test_what_needs_nothing(act: Callable[[Properties], object]) -> None:
    drift = after(act)

    assert not drift.moved(SOURCE)
    assert not drift.missing


@pytest.mark.parametrize(
    ("act", "field", "reason"),
    [
        (lambda properties: properties.pop("Category"), "category", "Category of Risks was removed"),
        (lambda properties: properties.pop("Participant"), "participant", "points at is not shared"),
        (retyped("Category", "number"), "category", "has the type number in Notion, but Category needs rich_text"),
        (retyped("Risk Level", "rich_text"), "riskLevel", "needs select"),
        (
            lambda properties: properties["Participant"].update(relation={"data_source_id": "another"}),
            "participant", "points at another database than the one of participant",
        ),
        (
            with_options("Risk Level", l0="HIGH", l1="MEDIUM", l3="CRITICAL"),
            "riskLevel", "HIGH of Risk Level in Risks was removed, and the one that stands for LOW has its name",
        ),
    ],
)
def test_what_pauses_its_field_and_no_other(act: Callable[[Properties], object], field: str, reason: str) -> None:
    drift = after(act)

    assert drift.paused.keys() == {field}
    assert reason in drift.paused[field]
    assert drift.properties == SOURCE.properties
    assert drift.back == frozenset()
    assert not drift.missing


def test_a_property_of_the_same_name_and_type_is_taken_for_the_one_that_went() -> None:
    drift = after(lambda properties: properties["Category"].update(id="new"))

    assert drift.properties["category"] == "new"
    assert drift.back == {"category"}
    assert drift.paused == {}


def test_a_property_that_serves_another_field_is_not_taken_for_one_that_went() -> None:
    def act(properties: Properties) -> None:
        del properties["Category"]
        properties["Category"] = properties.pop("System ID")

    drift = after(act)

    assert drift.paused.keys() == {"category"}
    assert drift.properties == SOURCE.properties


def test_a_paused_field_that_is_usable_again_is_back() -> None:
    drift = after(nothing, replace(SOURCE, paused={"category": "it went"}))

    assert drift.back == {"category"}
    assert drift.paused == {}


def test_a_removed_option_has_to_be_put_back_and_its_pages_show_nothing() -> None:
    drift = after(with_options("Risk Level", l0="LOW", l1="MEDIUM", l3="CRITICAL", own="WATCHED"))

    assert drift.missing == {"riskLevel": ("HIGH",)}
    assert drift.gone == {"riskLevel": ("HIGH",)}
    assert drift.options["riskLevel"] == {"l0": "LOW", "l1": "MEDIUM", "l3": "CRITICAL"}


def test_an_option_made_again_by_hand_is_known_by_its_new_id() -> None:
    drift = after(with_options("Risk Level", l0="LOW", l1="MEDIUM", new="HIGH", l3="CRITICAL"))

    assert drift.missing == {}
    assert drift.gone == {"riskLevel": ("HIGH",)}
    assert drift.options["riskLevel"]["new"] == "HIGH"


def test_the_options_of_a_select_that_was_retyped_and_back_are_not_taken_for_removed() -> None:
    source = replace(SOURCE, paused={"riskLevel": "it was a text"})

    drift = after(with_options("Risk Level", n0="LOW", n1="CRITICAL"), source)

    assert drift.back == {"riskLevel"}
    assert drift.gone == {}
    assert drift.missing == {"riskLevel": ("MEDIUM", "HIGH")}


def test_people_s_options_stay_in_the_list_that_puts_ours_back() -> None:
    prop = select("le", {"l0": "Niedrig", "own": "WATCHED"})

    listed = with_missing(prop, ("HIGH",))

    assert listed is not None
    assert listed[:2] == [{"id": "l0", "name": "Niedrig"}, {"id": "own", "name": "WATCHED"}]
    assert [option["name"] for option in listed[2:]] == ["HIGH"]
    assert "id" not in listed[2]


def test_a_list_longer_than_a_request_may_be_is_not_sent() -> None:
    assert with_missing(select("le", {str(n): f"own {n}" for n in range(100)}), ("HIGH",)) is None


def test_an_option_counts_as_restored_for_a_while() -> None:
    drift = after(with_options("Risk Level", l0="LOW", l1="MEDIUM", l3="CRITICAL"))
    before = replace(SOURCE, restored={"status": {"CLOSED": (NOW - timedelta(days=9)).isoformat()}})

    source = replace(before, restored=restored_now(before, drift, NOW))

    assert source.restored.keys() == {"riskLevel"}
    assert was_restored(source, "riskLevel", "HIGH", NOW + timedelta(hours=30))
    assert not was_restored(source, "riskLevel", "HIGH", NOW + timedelta(hours=49))
    assert not was_restored(source, "riskLevel", "LOW", NOW)
    assert not was_restored(source, "status", "CLOSED", NOW)
