"""Hypothesis strategies: what each kind of field can hold, and whole source rows as psycopg returns them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sinks.mapping.canonical import Canonical
from sinks.mapping.model import Column, Derived, Entity, Field, Kind, Lookup, Mirror

SYDNEY = ZoneInfo("Australia/Sydney")

# Zones that disagree as much as zones can: both sides of the date line, half hours, changes at midnight.
ZONES = tuple(
    ZoneInfo(name)
    for name in (
        "Australia/Sydney",
        "Australia/Adelaide",
        "Australia/Lord_Howe",
        "UTC",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
        "Asia/Kathmandu",
    )
)
zones = st.sampled_from(ZONES)

_SURROGATES: Final[tuple[Literal["Cs"]]] = ("Cs",)

# What a Postgres text can hold: everything but U+0000 and surrogates. Emoji often, because each is two UTF-16 units.
characters = st.one_of(
    st.characters(exclude_categories=_SURROGATES, exclude_characters="\0"),
    st.sampled_from('🦘👩\u200d🦽é…"\\\n\t\u2028,'),
)
texts = st.text(characters)
filled_texts = st.text(characters, min_size=1)
labels = (
    st.text(characters, min_size=1, max_size=50)
    .map(lambda text: text.replace(",", ""))
    .filter(lambda text: text.strip() != "")
)

money = st.decimals(Decimal("-9999999999.99"), Decimal("9999999999.99"), places=2).map(
    lambda amount: abs(amount) if amount.is_zero() else amount
)


def naive_utc(text: str) -> datetime:
    """Return an instant as a timestamp column holds it: UTC, without saying so."""
    return datetime.fromisoformat(text)


def to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# timestamp(3) without time zone, as psycopg returns it; two days short of the calendar's ends in every zone.
stored_timestamps = st.datetimes(naive_utc("0001-01-03"), naive_utc("9999-12-29")).map(to_ms)
recent_timestamps = st.datetimes(naive_utc("1971-01-01"), naive_utc("2037-12-31")).map(to_ms)
strange_timestamps = st.sampled_from(
    ["infinity", "-infinity", "0044-03-15 00:00:00 BC", "10000-01-01 00:00:00", "294276-12-31 23:59:59.999"]
)
moments = stored_timestamps.map(lambda stored: stored.replace(tzinfo=UTC))
days = st.dates(date(1, 1, 3), date(9999, 12, 29))

emails = st.emails().filter(lambda email: len(email) <= 200)  # what Notion holds

page_ids = st.uuids().map(str)
system_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=25)

junk_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
goals = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "description": texts,
            "targetDate": st.dates().map(date.isoformat) | moments.map(datetime.isoformat) | texts | st.none(),
            "status": st.sampled_from(["NOT_STARTED", "IN_PROGRESS", "ACHIEVED"]) | st.none(),
        },
    ),
    max_size=5,
)


def canonical(kind: Kind) -> SearchStrategy[Canonical]:
    """Every canonical value of the kind, the empty one included."""
    filled: dict[Kind, SearchStrategy[Canonical]] = {
        Kind.TITLE: filled_texts,
        Kind.TEXT: filled_texts,
        Kind.EMAIL: emails,
        Kind.MONEY: money,
        Kind.DAY: days,
        Kind.MOMENT: moments,
        Kind.SELECT: labels,
        Kind.CHECKBOX: st.booleans(),
        Kind.RELATION: st.lists(page_ids, unique=True, max_size=5).map(lambda ids: tuple(sorted(ids))),
    }
    return filled[kind] if kind in (Kind.CHECKBOX, Kind.RELATION) else st.none() | filled[kind]


def stored(field: Field) -> SearchStrategy[object]:
    """What the field's own column can hold and Notion can show, as psycopg returns it."""
    by_kind: dict[Kind, SearchStrategy[object]] = {
        Kind.TITLE: texts,
        Kind.TEXT: texts,
        Kind.EMAIL: emails,
        Kind.MONEY: money,
        Kind.DAY: stored_timestamps,
        Kind.MOMENT: stored_timestamps,
        Kind.SELECT: st.sampled_from(field.options or ("",)) | (labels if field.free_options else st.nothing()),
        Kind.CHECKBOX: st.booleans(),
        Kind.RELATION: system_ids,
    }
    return st.none() | by_kind[field.kind] if field.nullable else by_kind[field.kind]


_MADE_FROM: dict[str, SearchStrategy[object]] = {
    "role": st.sampled_from(["PARTICIPANT", "PROVIDER", "PLAN_MANAGER", "NDIA_ADMIN", "USER"]),
    "goals": goals | junk_json,
    "incidentType": st.sampled_from(["SERIOUS_INCIDENT", "NEAR_MISS", "OTHER"]),
    "occurredAt": stored_timestamps,
}

people = st.none() | st.tuples(st.none() | texts, emails)


def rows(entity: Entity) -> SearchStrategy[dict[str, object]]:
    """Rows of the entity's table, with the columns that are read and the lookups that the reader adds."""
    columns: dict[str, SearchStrategy[object]] = {"id": system_ids}
    for field in entity.fields:
        match field.source:
            case Column(name):
                columns[name] = system_ids if name == "id" else stored(field)
            case Derived(made_from):
                columns |= {name: _MADE_FROM[name] for name in made_from if name not in columns}
            case Lookup(column):
                columns |= {column: st.none() | system_ids, f"lookup:{field.key}": people}
            case Mirror():
                pass
    return st.fixed_dictionaries(columns)
