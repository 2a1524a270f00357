"""The fullest page that a row can make, measured as the HTTP client sends it."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from sinks.mapping.canonical import Canonical
from sinks.mapping.entities import ENTITIES
from sinks.mapping.model import Column, Derived, Entity, Kind, LeftOut, Lookup, Mirror, Reference, Rendered
from sinks.mapping.rendering import render
from sinks.notion.properties import write_value
from tests.strategies import SYDNEY, naive_utc

PAGE = "11111111-2222-3333-4444-555555555555"
CHARACTERS = ["a", "界", "🦘", "\x01", '"', "a🦘"]


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
@pytest.mark.parametrize("character", CHARACTERS, ids=ascii)
def test_the_fullest_page_stays_below_400_kb_as_the_client_sends_it(entity: Entity, character: str) -> None:
    endless = character * 400_000
    rendered = render(entity, fullest_row(entity, endless), SYDNEY)
    properties = {
        field.key: write_value(field, resolved(rendered[field.key])) for field in entity.fields if field.key in rendered
    }
    body = {"parent": {"type": "data_source_id", "data_source_id": PAGE}, "properties": properties}

    sent = httpx.Request("POST", "https://example.org", json=body).content

    assert len(sent) <= 400_000


def resolved(value: Rendered) -> Canonical:
    assert not isinstance(value, LeftOut)
    return (PAGE,) if isinstance(value, Reference) else value


def fullest_row(entity: Entity, endless: str) -> dict[str, object]:
    row: dict[str, object] = {"role": "USER", "goals": [endless], "incidentType": "OTHER"}
    moment = naive_utc("2026-05-01")
    by_kind: dict[Kind, object] = {
        Kind.EMAIL: "a" * 200, Kind.MONEY: Decimal("-9999999999.99"), Kind.DAY: moment, Kind.MOMENT: moment,
        Kind.SELECT: "🦘" * 50, Kind.CHECKBOX: False,
    }  # fmt: skip
    for field in entity.fields:
        match field.source:
            case Column(name):
                row[name] = by_kind.get(field.kind, endless)
            case Lookup():
                row[f"lookup:{field.key}"] = (endless, None)
            case Derived() | Mirror():
                pass
    return row
