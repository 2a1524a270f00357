"""A value that a person types for a field is taken in its canonical form, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.canonical import decode, encode
from sinks.mapping.entities import ENTITIES, by_name, field_of
from sinks.mapping.model import Field
from sinks.mapping.parsing import Refused
from sinks.mapping.typed import typed

FIELDS = [field for entity in ENTITIES for field in entity.fields]


def field(name: str) -> Field:
    entity, _, key = name.partition(".")
    return field_of(by_name(entity), key)


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("participant.name", "Ana", "Ana"), ("participant.name", None, None), ("participant.name", "", None),
        ("ndisplan.totalBudget", "12.5", "12.50"), ("ndisplan.totalBudget", "-0", "0.00"),
        ("ndisplan.startDate", "2026-03-31", "2026-03-31"),
        ("incident.occurredAt", "2026-03-31T09:30:00+11:00", "2026-03-30T22:30:00.000Z"),
        ("incident.occurredAt", "2026-03-30T22:30:00Z", "2026-03-30T22:30:00.000Z"),
        ("incident.ndisReported", True, True), ("incident.ndisReported", "false", False),
        ("risk.status", "MITIGATED", "MITIGATED"), ("careplan.status", "Something new", "Something new"),
    ],
)  # fmt: skip
def test_what_fits_is_taken_in_one_form(name: str, given: Any, taken: Any) -> None:
    assert typed(field(name), given) == taken


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("risk.title", None), ("risk.title", 5), ("risk.title", ["x"]), ("risk.title", "a\0b"),
        ("risk.title", "\ud800"),
        ("ndisplan.totalBudget", 12.5), ("ndisplan.totalBudget", "12.505"), ("ndisplan.totalBudget", "1e9"),
        ("ndisplan.totalBudget", "NaN"), ("ndisplan.totalBudget", "9" * 40), ("ndisplan.totalBudget", True),
        ("ndisplan.startDate", "31.3.2026"), ("ndisplan.startDate", "2026-02-30"), ("ndisplan.startDate", 20260331),
        ("incident.occurredAt", "2026-03-31T09:30:00"), ("incident.occurredAt", "2026-03-31"),
        ("incident.occurredAt", "0001-01-01T00:00:00+14:00"), ("incident.ndisReported", "perhaps"),
        ("incident.ndisReported", 1), ("risk.status", "Nonsense"), ("risk.participant", []),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(name: str, given: Any) -> None:
    assert isinstance(typed(field(name), given), Refused)


def test_a_reason_does_not_quote_what_was_typed() -> None:
    refused = typed(field("risk.status"), "Confidential")

    assert isinstance(refused, Refused)
    assert "Confidential" not in refused.reason


@given(
    st.sampled_from(FIELDS),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.datetimes().map(str),
)
def test_whatever_is_typed_is_canonical_or_refused(field: Field, given: Any) -> None:
    taken = typed(field, given)

    if not isinstance(taken, Refused):
        assert encode(field.kind, decode(field.kind, taken)) == taken
