"""Postgres as the oracle of the mapping: what a column holds, as Postgres itself writes it, is what the page shows.

Values go into columns of MapAble's types, come back through psycopg, and are rendered; Postgres renders the same
column in SQL. The two must say the same, or the mapping must say why it leaves the value out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from sinks.mapable.rows import load_odd_values
from sinks.mapping.entities import ENTITIES, by_name, columns_of, field_of
from sinks.mapping.model import Column, Entity, Kind, LeftOut, Rendered
from sinks.mapping.parsing import Refused, parse
from sinks.mapping.rendering import render, render_field
from sinks.mapping.text import storable
from tests.strategies import SYDNEY, money, recent_timestamps, stored_timestamps, strange_timestamps, texts

PLAN = by_name("ndisplan")
CARE_PLAN = by_name("careplan")
INCIDENT = by_name("incident")

# One database serves all examples of a test: each example empties the table that it fills.
oracle = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMN_TYPES = {
    Kind.TITLE: ("text", None, None),
    Kind.TEXT: ("text", None, None),
    Kind.EMAIL: ("text", None, None),
    Kind.RELATION: ("text", None, None),
    Kind.MONEY: ("numeric", 2, None),
    Kind.DAY: ("timestamp without time zone", None, 3),
    Kind.MOMENT: ("timestamp without time zone", None, 3),
    Kind.CHECKBOX: ("boolean", None, None),
}


@pytest.fixture
def conn(mapable_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with one column of each type that MapAble's tables have."""
    with psycopg.connect(mapable_dsn, autocommit=True) as connection:
        load_odd_values(connection)
        connection.execute(
            "create temp table held (n serial, at timestamp(3), amount numeric(12,2), words text, extra jsonb,"
            ' sort "IncidentType", flag boolean)'
        )
        yield connection


def fill(conn: psycopg.Connection[Any], column: str, values: Sequence[object]) -> None:
    conn.execute("truncate held restart identity")
    conn.cursor().executemany(f"insert into held ({column}) values (%s)", [(value,) for value in values])  # noqa: S608


def shown(entity: Entity, key: str, stored: object) -> Rendered:
    return render_field(field_of(entity, key), {key: stored}, SYDNEY)


