"""How near a slot is to filling the disk, or to losing the log it still needs. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cdc.replication.slot import SlotState

GIBIBYTE: Final = 1 << 30
UNBOUNDED_WARNING_BYTES: Final = GIBIBYTE
UNBOUNDED_ALARM_BYTES: Final = 10 * GIBIBYTE
"""Where max_slot_wal_keep_size bounds nothing, what the server keeps is measured against these."""

WARNING_SHARE: Final = 0.5
ALARM_SHARE: Final = 0.75
"""Else against the bound: so much of it is used."""


class Pressure(StrEnum):
    """How bad it is."""

    NONE = "none"
    WARNING = "warning"    # more is kept than a sync that keeps up needs
    ALARM = "alarm"        # soon the slot is lost, or the disk is full


def pressure(slot: SlotState) -> Pressure:
    """Return how bad it is."""
    if slot.wal_status in ("unreserved", "lost"):
        return Pressure.ALARM
    kept = slot.retained_bytes or 0
    if slot.safe_wal_bytes is None:
        return _measured(kept, UNBOUNDED_WARNING_BYTES, UNBOUNDED_ALARM_BYTES)
    bound = kept + max(0, slot.safe_wal_bytes)
    return _measured(kept, WARNING_SHARE * bound, ALARM_SHARE * bound)


def _measured(kept: float, warning: float, alarm: float) -> Pressure:
    if kept >= alarm > 0:
        return Pressure.ALARM
    return Pressure.WARNING if kept >= warning > 0 else Pressure.NONE
