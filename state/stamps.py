"""When MapAble last changed each row. Not kept yet: nothing is known of any row, and MapAble wins every clash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from state.database import Connection


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a row's mapped columns last changed, and each of them."""

    changed_at: datetime | None
    columns: Mapping[str, datetime]


async def load(conn: Connection, entity: str, ids: Sequence[str]) -> Mapping[str, Stamp]:
    """Return what is known, by system id."""
    return {}
