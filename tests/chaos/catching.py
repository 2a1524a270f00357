"""The planted bugs, each with the short run that catches it: what happens there, the seed, and what a finding says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.local.server import PrivateServer
from tests.chaos.calamities import FROZEN_WRITING
from tests.chaos.outcome import Profile
from tests.chaos.planting import PATCHES, plant
from tests.chaos.run import play
from tests.chaos.stage import prepare

TRIES: Final = 3
AGAIN: Final = ("change_again_once_written",)
SIMPLE: Final = ("update_mapped", "update_hot", "edit", "edit_beside_mapable", "insert")

CAUGHT: Final[Mapping[str, tuple[Profile, int, str]]] = {
    "acknowledge-early": (
        Profile(12, 2, 0, ("after: the log is acknowledged",), doing=SIMPLE, patient=True), 1, "the slot stood further",
    ),
    "base-on-intent": (
        Profile(16, 2, 0, ("before: a page is written",), doing=SIMPLE, patient=True), 1, "nobody typed",
    ),
    "clear-newer-marks": (
        Profile(8, 0, 0, doing=AGAIN, always=("very slow Notion",), patient=True), 1, "in the row",
    ),
    "drop-by-author": (
        Profile(
            20, 0, 0, doing=("edit_who_is_pointed_at",), always=("lost webhooks", "relations touch both pages"),
            patient=True,
        ), 1, "in the row",
    ),
    "forget-pushing": (
        Profile(8, 1, 0, ("after: a page is written",), doing=AGAIN, patient=True), 1, "nobody typed",
    ),
    "hash-decides": (Profile(12, 0, 0, doing=("edit_while_mapable_wavers",), patient=True), 1, "in the row"),
    "no-fencing": (Profile(12, 0, 1, (), (FROZEN_WRITING,), SIMPLE, patient=True), 1, ""),
    "not-found-on-failure": (
        Profile(
            12, 1, 3, ("after a page is made",), ("reset after POST",), ("insert",), ("400 before lookup",),
            patient=True,
        ), 1, "beside another one of ours",
    ),
}  # fmt: skip


async def caught(bug: str, server: PrivateServer, into: Path) -> list[str]:
    """Plant a bug into a copy of the program and run that; return the findings that tell of it.

    What happens, and in which order, is the seed's; how long it takes is the machine's. So a run in which the moment
    was missed is done again.
    """
    profile, seed, says = CAUGHT[bug]
    plant(PATCHES / f"{bug}.patch", into)
    prepare(server)
    for _ in range(TRIES):
        report = await play(seed, server, profile, into)
        assert report.broken is None
        if found := [finding for finding in report.findings if says in finding]:
            return found
    return []
