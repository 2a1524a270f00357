"""What `make psql SQL=…` does where there is no psql."""

from __future__ import annotations

import pytest

from deploy.local import psql


def test_a_statement_is_run_and_its_rows_or_its_status_are_shown(
    mapable_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = "create table shown (id int, name text); insert into shown values (1, '[b]Ann'), (2, null)"
    codes = [psql.run(mapable_dsn, made), psql.run(mapable_dsn, "select * from shown order by id")]

    said = capsys.readouterr().out
    assert codes == [0, 0]
    assert "CREATE TABLE\nINSERT 0 2\n" in said
    assert "[b]Ann" in said
    assert "None" not in said


def test_a_statement_that_fails_says_why(mapable_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert psql.run(mapable_dsn, "select * from nowhere") == 1
    assert 'relation "nowhere" does not exist' in capsys.readouterr().err
