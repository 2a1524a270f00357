"""Running other programs, as ourselves or as the user that a Postgres server runs under."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class LocalError(Exception):
    """The local server can't be had; `hint` is one imperative sentence that says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}\n{hint}")
        self.hint = hint


def server_user() -> pwd.struct_passwd | None:
    """Return the system user that a server started by us runs under, or None for ourselves.

    Postgres refuses to run as root.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise LocalError(
            "Postgres refuses to run as root, and this machine has no user named postgres",
            hint="Type: useradd --system --no-create-home postgres",
        ) from None


def environment() -> dict[str, str]:
    """Return ours without what would steer Postgres' own programs (PGPORT, PGDATA, PGOPTIONS), messages in English."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    # every glibc and macOS knows one of these without the package `locales`
    return kept | {"LC_ALL": "C"}


def run(
    command: Sequence[str | Path], *, user: pwd.struct_passwd | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end and return its exit status and texts; stdin is empty."""
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=dict(env) if env is not None else environment(),
        # the caller's folder may be closed to the server's user, and pg_ctl insists on entering where it was started
        cwd="/",
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )


def output_of(
    command: Sequence[str | Path], *, user: pwd.struct_passwd | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run `command`, which must succeed, and return what it printed."""
    done = run(command, user=user, env=env)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LocalError(f"{Path(str(command[0])).name} failed: {said}", hint="See the message above.")
    return done.stdout


def may_enter(folder: Path, user: pwd.struct_passwd | None) -> bool:
    """Return whether `user` can walk into `folder`: a clone under /root is closed to everyone else."""
    return run(["sh", "-c", 'cd -- "$1"', "sh", folder], user=user).returncode == 0
