"""A webhook's body becomes our own event, or an error that quotes nothing of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.web.envelope import Malformed, event_in, token_in
from state.inbox import Author, Event

PAGE, DATABASE, SOURCE = (f"3f2a1c00-0000-4000-8000-00000000000{number}" for number in range(3))
BODY: dict[str, Any] = {
    "id": "e1",
    "timestamp": "2026-09-05T23:57:05.379Z",
    "workspace_name": "Acme",
    "type": "page.properties_updated",
    "authors": [{"id": "ana", "type": "person"}, {"id": "helper", "type": "agent"}],
    "accessible_by": [{"id": "ana"}],
    "attempt_number": 3,
    "entity": {"id": PAGE, "type": "page"},
    "data": {
        "parent": {"id": DATABASE, "type": "database", "data_source_id": SOURCE},
        "updated_properties": ["XGe%40", "title"],
    },
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def raw(**changes: Any) -> bytes:
    return json.dumps({**BODY, **changes}).encode()


def test_an_event_keeps_what_is_used() -> None:
    assert event_in(raw()) == Event(
        event_id="e1",
        happened_at=datetime(2026, 9, 5, 23, 57, 5, 379000, tzinfo=UTC),
        kind="page.properties_updated",
        entity_type="page",
        entity_id=PAGE,
        data_source_id=SOURCE,
        parent_id=DATABASE,
        authors=(Author("ana", "person"), Author("helper", "agent")),
        properties=("XGe%40", "title"),
        attempt=3,
    )


def test_ids_are_dashed_and_instants_in_utc() -> None:
    event = event_in(
        raw(entity={"id": PAGE.replace("-", "").upper(), "type": "page"}, timestamp="2026-09-06T09:57:05+10:00")
    )

    assert event.entity_id == PAGE
    assert event.happened_at == datetime(2026, 9, 5, 23, 57, 5, tzinfo=UTC)


def test_a_title_that_is_told_as_content_of_the_page_is_an_edit_of_the_title() -> None:
    title = event_in(raw(type="page.content_updated", data={"updated_blocks": [{"id": PAGE, "type": "page"}]}))
    text = event_in(raw(type="page.content_updated", data={"updated_blocks": [{"id": SOURCE, "type": "block"}]}))

    assert (title.properties, text.properties) == (("title",), ())


@given(anything)
def test_what_a_future_event_carries_is_no_reason_to_refuse_it(data: Any) -> None:
    later = event_in(json.dumps({**BODY, "type": "page.folded", "data": data, "new": data}).encode())

    assert later.kind == "page.folded"


@given(st.sampled_from(sorted(BODY)), anything)
def test_any_value_anywhere_is_an_event_or_malformed(name: str, value: Any) -> None:
    try:
        event = event_in(json.dumps({**BODY, name: value}).encode())
    except Malformed:
        return
    assert isinstance(event, Event)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        event_in(body)


def test_an_error_names_the_field_and_quotes_nothing() -> None:
    with pytest.raises(Malformed) as caught:
        event_in(raw(authors=[{"id": 5, "type": "confidential"}]))

    assert "authors.0.id" in str(caught.value)
    assert "confidential" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"verification_token":"secret_of_eight"}', "secret_of_eight"),
        (b'{"verification_token":"secret_of_eight","more":[1]}', "secret_of_eight"),
        (b'{"verification_token":""}', None),
        (b'{"verification_token":"short"}', None),
        (b'{"verification_token":"has a blank in it"}', None),
        (b'{"verification_token":5}', None),
        (b'{"verification_token":null}', None),
        (b'["verification_token"]', None),
        (b'{"verification_token":"secret_of_eight"', None),
        (b'{"verification_token":"' + b"x" * 5_000 + b'"}', None),
        (raw(), None),
    ],
)
def test_only_a_handshake_carries_a_token(body: bytes, token: str | None) -> None:
    assert token_in(body) == token
