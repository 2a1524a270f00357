"""Tries every minor of Postgres at hand: start, a wal2json slot, one streamed change, stop.

Minors from August 2026 on refuse wal2json unless `output_plugin_libraries` lists it; older ones refuse to start with
that setting. One machine has one minor installed, so the others are unpacked from their packages beside it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from deploy.local import apt
from deploy.local.binaries import PostgresBinaries, find_or_install, inspect
from deploy.local.commands import LocalError, environment, server_user
from deploy.local.homes import new_temporary_home, remove_home
from deploy.local.postgres import temporary

STREAM = b"""START_REPLICATION SLOT minors LOGICAL 0/0 ("format-version" '2')"""
STREAM_TIMEOUT_MS = 15_000


def main() -> int:
    """Try what is installed and what apt offers besides; return 0 when all of them worked."""
    try:
        installed = find_or_install()
        if not installed.has_wal2json:
            raise LocalError(f"the Postgres in {installed.bin_dir} has no wal2json", hint="Unset PG_BIN_DIR.")
        others = _others(installed)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 3
    outcomes = [_try(installed, "installed")]
    for package_version in others:
        with _unpacked(installed.major, package_version) as binaries:
            outcomes.append(_try(binaries, "unpacked"))
    if len(outcomes) == 1:
        print(f"apt offers no other minor of Postgres {installed.major} here: only {installed.version} was tried")
    return 0 if all(outcomes) else 1


def _try(binaries: PostgresBinaries, origin: str) -> bool:
    started_s = time.monotonic()
    wanted = "listed for it" if binaries.lists_plugins else "needs no list"
    print(f"Postgres {binaries.version} ({origin}; wal2json {wanted}): ", end="", flush=True)
    server = temporary(binaries)
    try:
        server.start()
        print("started, ", end="", flush=True)
        server.create_database("minors")
        _stream_one_change(server.dsn("minors"))
        server.stop()
        print(f"stopped: ok, {time.monotonic() - started_s:.1f} s")
    except (LocalError, psycopg.Error) as error:
        print(f"FAILED: {error}")
        return False
    finally:
        server.destroy()
    return True


def _stream_one_change(dsn: str) -> None:
    with (
        closing(psycopg.connect(f"{dsn}?replication=database", autocommit=True)) as stream,
        psycopg.connect(dsn, autocommit=True) as conn,
    ):
        stream.execute("CREATE_REPLICATION_SLOT minors LOGICAL wal2json")
        print("slot made, ", end="", flush=True)
        conn.execute('create table "Thing" (id text primary key)')
        conn.execute("""insert into "Thing" values ('one')""")
        # what ends the reading below if the change never comes: we answer none of the server's questions
        stream.execute(f"set wal_sender_timeout = {STREAM_TIMEOUT_MS}")
        stream.pgconn.send_query(STREAM)
        result = stream.pgconn.get_result()
        if result is None or result.status != psycopg.pq.ExecStatus.COPY_BOTH:
            said = result.error_message.decode() if result else "no answer"
            raise LocalError(f"no stream: {said}", hint="Compare output_plugin_libraries.")
        while True:
            size, message = stream.pgconn.get_copy_data(0)
            if size < 0:
                raise LocalError("the stream ended before the change came", hint="Read the server's log.")
            if b'"action":"I"' in bytes(message):
                break
    print("one change streamed, ", end="", flush=True)


def _others(installed: PostgresBinaries) -> tuple[str, ...]:
    """Return the versions of the server's package, one a minor, that are not what is installed."""
    if not installed.bin_dir.is_relative_to("/usr/lib/postgresql"):
        return ()
    if apt.available():
        apt.update()
    offered = apt.versions(f"postgresql-{installed.major}")
    minors = {version.split("-", 1)[0]: version for version in reversed(offered)}
    return tuple(version for minor, version in minors.items() if minor != installed.version)


@contextmanager
def _unpacked(major: str, package_version: str) -> Iterator[PostgresBinaries]:
    """Unpack a server and its wal2json where the server's user can run them; they find each other by themselves."""
    home = new_temporary_home()
    try:
        with tempfile.TemporaryDirectory() as downloads:
            # apt fetches as a user of its own, who must be able to write here
            Path(downloads).chmod(0o777)
            wanted = [f"postgresql-{major}={package_version}", f"postgresql-{major}-wal2json"]
            _checked(["apt-get", "-qq", "download", *wanted], downloads)
            for package in Path(downloads).glob("*.deb"):
                _checked(["dpkg", "-x", str(package), str(home)], downloads)
        # dpkg gives the folder the mode of the package's own root
        if user := server_user():
            _checked(["chown", f"{user.pw_uid}", str(home)], "/")
        yield inspect(home / "usr" / "lib" / "postgresql" / major / "bin")
    finally:
        remove_home(home)


def _checked(command: list[str], folder: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment())
    if done.returncode != 0:
        raise LocalError(f"{command[0]} failed: {done.stderr.strip()[-1000:]}", hint="See the message above.")


if __name__ == "__main__":
    sys.exit(main())
