"""Where a private server keeps what it owns: in the clone where its user can get in, else beside it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.local.commands import LocalError, may_enter, server_user
from deploy.local.processes import is_alive, postmaster_of

TEMPORARY_PREFIX = "mapable-cdc-test-"
STOP_TIMEOUT_S = 20
VAR_LIB = Path("/var/lib")

# PostgreSQL manual, "Shutting Down the Server"
SIGNALS: Mapping[str, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def home_of_clone(root: Path) -> Path:
    """Return the home for the server of the clone at `root`, the same one at every call; it need not exist yet."""
    local = root / ".local"
    local.mkdir(exist_ok=True)
    user = server_user()
    if may_enter(local, user) and _survives_quotes(local):
        return local / "postgres"
    home = (VAR_LIB if os.access(VAR_LIB, os.W_OK) else _temporary_folder()) / _name_of(root)
    note = local / "postgres.location"
    if not note.exists() or note.read_text(encoding="utf-8").strip() != str(home):
        who = user.pw_name if user else "Postgres"
        print(f"The user {who} can't work in {local}: the private server's data goes to {home}", file=sys.stderr)
        note.write_text(f"{home}\n", encoding="utf-8")
    return home


def new_temporary_home() -> Path:
    """Make and return a home in the temporary folder; homes whose makers are gone are swept first."""
    sweep()
    folder = _temporary_folder()
    # the maker's process id is part of the name: that is how the next run knows what a killed one left behind
    home = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{os.getpid()}-", dir=folder))
    if user := server_user():
        os.chown(home, user.pw_uid, user.pw_gid)
    return home


def homes_ever_of(root: Path) -> tuple[Path, ...]:
    """Return the homes that there are for the clone at `root`, whoever started the servers in them."""
    places = [root / ".local" / "postgres", *(folder / _name_of(root) for folder in (VAR_LIB, Path("/tmp"), _asked()))]  # noqa: S108
    note = root / ".local" / "postgres.location"
    if note.exists():
        # a clone that was moved since; only a name that we would give is ever removed
        noted = Path(note.read_text(encoding="utf-8").strip())
        places += [noted] if re.fullmatch(r"mapable-cdc-[0-9a-f]{12}", noted.name) else []
    return tuple(dict.fromkeys(place for place in places if place.is_dir() and not place.is_symlink()))


def stop_server_in(home: Path, mode: str = "fast") -> None:
    """Stop the server that runs there, if any, and wait for its end; needs none of Postgres' programs."""
    server = postmaster_of(home / "data")
    if server is None:
        return
    os.kill(server.pid, SIGNALS[mode])
    if not _ended(home, STOP_TIMEOUT_S):
        # a client that neither speaks nor leaves holds up a fast shutdown for as long as a minute
        os.kill(server.pid, signal.SIGQUIT)
        if not _ended(home, STOP_TIMEOUT_S):
            raise LocalError("the private Postgres does not stop", hint=f"Read {home / 'log'}.")


def remove_home(home: Path) -> None:
    """Stop the server that runs there, if any, and remove the folder."""
    stop_server_in(home, "immediate")
    if home.exists():
        shutil.rmtree(home)


def _ended(home: Path, timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while postmaster_of(home / "data"):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def sweep() -> None:
    """Remove the temporary homes, servers and all, whose makers were killed."""
    user = server_user()
    ours = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    for home in _temporary_folder().glob(f"{TEMPORARY_PREFIX}*"):
        maker = home.name.removeprefix(TEMPORARY_PREFIX).split("-", 1)[0]
        try:
            left_behind = home.lstat().st_uid in ours and maker.isdigit() and not is_alive(int(maker))
        except FileNotFoundError:
            # another run sweeps at the same time
            continue
        if left_behind:
            with suppress(FileNotFoundError, LocalError):
                remove_home(home)


def _asked() -> Path:
    return Path(tempfile.gettempdir()).resolve()


def _temporary_folder() -> Path:
    """Return the temporary folder, or /tmp where TMPDIR names one that is closed to the server's user."""
    usable = may_enter(_asked(), server_user()) and _survives_quotes(_asked())
    return _asked() if usable else Path("/tmp").resolve()  # noqa: S108


def _name_of(root: Path) -> str:
    # made from the clone's path, so that two clones never share a server
    return f"mapable-cdc-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"


def _survives_quotes(folder: Path) -> bool:
    """Return whether `folder` is safe between the double quotes that pg_ctl and initdb put around paths in a shell."""
    return not set(str(folder)) & set('"$`\\\n')
