"""`.env.example` is the one list of settings for an operator: complete, with the defaults that the program has."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from cdc.config import KNOWN, Settings, load
from sinks.mapping.entities import ENTITIES

ROOT: Final = Path(__file__).resolve().parents[3]
EXAMPLE: Final = ROOT / ".env.example"
README_ROW: Final = re.compile(r"\| `([A-Z_<>]+)` \| (?:`(.*?)` )?\| .*\|")
LINE: Final = re.compile(r"(#?)([A-Z][A-Z_]+)=(.*)")
SPOKEN: Final = re.compile(
    r"\b(?:(?:NOTION|DATABASE|HTTP|LOG|STATE|SYNC|AUDIT|REPLICATION)_[A-Z_]+|ADMIN_TOKEN\w*|TIME_ZONE\w*)"
)
NEEDED: Final = {"DATABASE_URL": "postgresql://user:secret@db/mapable", "NOTION_API_KEY": "ntn_1"}


def lines() -> list[str]:
    return EXAMPLE.read_text(encoding="utf-8").splitlines()


def settings() -> list[tuple[bool, str, str]]:
    """Return (commented out, name, value) of each setting."""
    found = (LINE.fullmatch(line) for line in lines())
    return [(match[1] == "#", match[2], match[3]) for match in found if match is not None]


def test_every_setting_is_there_once_and_nothing_else() -> None:
    names = Counter(name for _, name, _ in settings())

    assert set(names) == KNOWN
    assert set(names.values()) == {1}


def test_every_setting_that_the_program_speaks_of_exists() -> None:
    told = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in ("cdc", "sinks", "state")
        for path in (ROOT / package).rglob("*.py")
        # which knows wrong names, too, to tell the right ones
        if path.name != "config.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in SPOKEN.findall(node.value)
    }

    names = {name for _, name, _ in settings()}
    # a name that ends in an underscore goes on with an entity's own part
    unknown = sorted(
        (path, name)
        for path, name in told
        if name.removesuffix("_FILE") not in names
        and not (name.endswith("_") and any(known.startswith(name) for known in names))
    )

    assert unknown == []
    assert len({name for _, name in told}) > 10


def test_the_readme_lists_the_same_settings_with_the_same_defaults() -> None:
    rows = (README_ROW.fullmatch(line) for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines())

    told = Counter(
        (row[1].replace("<DATABASE>", database), row[2] or "")
        for row in rows if row is not None
        for database in ([entity.setting for entity in ENTITIES] if "<" in row[1] else [""])
    )

    assert told == Counter((name, value) for _, name, value in settings())


def test_only_what_is_needed_is_not_commented_out_and_it_is_empty() -> None:
    assert [(name, value) for commented, name, value in settings() if not commented] == [
        ("DATABASE_URL", ""), ("NOTION_API_KEY", ""),
    ]


def test_copied_and_filled_in_it_changes_nothing() -> None:
    assert load(NEEDED, EXAMPLE) == load(NEEDED, None)


@pytest.mark.parametrize("field", sorted(set(Settings.model_fields) - {"switches", "directions"}))
def test_every_default_is_the_programs(tmp_path: Path, field: str) -> None:
    uncommented = tmp_path / ".env"
    uncommented.write_text("\n".join(f"{name}={value}" for _, name, value in settings()), encoding="utf-8")

    told, own = load(NEEDED, uncommented), load(NEEDED, None)

    assert getattr(told, field) == getattr(own, field)
    assert told.entities == own.entities
    assert [told.direction_of(entity) for entity in ENTITIES] == [own.direction_of(entity) for entity in ENTITIES]


def test_every_setting_is_explained() -> None:
    unexplained = [
        line
        for before, line in zip(lines(), lines()[1:], strict=False)
        if LINE.fullmatch(line) and not before.startswith("# ") and not LINE.fullmatch(before)
    ]

    assert unexplained == []
    assert all(len(line) <= 120 for line in lines())
