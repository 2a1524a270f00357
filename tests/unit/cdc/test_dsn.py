"""Database URLs as people have them: Prisma's, a hoster's, with passwords that nobody encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from cdc.dsn import parse

PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters="?")
passwords = st.text(PRINTABLE, min_size=1, max_size=20)


def test_prismas_url_is_understood() -> None:
    found = parse("postgresql://app:s3cret@db:5433/mapable?schema=care&connection_limit=5&pool_timeout=2&sslmode=require")

    assert (found.schema, found.schema_given, found.pooled) == ("care", True, False)
    assert conninfo_to_dict(found.dsn) == {
        "user": "app", "password": "s3cret", "host": "db", "port": "5433", "dbname": "mapable", "sslmode": "require",
    }  # fmt: skip


def test_without_a_schema_it_is_public() -> None:
    assert (parse("postgres://db/mapable").schema, parse("postgres://db/mapable").schema_given) == ("public", False)


@given(passwords)
def test_a_password_that_nobody_encoded_arrives_as_it_is(password: str) -> None:
    # a percent sign before two hexadecimal digits is taken for an encoding, as everywhere
    meant = password.replace("%", "percent")

    found = conninfo_to_dict(parse(f"postgresql://app:{meant}@db:5432/mapable").dsn)

    assert (found["password"], found["host"], found["dbname"]) == (meant, "db", "mapable")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db:6432/mapable",
        "postgresql://u:p@db/mapable?pgbouncer=true",
        "postgresql://u:p@ep-cool-1-pooler.ap-southeast-2.aws.neon.tech/mapable",
        "postgresql://u:p@aws-0-ap-southeast-2.pooler.supabase.com:5432/mapable",
        "postgresql://u:p@app.proxy-abc.ap-southeast-2.rds.amazonaws.com/mapable",
    ],
)
def test_a_pooler_is_noticed(url: str) -> None:
    assert parse(url).pooled


@pytest.mark.parametrize("url", ["postgresql://u:p@db-pool.internal:5432/pooler", "postgresql://pooler:pooler@db/m"])
def test_what_only_sounds_like_one_is_none(url: str) -> None:
    assert not parse(url).pooled


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:hunter2@db/m", "starts with postgresql://"),
        ("postgresql://u:hunter2@db", "names no database"),
        ("postgresql://u:hunter2@db:port/m", "not a number between 1 and 65535"),
        ("postgresql://u:hunter2@db/m?colour=hunter2", "colour is no parameter"),
        ("postgresql://u:hunter 2@db/m", "write it as %20"),
        ("postgresql://u@hun/x?ter2=x@db/m", "something before an equals sign"),
    ],
)
def test_a_url_that_can_t_be_used_is_refused_without_its_values(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse(url)

    assert "hunter" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_the_dsn_is_not_shown_by_mistake() -> None:
    assert "hunter2" not in repr(parse("postgresql://u:hunter2@db/m"))
