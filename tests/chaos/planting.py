"""Planting bugs: a copy of the program with a small patch in it, to prove that the harness catches such a bug."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PATCHES: Final = REPOSITORY / "tests" / "chaos" / "planted"
PACKAGES: Final = ("cdc", "sinks", "state")


class DoesNotFitError(Exception):
    """The code that a patch changes is no longer what it was: the patch has to be made anew."""


def plant(patch: Path, into: Path) -> None:
    """Copy the packages and apply a patch to the copy. What it changes is found by its text, not by its line."""
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    path: Path | None = None
    before: list[str] = []
    after: list[str] = []
    for line in [*patch.read_text(encoding="utf-8").splitlines(), "@@"]:
        if line.startswith("+++ b/"):
            path = into / line.removeprefix("+++ b/")
        elif line.startswith(("@@", "--- ")):
            if path is not None and before:
                _replace(path, "\n".join(before), "\n".join(after))
            before, after = [], []
        elif path is not None:
            if not line.startswith("+"):
                before.append(line[1:])
            if not line.startswith("-"):
                after.append(line[1:])


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise DoesNotFitError(f"{path.name} holds this {text.count(before)} times:\n{before}")
    path.write_text(text.replace(before, after), encoding="utf-8")
