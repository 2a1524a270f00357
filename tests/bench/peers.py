"""Who else reads a slot: pg_recvlogical, which does nothing with what it reads, and psycopg2 with json."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from cdc.replication.port import PluginOption
from tests.bench.ground import ROOT

VENV: Final = ROOT / ".local" / "bench" / "psycopg2"
SCRIPT: Final = ROOT / "tests" / "bench" / "psycopg2_reader.py"


def floor_command(pg_recvlogical: str, slot: str, end: str, options: Sequence[PluginOption]) -> list[str]:
    """Return the command that reads up to `end` and throws everything away."""
    asked = [text for option in options if not option.optional for text in ("-o", f"{option.name}={option.value}")]
    return [
        pg_recvlogical, "--slot", slot, "--start", "--no-loop", "--file", os.devnull, "--fsync-interval", "0",
        "--endpos", end, *asked,
    ]


async def floor_s(pg_recvlogical: str, dsn: str, slot: str, end: str, options: Sequence[PluginOption]) -> float:
    """Return how long pg_recvlogical takes, its start included, which is a few milliseconds."""
    command = floor_command(pg_recvlogical, slot, end, options)
    began_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, "--dbname", dsn)
    assert await process.wait() == 0, "pg_recvlogical failed"
    return time.perf_counter() - began_s


async def psycopg2() -> str | None:
    """Return a Python that has psycopg2, in an environment of its own that is made at first; None: it can't be had.

    The product never imports it, so it is in no list of ours.
    """
    python = VENV / "bin" / "python"
    if not python.exists():
        for command in ([sys.executable, "-m", "venv", str(VENV)],
                        [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "psycopg2-binary"]):
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
            if await process.wait() != 0:
                python.unlink(missing_ok=True)
                return None
    return str(python)


async def psycopg2_s(python: str, dsn: str, slot: str, end: int, options: Sequence[PluginOption]) -> float:
    """Return how long psycopg2's consumer takes, from the connection to the last commit."""
    asked = {option.name: option.value for option in options if not option.optional}
    process = await asyncio.create_subprocess_exec(
        python, str(SCRIPT), slot, str(end), json.dumps(asked), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "BENCH_DSN": dsn},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, "the psycopg2 reader failed"
    return float(said)
