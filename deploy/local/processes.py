"""Which process holds a Postgres data folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.local.commands import run


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The process that a data folder's `postmaster.pid` names; it may be long dead."""

    pid: int
    port: int


def postmaster_of(data_dir: Path) -> Postmaster | None:
    """Return the living server of `data_dir`, or None; the file that a killed one leaves behind does not count."""
    try:
        lines = (data_dir / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        named = Postmaster(pid=int(lines[0]), port=int(lines[3]))
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    return named if _was_started_on(named.pid, data_dir) else None


def is_alive(pid: int) -> bool:
    """Return whether any process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _was_started_on(pid: int, data_dir: Path) -> bool:
    # the number alone proves nothing: after a reboot it may belong to another program
    if not Path("/proc/self/cmdline").exists():
        # macOS has no /proc; its ps shows the whole command
        return str(data_dir) in run(["ps", "-ww", "-o", "command=", "-p", str(pid)]).stdout
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(data_dir) in words
