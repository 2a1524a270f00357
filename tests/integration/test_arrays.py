"""Array literals, with Postgres as the reader: what goes in comes out."""

from __future__ import annotations

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state import arrays
from tests.strategies import texts

on_a_server = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_a_server
@given(st.lists(st.none() | texts | st.sampled_from(["", "NULL", "null", "{}", '"', "\\", ",", " "])))
def test_texts_are_read_back_as_they_were(mapable_dsn: str, values: list[str | None]) -> None:
    with psycopg.connect(mapable_dsn) as conn:
        assert conn.execute("select %s::text[]", (arrays.texts(values),)).fetchone() == (values,)


@on_a_server
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), st.lists(st.none() | st.binary()))
def test_numbers_and_bytes_are_read_back_as_they_were(
    mapable_dsn: str, numbers: list[int | None], blobs: list[bytes | None]
) -> None:
    with psycopg.connect(mapable_dsn) as conn:
        read = conn.execute("select %s::bigint[], %s::bytea[]", (arrays.numbers(numbers), arrays.blobs(blobs)))

        assert read.fetchone() == (numbers, blobs)
