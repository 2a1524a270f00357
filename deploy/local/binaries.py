"""Finding, or installing, a Postgres whose library folder holds wal2json."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local import apt
from deploy.local.commands import LocalError, output_of

# From the minors of August 2026 on a server refuses every output plugin that this setting does not list,
# and an older server refuses to start when it meets the setting.
ALLOW_LIST = "output_plugin_libraries"


class NoPostgresError(LocalError):
    """There is no Postgres with wal2json here, and none may be installed."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """The programs of one Postgres installation."""

    bin_dir: Path
    version: str
    """As in `15.18`."""
    lists_plugins: bool
    """Whether this minor wants wal2json listed before it lets anyone use it."""
    has_wal2json: bool = True
    """Whether it can load wal2json; without, pgoutput is what it decodes with."""

    @property
    def major(self) -> str:
        return self.version.split(".", maxsplit=1)[0]

    def program(self, name: str) -> str:
        """Return the path of `pg_ctl`, `initdb`, `psql` and the like."""
        return str(self.bin_dir / name)


def find_or_install(environ: Mapping[str, str] = os.environ) -> PostgresBinaries:
    """Return the Postgres named by PG_BIN_DIR, else one with wal2json that is here, or one from Debian's packages.

    Raises NoPostgresError with the line to type when there is none and none may be installed.
    """
    if chosen := environ.get("PG_BIN_DIR"):
        return inspect(Path(chosen))
    if found := find(environ):
        return found
    if apt.available():
        _install()
        if found := find(environ):
            return found
    raise NoPostgresError("no Postgres with the wal2json plugin on this machine", hint=_line_to_type())


def find(environ: Mapping[str, str] = os.environ) -> PostgresBinaries | None:
    """Return the newest Postgres here that has wal2json, or None."""
    for bin_dir in _bin_dirs(environ):
        if (bin_dir / "pg_ctl").exists() and _plugin_in(bin_dir):
            return inspect(bin_dir)
    return None


def inspect(bin_dir: Path) -> PostgresBinaries:
    """Return what the programs in `bin_dir`, which must exist, say about themselves."""
    postgres = bin_dir / "postgres"
    if not postgres.exists():
        raise LocalError(f"no postgres program in {bin_dir}", hint="Point PG_BIN_DIR at a folder that holds pg_ctl.")
    known_settings = output_of([postgres, "--describe-config"])
    return PostgresBinaries(
        bin_dir=bin_dir, version=_version(bin_dir), lists_plugins=ALLOW_LIST in known_settings,
        has_wal2json=_plugin_in(bin_dir),
    )


def _bin_dirs(environ: Mapping[str, str]) -> Iterator[Path]:
    if on_path := shutil.which("pg_ctl", path=environ.get("PATH")):
        # a link such as /usr/local/bin/pg_ctl hides the folder that the other programs live in
        yield Path(on_path).resolve().parent
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "usr/local/pgsql/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ):
        yield from sorted(Path("/").glob(pattern), key=_trailing_number, reverse=True)


def _trailing_number(bin_dir: Path) -> int:
    digits = "".join(character for character in bin_dir.parent.name if character.isdigit())
    return int(digits) if digits else 0


def _plugin_in(bin_dir: Path) -> bool:
    pg_config = bin_dir / "pg_config"
    # pg_config answers relative to where it lies, as the server itself does, so an unpacked package works too
    library = Path(output_of([pg_config, "--pkglibdir"]).strip()) if pg_config.exists() else bin_dir.parent / "lib"
    return any((library / name).exists() for name in ("wal2json.so", "wal2json.dylib"))


def _version(bin_dir: Path) -> str:
    # such as: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    return output_of([bin_dir / "postgres", "--version"]).split()[2]


def _major(bin_dir: Path) -> str:
    return _version(bin_dir).split(".", maxsplit=1)[0]


def _install() -> None:
    """Install what is missing from the distribution's packages, leaving every server and cluster that is here alone."""
    present = [bin_dir for bin_dir in _bin_dirs({}) if (bin_dir / "postgres").exists()]
    apt.update()
    for bin_dir in present:
        plugin = f"postgresql-{_major(bin_dir)}-wal2json"
        if bin_dir.is_relative_to("/usr/lib/postgresql") and apt.offers(plugin):
            apt.install(plugin)
            return
    for major in apt.server_majors():
        if apt.offers(f"postgresql-{major}-wal2json"):
            with apt.no_cluster(major):
                apt.install(f"postgresql-{major}", f"postgresql-{major}-wal2json")
            return


def _line_to_type() -> str:
    if sys.platform == "darwin":
        return "Start Docker, or install Postgres and build wal2json, then set PG_BIN_DIR to its bin folder."
    if shutil.which("apt-get"):
        wanted = "postgresql postgresql-15-wal2json"
        # where apt has its lists already, it knows the number that this release carries
        with suppress(LocalError):
            wanted = apt.packages_to_name()
        return f"Type: sudo apt-get update && sudo apt-get install -y {wanted}"
    return "Install Postgres and its wal2json plugin (Fedora: sudo dnf install postgresql-server wal2json)."
