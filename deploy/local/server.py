"""What every Postgres server we may create databases in has in common, whoever started it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.local.commands import LocalError

SUPERUSER = "postgres"
TERMINATE_TIMEOUT_MS = 10_000

# What replication needs, with room for many slots; what keeps a forgotten slot from filling the disk;
# and a log that names no row values.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "50",
    "max_wal_senders": "50",
    "max_slot_wal_keep_size": "1GB",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

# For data that nobody misses. synchronous_commit stays on: without it a slot sees a commit up to a second later.
UNSAFE_SETTINGS: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(ABC):
    """A server on which we are superuser."""

    @abstractmethod
    def dsn(self, database: str = "postgres") -> str:
        """Return the URL of `database` on this server, with its password in it: never log it."""

    @abstractmethod
    def restart(self, mode: str = "fast") -> None:
        """Stop (`fast`, or `immediate` as in a crash) and start again on the same port; returns once it answers."""

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create `name`, as a copy of `template` when one is given; nobody may be connected to the template."""
        import psycopg
        from psycopg import sql

        # copied as files: block by block through the log, each would be 4 MB that every slot of the server has to read
        query = sql.SQL("create database {} encoding 'UTF8' template {} strategy file_copy").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(query)

    def has_database(self, name: str) -> bool:
        """Return whether a database of that name is there."""
        import psycopg

        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            return conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is not None

    def drop_database(self, name: str) -> None:
        """Drop `name` if it is there, with its replication slots, whoever is connected to it or streams from it."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            if conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is None:
                return
            # a client that reconnects by itself would take the slot again between the two steps below
            conn.execute(sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name)))
            # `drop database ... with (force)` spares walsenders and then refuses because of the slot that they hold;
            # the slots themselves go with the database
            conn.execute(
                "select pg_terminate_backend(pid, %s) from pg_stat_activity where datname = %s",
                (TERMINATE_TIMEOUT_MS, name),
            )
            conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


class PrivateServer(PostgresServer):
    """A server that we start and stop ourselves; it outlives this process until `stop`."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The port on 127.0.0.1 of the running server."""

    @abstractmethod
    def running(self) -> bool:
        """Return whether it runs."""

    @abstractmethod
    def start(self) -> None:
        """Start it, with its data of last time or, at first, empty; a running one is left as it is."""

    @abstractmethod
    def stop(self, mode: str = "fast") -> None:
        """Stop it if it runs; `immediate` is a crash that recovers at the next start."""

    @abstractmethod
    def destroy(self) -> None:
        """Stop it and remove all it owns."""

    @abstractmethod
    def describe(self) -> str:
        """Return one line for a person, without a password."""


class GivenServer(PostgresServer):
    """A server that somebody else runs, named by a superuser's URL."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("postgres://", "postgresql://")):
            raise LocalError(
                "the address of the given server is not a URL", hint="Write postgresql://user:password@host:port/postgres."
            )
        self._url = url

    def dsn(self, database: str = "postgres") -> str:
        return urlunsplit(urlsplit(self._url)._replace(path="/" + quote(database, safe="")))

    def restart(self, mode: str = "fast") -> None:
        raise LocalError(
            "a server that somebody else runs is not restarted by us", hint="Unset TEST_DATABASE_URL for this test."
        )

    def check(self) -> None:
        """Raise LocalError unless this server can serve the tests."""
        import psycopg

        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            row = conn.execute(
                "select current_setting('wal_level'), current_setting('is_superuser'),"
                " current_setting('output_plugin_libraries', true)"
            ).fetchone()
        wal_level, is_superuser, plugins = row if row else ("", "", None)
        if wal_level != "logical":
            raise LocalError("the given server logs too little", hint="Set wal_level = logical and restart it.")
        if is_superuser != "on":
            raise LocalError("the given user is no superuser", hint="Name a superuser in TEST_DATABASE_URL.")
        if plugins is not None and "wal2json" not in plugins and os.environ.get("TEST_PLUGIN") != "pgoutput":
            raise LocalError(
                "the given server does not allow wal2json",
                hint="Type in psql: alter system set output_plugin_libraries = pgoutput, test_decoding, wal2json;"
                " select pg_reload_conf();",
            )
