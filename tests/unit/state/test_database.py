"""Every session of ours has what keeps it from waiting on a server that is gone."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from state.database import ALIVE, conninfo


def described(dsn: str) -> dict[str, object]:
    info = conninfo(dsn, schema="notion_sync", application_name="tests", statement_timeout_s=30)
    return dict(conninfo_to_dict(info))


def test_a_server_that_vanished_is_noticed() -> None:
    assert described("postgresql://u:p@h/d").items() >= ALIVE.items()


def test_what_the_url_says_of_that_goes_before() -> None:
    found = described("postgresql://u:p@h/d?keepalives_idle=60&connect_timeout=3&options=-c%20jit%3Doff")

    assert (found["keepalives_idle"], found["connect_timeout"], found["keepalives_count"]) == ("60", "3", "3")
    assert str(found["options"]).startswith("-c jit=off -c search_path=")
