"""`mapable-cdc` for the Makefile: against what is configured, else against the running demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.local.demo_env import environment_for

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> NoReturn:
    """Become `mapable-cdc` with `arguments`."""
    environ = environment_for(REPOSITORY, os.environ)
    if environ is None:
        print("Nothing is configured and no demo runs.", file=sys.stderr)
        print("Type make run in another terminal, or set DATABASE_URL and NOTION_API_KEY.", file=sys.stderr)
        sys.exit(2)
    program = Path(sys.executable).parent / "mapable-cdc"
    if not program.exists():
        print("mapable-cdc is not installed in .venv. Type: rm .venv/.stamp, then the same again.", file=sys.stderr)
        sys.exit(2)
    os.execve(program, [str(program), *arguments], environ)  # noqa: S606 # the same process, so signals arrive


if __name__ == "__main__":
    main(sys.argv[1:])
