"""`.env.example` is the one list of settings for an operator: complete, with the defaults that the program has."""

from __future__ import annotations

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
NEEDED: Final = {"DATABASE_URL": "postgresql://user:secret@db/mapable", "NOTION_API_KEY": "ntn_1"}
# settings of what comes with two-way that the program does not read yet
PLANNED: Final = {"SYNC_REQUESTS_PER_MINUTE", "AUDIT_RETENTION_DAYS"}


def lines() -> list[str]:
    return EXAMPLE.read_text(encoding="utf-8").splitlines()


def settings() -> list[tuple[bool, str, str]]:
    """Return (commented out, name, value) of each setting."""
    found = (LINE.fullmatch(line) for line in lines())
    return [(match[1] == "#", match[2], match[3]) for match in found if match is not None]


def test_every_setting_is_there_once_and_nothing_else() -> None:
    names = Counter(name for _, name, _ in settings())

    assert set(names) == KNOWN | PLANNED
    assert set(names.values()) == {1}


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