@oracle
@given(values=st.lists(stored_timestamps | recent_timestamps | strange_timestamps, min_size=1, max_size=50))
def test_timestamps_show_the_day_and_the_instant_that_postgres_sees(
    conn: psycopg.Connection[Any], values: list[datetime | str]
) -> None:
    fill(conn, "at", values)

    rows = conn.execute(
        "select at, holdable,"
        " case when holdable then (at at time zone 'UTC' at time zone 'Australia/Sydney')::date::text end,"
        """ to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
        " from (select *, at >= '0001-01-01' and at < '10000-01-01' as holdable from held) h order by n"
    ).fetchall()

    for stored, holdable, day, instant in rows:
        shown_day, shown_moment = shown(PLAN, "startDate", stored), shown(INCIDENT, "occurredAt", stored)
        if not holdable:
            assert isinstance(shown_day, LeftOut)
            assert isinstance(shown_moment, LeftOut)
            continue
        assert isinstance(shown_day, date)
        assert isinstance(shown_moment, datetime)
        assert shown_day.isoformat() == day
        assert shown_moment == datetime.fromisoformat(instant)


EDGES = [
    ("infinity", None, None),
    ("-infinity", None, None),
    ("0001-01-01 BC", None, None),
    ("4713-01-01 BC", None, None),
    ("0001-01-01", "0001-01-01", "0001-01-01T00:00:00.000+00:00"),
    ("9999-12-31 12:59:59.999", "9999-12-31", "9999-12-31T12:59:59.999+00:00"),
    # the instant is in 9999, its day in Sydney in 10000
    ("9999-12-31 13:00:00", None, "9999-12-31T13:00:00.000+00:00"),
    ("10000-01-01", None, None),
    ("294276-12-31 23:59:59.999", None, None),
    # Postgres rounds to the milliseconds of timestamp(3), here into the next day
    ("2026-06-30 13:59:59.9995", "2026-07-01", "2026-06-30T14:00:00.000+00:00"),
    ("2026-02-28 13:00:00", "2026-03-01", "2026-02-28T13:00:00.000+00:00"),
]


def test_timestamps_at_the_edges(conn: psycopg.Connection[Any]) -> None:
    fill(conn, "at", [written for written, _, _ in EDGES])

    found = []
    for (stored,) in conn.execute("select at from held order by n").fetchall():
        day, moment = shown(PLAN, "startDate", stored), shown(INCIDENT, "occurredAt", stored)
        found.append((
            day.isoformat() if isinstance(day, date) else None,
            moment.isoformat(timespec="milliseconds") if isinstance(moment, datetime) else None,
        ))
        assert isinstance(day, (date, LeftOut))
        assert isinstance(moment, (datetime, LeftOut))

    assert found == [(day, moment) for _, day, moment in EDGES]


@oracle
@given(cases=st.lists(st.tuples(recent_timestamps, recent_timestamps), min_size=1, max_size=50))
def test_postgres_sees_the_day_that_was_typed(
    conn: psycopg.Connection[Any], cases: list[tuple[datetime, datetime]]
) -> None:
    typed = [other.date() for _, other in cases]
    field = field_of(PLAN, "endDate")
    moved = [parse(PLAN, field, other.date(), {"endDate": stored}, SYDNEY) for stored, other in cases]
    fill(conn, "at", moved)

    days = conn.execute(
        "select (at at time zone 'UTC' at time zone 'Australia/Sydney')::date from held order by n"
    ).fetchall()

    assert [day for (day,) in days] == typed


@oracle
@given(values=st.lists(money, min_size=1, max_size=50))
def test_amounts_show_as_postgres_writes_them(conn: psycopg.Connection[Any], values: list[Decimal]) -> None:
    fill(conn, "amount", values)

    for stored, written in conn.execute("select amount, amount::text from held order by n").fetchall():
        assert str(shown(PLAN, "totalBudget", stored)) == written


def test_not_a_number_fits_the_column_and_is_left_out(conn: psycopg.Connection[Any]) -> None:
    fill(conn, "amount", [Decimal("NaN")])

    row = conn.execute("select amount from held").fetchone()

    assert row is not None
    assert isinstance(shown(PLAN, "totalBudget", row[0]), LeftOut)


@oracle
@given(
    amount=st.decimals(allow_nan=False, allow_infinity=True)
    | st.decimals(-(10**11), 10**11, places=3)
    | st.sampled_from([Decimal(10) ** 10, Decimal("9999999999.995"), Decimal("-0.001"), Decimal(0)])
)
def test_an_amount_is_refused_exactly_when_postgres_would_refuse_or_round_it(
    conn: psycopg.Connection[Any], amount: Decimal
) -> None:
    taken = parse(PLAN, field_of(PLAN, "totalBudget"), amount, {"totalBudget": None}, SYDNEY)

    assert isinstance(taken, Refused) is not holds_exactly(conn, amount)


def holds_exactly(conn: psycopg.Connection[Any], amount: Decimal) -> bool:
    try:
        fill(conn, "amount", [amount])
    except psycopg.DataError:
        return False
    row = conn.execute("select amount from held").fetchone()
    return row is not None and row[0] == amount


@oracle
@given(values=st.lists(texts, min_size=1, max_size=20))
def test_texts_show_to_the_last_byte(conn: psycopg.Connection[Any], values: list[str]) -> None:
    fill(conn, "words", values)

    for stored, encoded in conn.execute("select words, convert_to(words, 'UTF8') from held order by n").fetchall():
        assert str(shown(INCIDENT, "description", stored) or "").encode() == encoded


@oracle
@given(text=st.text(st.characters() | st.sampled_from("\0\ud83d\udd98\uffff🦘"), min_size=1))
def test_a_text_is_refused_exactly_when_postgres_refuses_it(conn: psycopg.Connection[Any], text: str) -> None:
    try:
        conn.execute("select convert_from(%b, 'UTF8')", (text.encode("utf-8", "surrogatepass"),))
        accepted = True
    except psycopg.DataError:
        accepted = False

    assert storable(text) is accepted


words = st.text(st.characters(categories=("L", "N", "P")), min_size=1)


@oracle
@given(
    goals=st.lists(
        st.fixed_dictionaries(
            {"description": words, "targetDate": st.dates().map(date.isoformat), "status": words}
        ),
        min_size=1,
    )
)
def test_goals_read_as_postgres_would_put_them(conn: psycopg.Connection[Any], goals: list[dict[str, str]]) -> None:
    fill(conn, "extra", [json.dumps(goals)])

    row = conn.execute(
        "select extra, (select string_agg(format('%s (target %s, %s)', g->>'description', g->>'targetDate',"
        " g->>'status'), E'\\n' order by o) from jsonb_array_elements(extra) with ordinality as e (g, o)) from held"
    ).fetchone()

    assert row is not None
    assert shown(CARE_PLAN, "goals", row[0]) == row[1]


STRANGE_JSON = [
    "null", "1", '"Cook"', "{}", "[]", "[null, [], {}, 1e400, true]", '{"description": "Cook"}',
    "[" * 1_500 + "]" * 1_500, "9" * 5_000, '[{"description": ' + "9" * 5_000 + "}]",
    '[{"description": "Cook", "targetDate": "infinity", "status": {"a": 1}}]',
]  # fmt: skip


def test_whatever_jsonb_holds_is_read_and_shown_without_an_error(conn: psycopg.Connection[Any]) -> None:
    fill(conn, "extra", STRANGE_JSON)

    rows = conn.execute("select extra from held order by n").fetchall()

    assert len(rows) == len(STRANGE_JSON)
    for (stored,) in rows:
        assert isinstance(shown(CARE_PLAN, "goals", stored), (str, type(None)))


@oracle
@given(
    cases=st.lists(
        st.tuples(stored_timestamps, st.sampled_from(field_of(INCIDENT, "incidentType").options)), min_size=1
    )
)
def test_incidents_are_titled_as_postgres_would_title_them(
    conn: psycopg.Connection[Any], cases: list[tuple[datetime, str]]
) -> None:
    conn.execute("truncate held restart identity")
    conn.cursor().executemany("insert into held (at, sort) values (%s, %s)", cases)

    rows = conn.execute(
        "select at, sort, sort::text || ' · ' || (at at time zone 'UTC' at time zone 'Australia/Sydney')::date::text"
        " from held order by n"
    ).fetchall()

    for at, sort, title in rows:
        row = {"incidentType": sort, "occurredAt": at}
        assert render_field(field_of(INCIDENT, "incident"), row, SYDNEY) == title


FIELDS = [(entity, field) for entity in ENTITIES for field in entity.fields]


def test_fields_are_declared_as_their_columns_are(conn: psycopg.Connection[Any]) -> None:
    for entity, field in FIELDS:
        if not isinstance(field.source, Column):
            continue
        row = conn.execute(
            "select is_nullable = 'YES', udt_name, data_type, case when data_type = 'numeric' then numeric_scale end,"
            " datetime_precision from information_schema.columns"
            " where table_schema = 'public' and table_name = %s and column_name = %s",
            (entity.table, field.source.name),
        ).fetchone()
        assert row is not None, field
        nullable, type_name, *declared = row
        assert field.nullable is nullable, field
        if declared[0] == "USER-DEFINED":
            assert field.kind is Kind.SELECT, field
            assert list(field.options) == labels_of(conn, type_name), field
        elif field.kind is Kind.SELECT:
            assert (field.free_options, declared[0]) == (True, "text"), field
        else:
            assert tuple(declared) == COLUMN_TYPES[field.kind], field


def labels_of(conn: psycopg.Connection[Any], enum: str) -> list[str]:
    rows = conn.execute(
        "select e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid where t.typname = %s"
        " order by e.enumsortorder",
        (enum,),
    ).fetchall()
    return [label for (label,) in rows]


def test_all_that_is_read_exists_and_updated_columns_are_known(conn: psycopg.Connection[Any]) -> None:
    for entity in ENTITIES:
        rows = conn.execute(
            "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s",
            (entity.table,),
        ).fetchall()
        columns = {column for (column,) in rows}
        assert set(columns_of(entity)) <= columns, entity.name
        assert ("updatedAt" in columns) is (entity.updated_column == "updatedAt"), entity.name


def test_what_was_taken_is_written_to_the_real_table_and_shows(conn: psycopg.Connection[Any]) -> None:
    risk = by_name("risk")
    conn.execute(
        'insert into "Risk" (id, title, description, "riskLevel", category, "identifiedBy", "updatedAt")'
        " values ('r1', 'Fire', 'x', 'LOW', 'Home', 'Ada', now())"
    )
    typed = {"title": "Falls 🦘", "riskLevel": "CRITICAL", "status": "CLOSED", "category": "Out and about"}
    row = read_risk(conn)

    for key, value in typed.items():
        taken = parse(risk, field_of(risk, key), value, row, SYDNEY)
        conn.execute(sql.SQL('update "Risk" set {} = %s').format(sql.Identifier(key)), (taken,))

    after = render(risk, read_risk(conn), SYDNEY)
    assert {key: after[key] for key in typed} == typed


def read_risk(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    names = columns_of(by_name("risk"))
    query = sql.SQL('select {} from "Risk"').format(sql.SQL(", ").join(map(sql.Identifier, names)))
    found = conn.execute(query).fetchone()
    assert found is not None
    return dict(zip(names, found, strict=True))
