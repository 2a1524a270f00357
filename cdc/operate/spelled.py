"""SQL for a person to run: composed with quoted names, and returned as it is typed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

from psycopg import sql


def spelled(statement: LiteralString, *parts: sql.Composable) -> str:
    """Return the statement with its parts in place of the braces."""
    return sql.SQL(statement).format(*parts).as_string(None)


def name(*names: str) -> sql.Composable:
    """Return a name, or one in a schema, quoted."""
    return sql.Identifier(*names)


def names(listed: Iterable[str]) -> sql.Composable:
    """Return names with commas, each quoted."""
    return sql.SQL(", ").join(sql.Identifier(each) for each in listed)
