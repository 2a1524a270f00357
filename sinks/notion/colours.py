"""The colours of select options that setup creates. People may change them; nothing here changes them back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_LABELS: Final[Mapping[str, str]] = MappingProxyType({
    "red": "CRITICAL SERIOUS_INCIDENT FAILED ESCALATED",
    "orange": "HIGH REPORTABLE_INCIDENT SUSPENDED",
    "yellow": "MEDIUM NEAR_MISS UNDER_INVESTIGATION PROCESSING MONITORED",
    "green": "ACTIVE Active COMPLETED Completed RESOLVED LOW MITIGATED",
    "blue": "RECEIVED REPORTED IDENTIFIED PENDING MINOR_INCIDENT PARTICIPANT",
    "purple": "NDIS_REPORTED ACKNOWLEDGED ASSESSED FAMILY",
    "pink": "WORKER REVERSED",
    "brown": "EXPIRED ANONYMOUS",
    "gray": "DRAFT CLOSED CANCELLED Inactive OTHER",
})

_COLOURS: Final = MappingProxyType(
    {label: colour for colour, labels in _LABELS.items() for label in labels.split()} | {"On Hold": "yellow"}
)


def colour_of(label: str) -> str:
    """Return the colour of an option; `default` for one that has none of ours."""
    return _COLOURS.get(label, "default")
