"""deploy/RUNBOOK.md has every alert, and every reason for which the program stops and a person must act."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cdc.replication import faults

ROOT: Final = Path(__file__).resolve().parents[3]
RUNBOOK: Final = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
RULES: Final = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
PACKAGES: Final = ("cdc", "sinks", "state")
LEAST: Final = 12
"""A message without so long a piece of its own text passes on what another error says."""


FILES: Final = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
}


def is_fatal(node: ast.AST) -> bool:
    """Whether a class is declared as a FatalError."""
    return isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "FatalError" for base in node.bases)


FATAL: Final = {"FatalError"} | {
    node.name for tree in FILES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and is_fatal(node)
}


def sentences(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what each FatalError is made with; of a class that is one, what it calls its parent with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", "") in FATAL:
            yield node.args[0]
        elif is_fatal(node):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "__init__" and call.args:
                    yield call.args[0]


def longest(sentence: ast.expr) -> str:
    """Return the longest piece of a message that is the same each time."""
    pieces = [
        node.value for node in ast.walk(sentence) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return max(pieces, key=len, default="").strip(" ,:;()\n-")


def messages() -> Iterator[tuple[str, str]]:
    """Yield (place, the piece to be found in the runbook) of every FatalError in the product."""
    for path, tree in FILES.items():
        for sentence in sentences(tree):
            piece = longest(sentence)
            if len(piece) >= LEAST:
                yield f"{path.relative_to(ROOT)}:{sentence.lineno}", piece
    for state, (message, _) in faults._HINTS.items():  # noqa: SLF001 - each is a reason to stop
        yield f"SQLSTATE {state}", message


@pytest.mark.parametrize("alert", re.findall(r"- alert: (\w+)", RULES))
def test_every_alert_is_explained(alert: str) -> None:
    assert f"### {alert}\n" in RUNBOOK


@pytest.mark.parametrize(("place", "piece"), list(messages()))
def test_every_reason_to_stop_is_explained(place: str, piece: str) -> None:
    assert piece in " ".join(RUNBOOK.split()), place


def test_no_alert_is_explained_that_there_is_not() -> None:
    explained = set(re.findall(r"^### (MapableCdc\w+)$", RUNBOOK, re.MULTILINE))

    assert explained == set(re.findall(r"- alert: (\w+)", RULES))
