"""How deletes that are held look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from rich.table import Table

from state.deletions import Deletion


def deletions_table(items: Sequence[Deletion]) -> Table:
    """Return what is held, and with whose deletion it went."""
    table = Table("entity", "id", "deleted at (UTC)", "with", title="Held: their rows are gone, their pages stand")
    for item in items:
        parent = "" if item.group == item.key else f"{item.group_entity} {item.group_id}"
        at = f"{item.deleted_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        table.add_row(item.entity, item.system_id, at, parent)
    return table
