"""deploy/sql/role.sql and the mapping say the same."""

from __future__ import annotations

from pathlib import Path

from deploy.sql import role
from sinks.mapable.columns import writable
from sinks.mapping.entities import ENTITIES

FILE = Path(role.__file__).with_name("role.sql")


def test_the_file_is_what_the_mapping_makes() -> None:
    written = FILE.read_text(encoding="utf-8")

    assert written == role.rendered(), "run: python -m deploy.sql.role > deploy/sql/role.sql"


def test_what_may_be_written_may_be_read() -> None:
    """A compare-and-set reads the column first; the time of the change is only ever set."""
    for entity in ENTITIES:
        columns = {*writable(entity), *role.opened(entity)} - {entity.updated_column}

        assert columns <= set(role.readable()[entity.table])
