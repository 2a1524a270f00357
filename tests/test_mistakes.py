"""The list of what went wrong before leaves nothing out, and names only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parent
LIST: Final = TESTS / "mistakes_of_the_first.md"
LINE: Final = re.compile(r"\| (P?\d+) \| ([^|]+) \| ([^|]+) \|")
NAMED: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")


def lines() -> list[tuple[str, str, str]]:
    """Return (number, what went wrong, what shows otherwise) of every line."""
    found = (LINE.fullmatch(line) for line in LIST.read_text("utf-8").splitlines())
    return [(line[1], line[2], line[3]) for line in found if line is not None]


def functions_of(path: Path) -> set[str]:
    """Return the names of the functions of a file, which is not run for that."""
    nodes = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_mistake_and_promise_is_there_once() -> None:
    numbers = [number for number, _, _ in lines()]

    assert numbers == [*map(str, range(1, 54)), *(f"P{number}" for number in range(1, 14))]


def test_every_line_names_a_test_or_says_why_there_is_none() -> None:
    bare = [number for number, _, shown in lines() if not NAMED.search(shown) and not shown.endswith(".")]

    assert bare == []
    assert sum(not NAMED.search(shown) for _, _, shown in lines()) == 2


def test_every_test_that_is_named_exists() -> None:
    named = {(file, test) for _, _, shown in lines() for file, test in NAMED.findall(shown)}

    missing = sorted(
        f"{file}::{test}"
        for file, test in named
        if not (TESTS / file).is_file() or test not in functions_of(TESTS / file) or not test.startswith("test_")
    )
    assert missing == []
