"""Canonical values in the sidecar: one JSON form for equal values, different forms for different ones."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.mapping.canonical import Canonical, JsonScalar, decode, encode
from sinks.mapping.model import Kind
from tests.strategies import canonical, naive_utc

kinds = st.sampled_from(Kind)
valued = kinds.flatmap(lambda kind: st.tuples(st.just(kind), canonical(kind)))
pairs = kinds.flatmap(lambda kind: st.tuples(st.just(kind), canonical(kind), canonical(kind)))


@given(valued)
def test_decoding_gives_back_what_was_encoded_even_through_json(case: tuple[Kind, Canonical]) -> None:
    kind, value = case

    decoded = decode(kind, json.loads(json.dumps(encode(kind, value))))

    assert decoded == value
    assert type(decoded) is type(value)


@given(pairs)
def test_forms_are_equal_exactly_when_values_are(case: tuple[Kind, Canonical, Canonical]) -> None:
    kind, one, other = case

    assert (encode(kind, one) == encode(kind, other)) is (one == other)


@pytest.mark.parametrize("text", ["1", "1.0", "1.00", "1E0", "100E-2"])
def test_amounts_are_equal_however_they_are_written(text: str) -> None:
    assert encode(Kind.MONEY, Decimal(text)) == "1.00"


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_an_amount_that_people_typed_too_fine_or_too_large_is_kept_as_typed(amount: Decimal) -> None:
    assert decode(Kind.MONEY, encode(Kind.MONEY, amount)) == amount


def test_minus_zero_is_zero() -> None:
    assert encode(Kind.MONEY, Decimal("-0.00")) == encode(Kind.MONEY, Decimal(0)) == "0.00"


def test_whole_numbers_of_many_digits_stay_apart() -> None:
    assert encode(Kind.MONEY, Decimal(10**40 + 1)) != encode(Kind.MONEY, Decimal(10**40))


@given(canonical(Kind.MOMENT), st.integers(-14 * 60, 14 * 60))
def test_an_instant_has_one_form_in_every_offset(moment: Canonical, minutes: int) -> None:
    if not isinstance(moment, datetime):
        return
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))

    assert encode(Kind.MOMENT, elsewhere) == encode(Kind.MOMENT, moment)


def test_relations_are_sorted_and_named_once() -> None:
    assert encode(Kind.RELATION, ("b", "a", "b")) == ["a", "b"]
    assert encode(Kind.RELATION, ()) == encode(Kind.RELATION, None) == []


def test_no_text_and_empty_text_are_the_same_empty() -> None:
    assert encode(Kind.TEXT, "") is encode(Kind.TEXT, None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.DAY, naive_utc("2026-05-01")),
        (Kind.MOMENT, date(2026, 5, 1)),
        (Kind.MOMENT, naive_utc("2026-05-01")),
        (Kind.MONEY, True),
        (Kind.CHECKBOX, Decimal(1)),
        (Kind.CHECKBOX, "true"),
        (Kind.TEXT, True),
        (Kind.TEXT, ("a",)),
        (Kind.RELATION, "a page"),
    ],
)
def test_a_value_of_another_kind_is_an_error_that_does_not_tell_it(kind: Kind, value: Canonical) -> None:
    with pytest.raises(TypeError) as raised:
        encode(kind, value)

    assert str(value) not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "encoded"), [(Kind.RELATION, None), (Kind.RELATION, "a"), (Kind.CHECKBOX, "true"), (Kind.TEXT, ["a"])]
)
def test_a_form_that_encode_never_makes_is_an_error(kind: Kind, encoded: JsonScalar) -> None:
    with pytest.raises(TypeError):
        decode(kind, encoded)
