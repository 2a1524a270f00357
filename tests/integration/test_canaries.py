"""Before the absence of canaries proves anything, they have to be everywhere: in each unlisted column of each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests import canaries
from tests.integration.demo_queries import Connection, digest, value, values

UNLISTED_TABLES: Final = (
    "Account", "AuditEvent", "Authenticator", "Session", "VerificationToken", "_prisma_migrations",
)  # fmt: skip

# Why a column stays without a canary: it points at a row whose id does leave, or has too few values to be recognised.
SILENT: Final = {
    "User": {"twoFactorEnabled"},
    "NDISPlan": set[str](),
    "Worker": {"status", "onboardingStatus"},
    "CarePlan": set[str](),
    "Incident": {"workerId"},
    "Complaint": set[str](),
    "Risk": set[str](),
    "PaymentTransaction": {"planId"},
}
SILENT_EVERYWHERE: Final = {"createdAt", "updatedAt"}


@pytest.fixture
def demo(demo_dsn: str) -> Iterator[Connection]:
    """The demo, to be planted."""
    with psycopg.connect(demo_dsn, autocommit=True) as conn:
        yield conn


def rows_of(conn: Connection, table: str) -> list[dict[str, object]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.SQL("select * from {}").format(sql.Identifier(table))).fetchall()


def test_every_unlisted_column_of_every_row_has_a_canary(demo: Connection) -> None:
    songs = canaries.plant(demo)

    without = {
        table: {
            column
            for row in rows_of(demo, table)
            for column, held in row.items()
            if column not in listed and not any(song in str(held) for song in songs)
        }
        for table, listed in canaries.LISTED.items()
    }

    assert {table: columns - SILENT_EVERYWHERE for table, columns in without.items()} == SILENT


def test_a_canary_names_the_column_that_it_sits_in(demo: Connection) -> None:
    canaries.plant(demo)

    hashes = values(demo, 'select "passwordHash" from "User"')

    assert all(held.startswith("CANARY-User-passwordHash-") for held in hashes)
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("table", UNLISTED_TABLES)
def test_an_unlisted_table_gets_a_row_whose_every_text_is_a_canary(demo: Connection, table: str) -> None:
    songs = canaries.plant(demo)

    users = set(values(demo, 'select id from "User"'))
    texts = [
        [held for held in row.values() if isinstance(held, str) and held not in users] for row in rows_of(demo, table)
    ]
    assert any(row and all(any(song in text for song in songs) for text in row) for row in texts)


def test_every_table_is_either_listed_or_known_to_be_unlisted(demo: Connection) -> None:
    tables = values(demo, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")

    assert set(tables) == set(canaries.LISTED) | set(UNLISTED_TABLES)


def test_planting_changes_nothing_that_is_listed(demo: Connection) -> None:
    before = {table: digest(demo, table, listed - {"goals"}) for table, listed in canaries.LISTED.items()}

    canaries.plant(demo)

    assert {table: digest(demo, table, listed - {"goals"}) for table, listed in canaries.LISTED.items()} == before


def test_a_goal_gets_a_canary_beside_its_listed_parts(demo: Connection) -> None:
    parts = """select jsonb_path_query_array(goals, '$[*].description')::text from "CarePlan" order by id"""
    before = values(demo, parts)

    songs = canaries.plant(demo)

    goals = values(demo, "select goals::text from \"CarePlan\" where goals <> '[]'")
    assert canaries.GOAL_CANARY in songs
    assert values(demo, parts) == before
    assert all(canaries.GOAL_CANARY in text for text in goals)


def test_no_canary_sings_before_it_is_planted(demo: Connection) -> None:
    untouched = {table: str(rows_of(demo, table)) for table in (*canaries.LISTED, *UNLISTED_TABLES)}

    songs = canaries.plant(demo)

    assert [song for song in songs for text in untouched.values() if song in text] == []


def test_planting_twice_gives_the_same_canaries(demo: Connection) -> None:
    first = canaries.plant(demo)

    assert canaries.plant(demo) == first
    assert len(set(first)) == len(first) > 80
    assert value(demo, 'select count(*) from "_prisma_migrations"') == 1
