"""psql into the running demo's database."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from psycopg.conninfo import conninfo_to_dict

from deploy.local import wheel
from deploy.local.binaries import find
from deploy.local.demo_env import demo_settings

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> NoReturn:
    """Become psql with `arguments`."""
    demo = demo_settings(REPOSITORY)
    if demo is None:
        print("No demo runs. Type make run in another terminal.", file=sys.stderr)
        sys.exit(2)
    binaries = find() or wheel.find(REPOSITORY)
    program = binaries.program("psql") if binaries else shutil.which("psql")
    if program is None:
        print("There is no psql here. Type: sudo apt-get install -y postgresql-client", file=sys.stderr)
        sys.exit(2)
    # through the environment: a command line can be read by every user of the machine
    parts = conninfo_to_dict(demo["DATABASE_URL"].split("?", 1)[0])
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    environ = {**os.environ, **{names[key]: str(value) for key, value in parts.items() if key in names}}
    os.execve(program, ["psql", *arguments], environ)  # noqa: S606 # psql wants the terminal


if __name__ == "__main__":
    main(sys.argv[1:])
