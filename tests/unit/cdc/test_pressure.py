"""How near a slot is to being lost, or the disk to being full."""

from __future__ import annotations

import pytest

from cdc.replication.pressure import GIBIBYTE, Pressure, pressure
from cdc.replication.slot import SlotState
from state.changes import Lsn


def slot(wal_status: str | None, retained_bytes: int | None, safe_wal_bytes: int | None) -> SlotState:
    return SlotState(
        "s", "wal2json", "m", True, 1, Lsn(1), Lsn(1), wal_status, safe_wal_bytes, retained_bytes
    )


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (slot("reserved", 0, GIBIBYTE), Pressure.NONE),
        (slot("extended", GIBIBYTE // 3, GIBIBYTE), Pressure.NONE),
        (slot("extended", GIBIBYTE, GIBIBYTE), Pressure.WARNING),
        (slot("extended", 3 * GIBIBYTE, GIBIBYTE), Pressure.ALARM),
        # past the bound the server says by how much
        (slot("unreserved", GIBIBYTE, -GIBIBYTE), Pressure.ALARM),
        (slot("extended", GIBIBYTE, -1), Pressure.ALARM),
        (slot("lost", None, None), Pressure.ALARM),
        (slot("reserved", GIBIBYTE - 1, None), Pressure.NONE),
        (slot("extended", GIBIBYTE, None), Pressure.WARNING),
        (slot("extended", 10 * GIBIBYTE, None), Pressure.ALARM),
        (slot("reserved", None, None), Pressure.NONE),
    ],
)  # fmt: skip
def test_pressure_is_measured_against_the_bound_or_in_bytes_where_there_is_none(
    found: SlotState, wanted: Pressure
) -> None:
    assert pressure(found) is wanted
