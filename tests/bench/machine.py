"""What the figures depend on: the machine, its disk, and what processes used of it."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from statistics import median
from typing import Final

from deploy.local.processes import postmaster_of

TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
WRITES: Final = 200


def described(postgres: str) -> str:
    """Return one line about the machine."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.*)", cpus)
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} CPUs ({model[1] if model else platform.machine()}), {memory_gb:.0f} GB, "
        f"Linux {platform.release()}, Python {platform.python_version()}, {postgres}, "
        f"load {os.getloadavg()[0]:.1f} at the start"
    )


def fsync_s(folder: Path) -> float:
    """Return the median time that writing a page and syncing it takes in `folder`: what any commit costs at least."""
    path = folder / "fsync-of-the-benchmark"
    took_s = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(WRITES):
            os.write(descriptor, b"\0" * 8192)
            began_s = time.perf_counter()
            os.fdatasync(descriptor)
            took_s.append(time.perf_counter() - began_s)
    finally:
        os.close(descriptor)
        path.unlink()
    return median(took_s)


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def server_cpu_s(data_dir: Path) -> float:
    """Return the CPU time that a Postgres has used so far, the processes that have ended included."""
    postmaster = postmaster_of(data_dir)
    assert postmaster is not None
    pid = postmaster.pid
    own = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return (int(own[13]) + int(own[14])) / TICKS_A_SECOND + sum(cpu_s(int(child)) for child in children)


def peak_bytes(pid: int | str = "self") -> int:
    """Return the most memory that a process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024
