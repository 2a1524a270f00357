"""What is given to `make` by name arrives at the program as it was typed, whatever a shell would make of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
ODD: Final = "O'Brien \"of\" `Cork`; $(HOME)"
"""Make itself takes the last one for a variable of its own, as everywhere."""


def made(*arguments: str, program: str = "printf '%s\\n'", **environment: str) -> list[str]:
    """Return what the target would call the program with; or what another in its place prints."""
    stubs = (f"PY={program}", "READY=", "HOME=home")
    # the tests themselves are run by make, which tells those below it what it was told
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    ended = subprocess.run(
        ["make", *stubs, *arguments], cwd=ROOT, env={**env, **environment}, capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("edit", "DATABASE=Risks", f"ID={ODD}", "PROPERTY=Name", f"VALUE={ODD}"), ["Risks", ODD, "Name", ODD]),
        (("edit", "DATABASE=Risks", "ID=r", "PROPERTY=Name"), ["Risks", "r", "Name", ""]),
        (("setup", f"PARENT_PAGE={ODD}"), ["setup", ODD]),
        (("setup",), ["setup"]),
        (("backfill", f"ENTITY={ODD}", "DRY_RUN=1"), ["backfill", "--entity", ODD, "--dry-run"]),
        (("backfill",), ["backfill"]),
        (("chaos", f"SEEDS={ODD}"), [ODD, "--logs", ".local/chaos"]),
        (("chaos",), ["steps,1-5", "--logs", ".local/chaos"]),
        (("psql", f"SQL={ODD}"), ["-c", ODD]),
        (("bench", "ROWS=capture latency", f"RUNS={ODD}"), ["capture", "latency", "--runs", ODD]),
        (("bench",), []),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, tuple) else "",
)
def test_values_arrive_as_they_were_typed(arguments: tuple[str, ...], expected: list[str]) -> None:
    called = made(*arguments)

    assert called[2:] == [value.replace("$(HOME)", "home") for value in expected]


@pytest.mark.parametrize(("arguments", "environment", "expected"), [
    (("PLUGIN=pgoutput", "POSTGRES=18"), {}, ["pgoutput", "18"]),
    ((), {"PLUGIN": "docker", "POSTGRES": "16"}, ["", ""]),
    (("POSTGRES=18",), {"PLUGIN": "docker", "TEST_PLUGIN": "wal2json", "POSTGRES": "16"}, ["", "18"]),
])  # fmt: skip
@pytest.mark.parametrize("target", ["test", "test-all"])
def test_the_plugin_and_the_server_of_the_tests_are_those_that_make_was_told_by_name(
    target: str, arguments: tuple[str, ...], environment: dict[str, str], expected: list[str]
) -> None:
    assert made(target, *arguments, program="printenv TEST_PLUGIN TEST_POSTGRES;:", **environment) == expected
