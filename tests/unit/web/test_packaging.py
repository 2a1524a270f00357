"""What a page needs is in the package: an image holds what pip installs, and no clone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]


def test_every_file_that_is_no_code_is_named_as_data() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = settings["tool"]["setuptools"]["package-data"]

    packed = {path for package, patterns in named.items() for each in patterns for path in (ROOT / package).glob(each)}
    there = {
        path
        for package in ("cdc", "sinks", "state")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }

    assert there == packed
