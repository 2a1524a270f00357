"""psql into the running demo's database; where there is none, one statement is run without it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.local import wheel
from deploy.local.binaries import find
from deploy.local.demo_env import demo_settings

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> NoReturn:
    """Become psql with `arguments`; without a psql, `-c` and a statement are understood all the same."""
    demo = demo_settings(REPOSITORY)
    if demo is None:
        print("No demo runs. Type make run in another terminal.", file=sys.stderr)
        sys.exit(2)
    binaries = find() or wheel.find(REPOSITORY)
    program = binaries.program("psql") if binaries else shutil.which("psql")
    if program is None and arguments[:1] == ["-c"]:
        sys.exit(run(demo["DATABASE_URL"], *arguments[1:]))
    if program is None:
        print(
            'There is no psql here. One statement is run without it: make psql SQL="select …"\n'
            "Or type: sudo apt-get install -y postgresql-client", file=sys.stderr,
        )
        sys.exit(2)
    # through the environment: a command line can be read by every user of the machine
    parts = conninfo_to_dict(demo["DATABASE_URL"].split("?", 1)[0])
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    environ = {**os.environ, **{names[key]: str(value) for key, value in parts.items() if key in names}}
    # by its whole name, by which it finds what belongs to it
    os.execve(program, [program, *arguments], environ)  # noqa: S606 # psql wants the terminal


def run(dsn: str, statement: str) -> int:
    """Run a statement as psql does, and print its rows or its status; return the exit code."""
    try:
        with psycopg.connect(dsn, autocommit=True) as conn:
            cursor = conn.execute(statement.encode())
            while True:
                _show(cursor)
                if not cursor.nextset():
                    return 0
    except psycopg.Error as error:
        print(error, file=sys.stderr)
        return 1


def _show(cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
    if cursor.description is None:
        print(cursor.statusmessage)
        return
    table = Table(*(column.name for column in cursor.description))
    for row in cursor:
        table.add_row(*(escape("" if value is None else str(value)) for value in row))
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
