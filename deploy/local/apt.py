"""Debian's and Ubuntu's packages: what they offer, and installing them without a cluster on port 5432."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.commands import LocalError, environment, output_of, run

DROP_IN = Path("/etc/postgresql-common/createcluster.d/no-main-cluster.conf")


def available() -> bool:
    """Return whether packages can be installed here without asking anyone anything."""
    return shutil.which("apt-get") is not None and (os.geteuid() == 0 or _sudo_is_silent())


def update() -> None:
    """Fetch the lists of packages; a list that can't be reached only matters if the install then fails."""
    _say("Fetching the lists of packages (apt-get update) ...")
    _apt("update", "-qq", check=False)


def offers(package: str) -> bool:
    """Return whether `package` has a version to install."""
    return any("Candidate:" in line and "(none)" not in line for line in _policy(package))


def versions(package: str) -> tuple[str, ...]:
    """Return every version of `package` that the archives hold, newest first."""
    rows = output_of(["apt-cache", "madison", package]).splitlines()
    return tuple(dict.fromkeys(row.split("|")[1].strip() for row in rows if row.count("|") == 2))


def server_majors() -> tuple[str, ...]:
    """Return the majors of Postgres to try: the distribution's own first, then any other it carries, newest first."""
    depends = output_of(["apt-cache", "depends", "postgresql"]) if offers("postgresql") else ""
    own = [line.rsplit("-", 1)[1] for line in depends.splitlines() if line.strip().startswith("Depends: postgresql-")]
    names = output_of(["apt-cache", "pkgnames", "postgresql-"]).split()
    others = sorted({int(name[11:]) for name in names if name[11:].isdigit()}, reverse=True)
    return tuple(dict.fromkeys([*(major for major in own if major.isdigit()), *map(str, others)]))


def packages_to_name() -> str:
    """Return the packages a person should install, as words of a command line."""
    for major in server_majors():
        if offers(f"postgresql-{major}-wal2json"):
            return f"postgresql-{major} postgresql-{major}-wal2json"
    raise LocalError("no package with wal2json", hint="Add an archive that has one.")


def install(*packages: str) -> None:
    """Install `packages`, upgrading nothing that is here already."""
    _say(f"Installing {' '.join(packages)} (apt-get install) ...")
    _apt("install", "-y", "-qq", "--no-install-recommends", "--no-upgrade", *packages, check=True)


@contextmanager
def no_cluster(major: str) -> Iterator[None]:
    """While open, installing Postgres `major` for the first time makes and starts no cluster of its own."""
    clusters = Path("/etc/postgresql") / major
    before = set(clusters.glob("*"))
    _as_root(["mkdir", "-p", str(DROP_IN.parent)])
    _as_root(["sh", "-c", f"echo 'create_main_cluster = false' > {DROP_IN}"])
    try:
        yield
    finally:
        # a later, deliberate install by the machine's owner is to behave as Debian documents it
        _as_root(["rm", "-f", str(DROP_IN)])
        _as_root(["rmdir", "--ignore-fail-on-non-empty", str(DROP_IN.parent)])
        for cluster in set(clusters.glob("*")) - before:
            # an older postgresql-common does not read the drop-in; this cluster is seconds old and empty
            _as_root(["pg_dropcluster", "--stop", major, cluster.name])


def _apt(verb: str, *arguments: str, check: bool) -> None:
    # another package run (a nightly upgrade, a second make) holds the lock for a while; it is not a failure
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", verb, *arguments]
    _as_root(command, check=check)


def _as_root(command: Sequence[str], *, check: bool = True) -> None:
    settings = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n", "env", *(f"{name}={text}" for name, text in settings.items())]
    done = run([*prefix, *command], env=environment() | settings)
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LocalError(f"{command[0]} failed: {said}", hint=f"Type: sudo {' '.join(command)}")


def _sudo_is_silent() -> bool:
    if shutil.which("sudo") is None:
        return False
    try:
        return subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _policy(package: str) -> Sequence[str]:
    return output_of(["apt-cache", "policy", package]).splitlines()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
